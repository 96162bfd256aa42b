import { html } from "../html.js";
import { Icon } from "./icon.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * What stands where nothing is yet: it says why, and what to do.
 *
 * @param {{ title: string, icon?: string, children?: Children, action?: Children }} props
 */
export function Empty({ title, icon, children, action }) {
  return html`
    <div class="empty">
      ${icon && html`<${Icon} name=${icon} class="large" />`}
      <p class="empty-title">${title}</p>
      ${children && html`<div class="empty-text">${children}</div>`}
      ${action && html`<div class="empty-action">${action}</div>`}
    </div>
  `;
}
