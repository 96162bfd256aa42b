import { html, useLayoutEffect, useRef } from "../html.js";
import { plain } from "../lib/bidi.js";
import { dismiss, stay, toasts } from "../state/toasts.js";
import { Button, IconButton } from "./button.js";
import { Icon } from "./icon.js";

/** @type {Record<string, string>} */
const ICONS = { good: "check", bad: "warning", busy: "clock", info: "info", neutral: "info" };

/**
 * The short messages at the corner of the page; drawn once by the shell. One that is being read stays.
 *
 * The box comes and goes with them, so it is no live region; the line after it, which is always there, is.
 */
export function Toasts() {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const newest = toasts.value.at(-1);
  useLayoutEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current);
    const open = element.matches(":popover-open");
    // In the browser's top layer, over dialogs; over one that was opened meanwhile only if it is put there once more.
    if (open && (!newest || document.querySelector("dialog:modal"))) element.hidePopover();
    if (newest && !element.matches(":popover-open")) element.showPopover();
  }, [newest]);
  return html`
    <div ref=${box} class="toasts" popover="manual" role="group" aria-label="Messages">
      ${toasts.value.map(({ id, tone, text, times, action }) => {
        const hold = () => stay(id, Infinity);
        const release = () => stay(id);
        const act = () => {
          dismiss(id);
          action?.run();
        };
        return html`
          <div
            key=${id}
            class=${`toast ${tone}`}
            onPointerEnter=${hold}
            onPointerLeave=${release}
            onFocusIn=${hold}
            onFocusOut=${release}
          >
            <${Icon} name=${ICONS[tone] ?? "info"} />
            <p>${plain(text)}${times > 1 && html`${" "}<span class="faint">(${times} times)</span>`}</p>
            ${action && html`<${Button} onClick=${act}>${action.label}<//>`}
            <${IconButton} icon="close" label="Dismiss" onClick=${() => dismiss(id)} />
          </div>
        `;
      })}
    </div>
    <p class="unseen" role="status">${newest ? plain(newest.text) : ""}</p>
  `;
}
