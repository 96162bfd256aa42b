import { html, useLayoutEffect, useRef } from "../html.js";

/** @typedef {import("../html.js").Children} Children */

const GAP = 4;

/**
 * Puts *box* under *anchor*, above it where there is more room, and always inside the window.
 *
 * @param {HTMLElement} box
 * @param {Element} anchor
 */
function place(box, anchor) {
  const at = anchor.getBoundingClientRect();
  const below = innerHeight - at.bottom;
  const up = below < box.offsetHeight + GAP && at.top > below;
  const room = (up ? at.top : below) - 2 * GAP;
  box.style.maxBlockSize = `${Math.max(room, 96)}px`;
  const height = Math.min(box.offsetHeight, room);
  box.style.top = `${up ? at.top - height - GAP : at.bottom + GAP}px`;
  const right = at.left + box.offsetWidth > innerWidth - GAP;
  box.style.left = `${Math.max(GAP, right ? Math.min(at.right, innerWidth - GAP) - box.offsetWidth : at.left)}px`;
}

/**
 * A box in the browser's top layer beside its anchor, so no scrolling parent cuts it off. It closes on a press
 * elsewhere, on Escape and when the page scrolls away under it. What in it has `autofocus` has the focus at
 * once: the next key may already be on its way.
 *
 * @param {{
 *   anchor: { current: HTMLElement | null }, onClose: (why: "key" | "press") => void, class?: string,
 *   children?: Children, [attribute: string]: any,
 * }} props
 */
export function Popover({ anchor, onClose, class: more, children, ...rest }) {
  const element = useRef(/** @type {HTMLDivElement | null} */ (null));
  const close = useRef(onClose);
  close.current = onClose;
  useLayoutEffect(() => {
    const box = /** @type {HTMLDivElement} */ (element.current);
    box.showPopover();
    if (anchor.current) place(box, anchor.current);
    /** @param {Event} event */
    const outside = (event) => {
      const target = /** @type {globalThis.Node} */ (event.target);
      if (!box.contains(target) && !anchor.current?.contains(target)) close.current("press");
    };
    /** @param {KeyboardEvent} event */
    const escape = (event) => {
      if (event.key !== "Escape") return;
      // A dialog around the anchor must not close with its menu.
      event.preventDefault();
      event.stopPropagation();
      close.current("key");
    };
    const moved = () => anchor.current && place(box, anchor.current);
    document.addEventListener("pointerdown", outside, true);
    document.addEventListener("keydown", escape, true);
    addEventListener("scroll", moved, true);
    addEventListener("resize", moved);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      document.removeEventListener("keydown", escape, true);
      removeEventListener("scroll", moved, true);
      removeEventListener("resize", moved);
    };
  }, []);
  return html`<div ...${rest} ref=${element} popover="manual" class=${`popover ${more ?? ""}`}>${children}</div>`;
}
