import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { stored } from "../state/settings.js";

/** @typedef {import("../html.js").Children} Children */

const LEAST = 0.1;
const STEP = 0.05;

/** @param {number} ratio */
const within = (ratio) => Math.min(1 - LEAST, Math.max(LEAST, ratio));

/**
 * Two panes with a bar between them that is dragged, or moved by the arrow keys; a double click halves. The ratio is
 * kept under *storageKey*. "auto" puts the panes side by side where there is room, one above the other elsewhere.
 *
 * @param {{
 *   storageKey: string, direction?: "row" | "column" | "auto", first: Children, second: Children, label: string,
 * }} props
 */
export function Split({ storageKey, direction = "auto", first, second, label }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const ratio = useMemo(
    () => stored(storageKey, 0.5, (value) => typeof value === "number" && value >= LEAST && value <= 1 - LEAST),
    [storageKey],
  );
  const [dragging, setDragging] = useState(false);
  const [stacked, setStacked] = useState(direction === "column");
  const lying = () => box.current !== null && getComputedStyle(box.current).flexDirection === "column";
  useEffect(() => {
    const watcher = new ResizeObserver(() => setStacked(lying()));
    if (box.current) watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  /** @param {PointerEvent} event */
  const drag = (event) => {
    if (!dragging || !box.current) return;
    const at = box.current.getBoundingClientRect();
    ratio.value = within(lying() ? (event.clientY - at.top) / at.height : (event.clientX - at.left) / at.width);
  };
  /** @param {PointerEvent} event */
  const grab = (event) => {
    /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
    setDragging(true);
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const step = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP }[event.key];
    if (step === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    ratio.value = within(step === undefined ? Number(event.key === "End") : ratio.value + step);
  };
  return html`
    <div class=${`split ${direction} ${dragging ? "dragging" : ""}`} ref=${box}>
      <div class="split-pane" style=${{ flexGrow: ratio.value }}>${first}</div>
      <div
        class="split-bar"
        role="separator"
        tabindex="0"
        aria-label=${label}
        aria-orientation=${stacked ? "horizontal" : "vertical"}
        aria-valuemin=${LEAST * 100}
        aria-valuemax=${(1 - LEAST) * 100}
        aria-valuenow=${Math.round(ratio.value * 100)}
        onPointerDown=${grab}
        onPointerMove=${drag}
        onPointerUp=${() => setDragging(false)}
        onPointerCancel=${() => setDragging(false)}
        onDblClick=${() => (ratio.value = 0.5)}
        onKeyDown=${pressed}
      ></div>
      <div class="split-pane" style=${{ flexGrow: 1 - ratio.value }}>${second}</div>
    </div>
  `;
}
