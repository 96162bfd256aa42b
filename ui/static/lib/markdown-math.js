/**
 * Formulas in markdown: `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, as extensions for marked. PURE.
 *
 * They come out as `<code class="math-inline">` or `math-display` with the TeX as text: typeset later, readable if
 * never. Sums of money are no formulas: `$` begins one only before something that is no space, and ends it only after
 * such and before no digit.
 */

import { escaped } from "./markdown-html.js";

const DISPLAY = [/^\$\$([^]+?)\$\$/, /^\\\[([^]+?)\\\]/];
const INLINE = [/^\$(?![\s$])((?:\\[^]|[^\\$\n])*?[^\s\\$]|\\[^]|[^\s\\$])\$(?![\d$])/, /^\\\(([^]+?)\\\)/];

/** @typedef {{ type: string, raw: string, tex: string }} MathToken */

/** @param {any} token */
const displayed = ({ tex }) => `<code class="math-display">${escaped(tex)}</code>`;

export const mathExtensions = [
  {
    name: "mathBlock",
    level: /** @type {const} */ ("block"),
    // Where it says a block may begin, marked ends a paragraph: only at the beginning of a line.
    start(/** @type {string} */ source) {
      const found = /\n(?:\$\$|\\\[)/.exec(source);
      return found ? found.index + 1 : undefined;
    },
    /** @param {string} source */
    tokenizer(source) {
      const token = matched(source, DISPLAY, "mathBlock");
      // What follows on the same line belongs to a paragraph, which has the formula in it.
      if (!token || !/^[ \t]*(?:\n|$)/.test(source.slice(token.raw.length))) return undefined;
      const rest = /^[ \t]*\n?/.exec(source.slice(token.raw.length));
      return { ...token, raw: token.raw + (rest?.[0] ?? "") };
    },
    renderer: displayed,
  },
  {
    name: "mathDisplay",
    level: /** @type {const} */ ("inline"),
    /** @param {string} source */
    start: (source) => /\$\$|\\\[/.exec(source)?.index,
    tokenizer: (/** @type {string} */ source) => matched(source, DISPLAY, "mathDisplay"),
    renderer: displayed,
  },
  {
    name: "mathInline",
    level: /** @type {const} */ ("inline"),
    /** @param {string} source */
    start: (source) => /\$|\\\(/.exec(source)?.index,
    tokenizer: (/** @type {string} */ source) => matched(source, INLINE, "mathInline"),
    renderer: (/** @type {any} */ { tex }) => `<code class="math-inline">${escaped(tex)}</code>`,
  },
];

/**
 * @param {string} source
 * @param {RegExp[]} patterns
 * @param {string} type
 * @returns {MathToken | undefined}
 */
function matched(source, patterns, type) {
  for (const pattern of patterns) {
    const found = pattern.exec(source);
    // An empty line ends a paragraph, and with it a formula somebody forgot to close.
    if (found && !/\n[ \t]*\n/.test(found[1])) return { type, raw: found[0], tex: found[1].trim() };
  }
  return undefined;
}
