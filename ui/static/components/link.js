import { html } from "../html.js";
import { plain } from "../lib/bidi.js";
import { displayName } from "../lib/names.js";
import { modelPath } from "../lib/query.js";
import { models } from "../state/store.js";
import { href } from "../state/router.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * A link to a page of ours; the router catches the click, a middle click opens a tab as everywhere.
 *
 * @param {{ to: string, class?: string, children?: Children, [attribute: string]: any }} props  to: "/models"
 */
export function Link({ to, class: more, children, ...rest }) {
  return html`<a ...${rest} href=${href(to)} class=${`link ${more ?? ""}`}>${children}</a>`;
}

/**
 * A model's name that leads to its page. An id nobody knows (any more) is just written.
 *
 * @param {{ id: string, class?: string, children?: Children }} props
 */
export function ModelLink({ id, class: more, children }) {
  const model = models.value.find((known) => known.id === id || known.aliases?.includes(id));
  const name = children ?? plain(model && model.id === id ? displayName(model) : id);
  if (!model) return html`<span class=${more}>${name}</span>`;
  return html`<${Link} to=${modelPath(id)} class=${`model-link ${more ?? ""}`} title=${plain(id)}>${name}<//>`;
}
