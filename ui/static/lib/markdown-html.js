/**
 * What becomes of links, pictures and HTML in a model's markdown. PURE.
 *
 * The text is hostile until shown otherwise: a model repeats what it has read. So its HTML is shown as text but for a
 * few tags without attributes, a link leads only to other sites (to our own it would be a button: `GET /unload`), and
 * nothing is fetched. The sanitiser that components/markdown.js runs over the result is the second line, not the only
 * one.
 */

/** Tags that models write and that do nothing, as long as they have no attributes. */
const BARE_TAGS = new Set(
  (
    "b i em strong s del u sub sup br hr kbd mark small details summary p ul ol li " +
    "table thead tbody tr td th blockquote"
  ).split(" "),
);

const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[a-z0-9+/=\s]+$/i;

/**
 * Returns *text* as HTML that shows it.
 *
 * @param {string} text
 */
export function escaped(text) {
  const entities = /** @type {Record<string, string>} */ ({
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  });
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/**
 * Returns the address a link may lead to; null: nowhere.
 *
 * @param {string} href
 * @param {string} origin our own
 * @returns {string | null}
 */
export function linkTarget(href, origin) {
  let url;
  try {
    // Relative addresses have no place in an answer: there is nothing beside it. The base that is none makes them fail.
    url = new URL(href.trim());
  } catch {
    return null;
  }
  if (url.protocol === "mailto:") return url.href;
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  if (url.origin === origin || url.username || url.password) return null;
  return url.href;
}

/**
 * Returns HTML for a piece of HTML: bare harmless tags as they are, all else as text.
 *
 * @param {string} raw
 * @param {boolean} isBlock
 */
export function htmlAsText(raw, isBlock) {
  const pieces = raw.split(/(<[^<>]*>)/);
  const isBare = (/** @type {string} */ tag) =>
    BARE_TAGS.has(/^<\/?([a-z]+\d?)\s*\/?>$/i.exec(tag)?.[1].toLowerCase() ?? "");
  const tags = pieces.filter((_, index) => index % 2 === 1);
  if (isBlock && !tags.every(isBare))
    return `<pre><code class="language-html">${escaped(raw.trimEnd())}</code></pre>\n`;
  return pieces.map((piece, index) => (index % 2 === 1 && isBare(piece) ? piece : escaped(piece))).join("");
}

/**
 * Returns HTML for a link whose text is already HTML.
 *
 * @param {string} href
 * @param {string} inner
 * @param {string} origin
 */
export function linkHtml(href, inner, origin) {
  const target = linkTarget(href, origin);
  if (target === null) return `<span class="dead-link" title="${escaped(`No link: ${href}`)}">${inner}</span>`;
  return `<a href="${escaped(target)}" title="${escaped(target)}">${inner}</a>`;
}

/**
 * Returns HTML for a picture: one that is in the text itself is shown, any other is a link to it.
 *
 * @param {string} href
 * @param {string} text
 * @param {string} origin
 */
export function pictureHtml(href, text, origin) {
  if (PICTURE.test(href)) return `<img src="${escaped(href)}" alt="${escaped(text)}">`;
  return linkHtml(href, `Picture: ${escaped(text || href)}`, origin);
}
