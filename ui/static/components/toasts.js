import { html } from "../html.js";
import { plain } from "../lib/bidi.js";
import { dismiss, stay, toasts } from "../state/toasts.js";
import { Button, IconButton } from "./button.js";
import { Icon } from "./icon.js";

/** @type {Record<string, string>} */
const ICONS = { good: "check", bad: "warning", busy: "clock", info: "info", neutral: "info" };

/** The short messages at the corner of the page; drawn once by the shell. One that is being read stays. */
export function Toasts() {
  return html`
    <div class="toasts" role="log" aria-live="polite" aria-label="Messages">
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
  `;
}
