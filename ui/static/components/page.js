import { html, signal, useLayoutEffect } from "../html.js";

/** @typedef {import("../html.js").Children} Children */

/** What the bar at the top shows as the page's name; null: the name that the navigation has for it. */
export const pageTitle = signal(/** @type {Children} */ (null));

/**
 * The head of a page's content. The title is seen in the bar at the top, so it is not shown a second time here; as the
 * heading it stands here, where screen readers and the router look for it.
 *
 * @param {{ title: Children, subtitle?: Children, actions?: Children }} props
 */
export function PageHeader({ title, subtitle, actions }) {
  useLayoutEffect(() => {
    pageTitle.value = title;
  });
  useLayoutEffect(
    () => () => {
      pageTitle.value = null;
    },
    [],
  );
  // Alone it takes no place, not even the gap of a flex box.
  if (!subtitle && !actions) return html`<h1 class="unseen">${title}</h1>`;
  return html`
    <header class="page-head">
      <h1 class="unseen">${title}</h1>
      ${subtitle && html`<div class="page-subtitle">${subtitle}</div>`}
      ${actions && html`<div class="page-actions">${actions}</div>`}
    </header>
  `;
}
