import { html } from "../html.js";
import { dismiss, toasts } from "../state/toasts.js";
import { IconButton } from "./button.js";
import { Icon } from "./icon.js";

/** @type {Record<string, string>} */
const ICONS = { good: "check", bad: "warning", busy: "clock", info: "info", neutral: "info" };

/** The short messages at the corner of the page; drawn once by the shell. */
export function Toasts() {
  return html`
    <div class="toasts" role="log" aria-live="polite" aria-label="Messages">
      ${toasts.value.map(
        (toast) => html`
          <div key=${toast.id} class=${`toast ${toast.tone}`}>
            <${Icon} name=${ICONS[toast.tone] ?? "info"} />
            <p>${toast.text}</p>
            <${IconButton} icon="close" label="Dismiss" onClick=${() => dismiss(toast.id)} />
          </div>
        `,
      )}
    </div>
  `;
}
