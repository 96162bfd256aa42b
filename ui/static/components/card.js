import { html, signal, useId, useMemo } from "../html.js";
import { stored } from "../state/settings.js";
import { Icon } from "./icon.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * A titled box. Collapsible ones remember whether they were open under *storageKey*.
 *
 * @param {{
 *   title?: Children, actions?: Children, collapsible?: boolean, storageKey?: string, id?: string, class?: string,
 *   flush?: boolean, children?: Children,
 * }} props  flush: no padding around the content, for tables that reach the border
 */
export function Card({ title, actions, collapsible, storageKey, id, class: more, flush, children }) {
  const own = useId();
  const open = useMemo(() => (storageKey ? stored(storageKey, true) : signal(true)), [storageKey]);
  const shown = !collapsible || open.value;
  const heading = collapsible
    ? html`
        <button
          type="button"
          class="card-toggle"
          aria-expanded=${String(shown)}
          aria-controls=${`${own}-body`}
          onClick=${() => (open.value = !open.value)}
        >
          <${Icon} name=${shown ? "chevron-down" : "chevron-right"} />${title}
        </button>
      `
    : title;
  return html`
    <section
      class=${`card ${flush ? "flush" : ""} ${more ?? ""}`}
      id=${id}
      aria-labelledby=${title ? `${own}-title` : undefined}
    >
      ${title &&
      html`
        <header class="card-head">
          <h2 class="card-title" id=${`${own}-title`}>${heading}</h2>
          ${shown && actions && html`<div class="card-actions">${actions}</div>`}
        </header>
      `}
      <div class="card-body" id=${`${own}-body`} hidden=${!shown}>${shown && children}</div>
    </section>
  `;
}
