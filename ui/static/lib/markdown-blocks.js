/**
 * Markdown that is still being written, cut into blocks of which only the last can change. PURE.
 *
 * Reading a whole answer anew for each word would take longer the longer it is. What comes before the last block is
 * settled once that block is under way: only the rest is read again. When the text is complete it is read once as a
 * whole, so that in the end it looks as it should even where this was wrong, such as a link whose address stands at
 * the very end.
 */

/** @typedef {{ type: string, raw: string }} Token */
/**
 * @template {Token} T
 * @typedef {T[] & { links?: unknown }} Tokens
 */

/**
 * How long the beginning of a block must be before the one in front of it is settled: `2` is a paragraph, but `2. `
 * goes on with the list in front of it.
 */
const SETTLED_AFTER = 14;

/**
 * @template {Token} T
 */
export class Blocks {
  /** @type {T[]} */
  #settled = [];
  #settledText = "";
  #lexer;

  /** @param {(text: string) => T[]} lexer */
  constructor(lexer) {
    this.#lexer = lexer;
  }

  /**
   * Returns the blocks of *text*.
   *
   * @param {string} text
   * @param {boolean} streaming whether more will be appended
   * @returns {T[]}
   */
  read(text, streaming) {
    if (!streaming) return this.#lexer(text).filter(isShown);
    if (!text.startsWith(this.#settledText)) {
      this.#settled = [];
      this.#settledText = "";
    }
    const tokens = this.#lexer(text.slice(this.#settledText.length));
    const last = tokens.findLastIndex(isShown);
    // Line ends that the lexer has changed would move the cut: then nothing is settled.
    const isExact = tokens.reduce((length, { raw }) => length + raw.length, this.#settledText.length) === text.length;
    if (last > 0 && isExact && tokens[last].raw.length >= SETTLED_AFTER) {
      const settled = tokens.slice(0, last);
      this.#settled.push(...settled.filter(isShown));
      this.#settledText += settled.map(({ raw }) => raw).join("");
      return [...this.#settled, ...tokens.slice(last).filter(isShown)];
    }
    return [...this.#settled, ...tokens.filter(isShown)];
  }
}

/** @param {Token} token */
function isShown(token) {
  return token.type !== "space" && token.type !== "def";
}
