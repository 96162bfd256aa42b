/**
 * What of a block that is still being written stays as it was: the items of a list, the rows of a table, the lines of
 * code that are complete. PURE.
 *
 * Else a list of hundreds of items would be made anew for each word of the last.
 */

/** @typedef {{ type: string, raw: string, [member: string]: any }} Token - one of marked's */
/** @typedef {{ head: string, parts: string[] }} Open - parts that read the same look the same below the same head */

/** HTML may end an element that is not its own: then parts do not stand for themselves. */
const HTML = /<[a-z/!?]/i;

/**
 * Returns the parts that a block is made of, one element each; null: it is one piece.
 *
 * @param {Token} token
 * @returns {Open | null}
 */
export function partsOf(token) {
  if (HTML.test(token.raw)) return null;
  if (token.type === "list") {
    const parts = token.items.map((/** @type {Token} */ { raw, loose }) => `${loose} ${raw}`);
    return { head: `${token.ordered} ${token.start}`, parts };
  }
  if (token.type === "table") {
    const texts = (/** @type {{ text: string }[]} */ cells) => JSON.stringify(cells.map(({ text }) => text));
    return { head: `${token.align} ${texts(token.header)}`, parts: token.rows.map(texts) };
  }
  return null;
}

/**
 * Returns how many parts at the beginning are as they were.
 *
 * @param {Open | null} before
 * @param {Open | null} after
 */
export function keptParts(before, after) {
  if (!before || before.head !== after?.head) return 0;
  const changed = after.parts.findIndex((part, index) => part !== before.parts[index]);
  return changed < 0 ? after.parts.length : changed;
}

/**
 * Returns the block without the first *kept* of its parts.
 *
 * @template {Token} T
 * @param {T} token
 * @param {number} kept
 * @returns {T}
 */
export function without(token, kept) {
  return token.type === "list"
    ? { ...token, items: token.items.slice(kept) }
    : { ...token, rows: token.rows.slice(kept) };
}

/**
 * Returns whether code of which *coloured* characters have colours gets them anew up to *complete*, the end of its last
 * whole line: with each line while it is short, then less often, so that all of it is done a few times only.
 *
 * @param {number} coloured
 * @param {number} complete
 */
export function isDue(coloured, complete) {
  return complete - coloured > coloured >> 4;
}
