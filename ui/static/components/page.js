import { html } from "../html.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * The head of a page's content: what it is about at the left, what to do with it at the right.
 *
 * @param {{ title: Children, subtitle?: Children, actions?: Children }} props
 */
export function PageHeader({ title, subtitle, actions }) {
  return html`
    <header class="page-head">
      <div class="page-words">
        <h1 class="page-title">${title}</h1>
        ${subtitle && html`<p class="page-subtitle">${subtitle}</p>`}
      </div>
      ${actions && html`<div class="page-actions">${actions}</div>`}
    </header>
  `;
}
