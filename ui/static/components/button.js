import { html } from "../html.js";
import { Icon } from "./icon.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * Keeps a busy button in the order of focus: `disabled` would throw the focus away in the middle of the work.
 *
 * @param {boolean | undefined} busy
 * @param {((event: MouseEvent) => void) | undefined} onClick
 * @returns {(event: MouseEvent) => void}
 */
const unlessBusy = (busy, onClick) => (event) => {
  if (busy) event.preventDefault();
  else onClick?.(event);
};

/**
 * @param {{
 *   kind?: "primary" | "plain" | "danger" | "quiet", icon?: string, busy?: boolean, disabled?: boolean,
 *   onClick?: (event: MouseEvent) => void, title?: string, type?: "button" | "submit", class?: string,
 *   children?: Children, [attribute: string]: any,
 * }} props
 */
export function Button(props) {
  const { kind = "plain", icon, busy, disabled, onClick, type = "button", class: more, children, ...rest } = props;
  return html`
    <button
      ...${rest}
      type=${type}
      class=${`button ${kind} ${more ?? ""}`}
      disabled=${disabled}
      aria-disabled=${busy ? "true" : undefined}
      aria-busy=${busy ? "true" : undefined}
      onClick=${unlessBusy(busy, onClick)}
    >
      ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : icon && html`<${Icon} name=${icon} />`}
      ${children}
    </button>
  `;
}

/**
 * A button that shows only an icon; the label is its name for everybody, and its tooltip.
 *
 * @param {{
 *   icon: string, label: string, onClick?: (event: MouseEvent) => void, pressed?: boolean, disabled?: boolean,
 *   busy?: boolean, class?: string, [attribute: string]: any,
 * }} props
 */
export function IconButton({ icon, label, onClick, pressed, disabled, busy, class: more, ...rest }) {
  return html`
    <button
      title=${label}
      ...${rest}
      type="button"
      class=${`icon-button ${more ?? ""}`}
      aria-label=${label}
      aria-pressed=${pressed === undefined ? undefined : String(pressed)}
      aria-disabled=${busy ? "true" : undefined}
      disabled=${disabled}
      onClick=${unlessBusy(busy, onClick)}
    >
      ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : html`<${Icon} name=${icon} />`}
    </button>
  `;
}
