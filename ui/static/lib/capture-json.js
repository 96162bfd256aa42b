/**
 * JSON indented for the eye, piece by piece.
 *
 * It is not parsed: that would cost a second for a body of many megabytes of which a screen is read, would lose what
 * is not exact in a double, and would fail for a body that was cut. Nothing is changed but the space between the
 * tokens; only a long text without any space in it, a picture in Base64 most likely, is cut short, and one that is
 * longer than a piece goes on in the next.
 */

import { pieces } from "./capture-body.js";
import { count } from "./format.js";

/** Characters of a string without a space in it from which on it is folded… */
const FOLDED = 2000;

/** … and those of it that stay. */
const SHOWN = 200;

const STEP = "  ";

/**
 * @param {string} text
 * @param {number} size  Characters of a piece, about.
 * @param {boolean} [fold]  Whether long strings are cut short.
 * @returns {Generator<string, void>}
 */
export function* prettyPieces(text, size, fold = true) {
  /** @type {string[]} */
  let out = [];
  let length = 0;
  let depth = 0;
  let place = 0;
  /** @type {"open" | "token" | ""} */
  let last = "";

  const line = () => `\n${STEP.repeat(Math.min(depth, 100))}`;

  while (place < text.length) {
    const character = text[place];
    let token = character;
    let end = place + 1;
    if (isSpace(character)) {
      place = end;
      continue;
    }
    if (character === '"') {
      end = stringEnd(text, place);
      token = text.slice(place, end);
      if (fold) token = folded(token);
    } else if (!"{}[],:".includes(character)) {
      while (end < text.length && !'{}[],:" \t\r\n'.includes(text[end])) end += 1;
      token = text.slice(place, end);
    }
    let before = last === "open" ? line() : "";
    last = "token";
    let after = "";
    if (character === "{" || character === "[") {
      depth += 1;
      last = "open";
    } else if (character === "}" || character === "]") {
      depth = Math.max(depth - 1, 0);
      // Nothing between the two: they stay together.
      before = before ? "" : line();
    } else if (character === ",") after = line();
    else if (character === ":") after = " ";
    place = end;
    if (token.length > size) {
      // No page could lay out a line of megabytes.
      if (out.length || before) yield out.join("") + before;
      const cut = [...pieces(token, size)];
      yield* cut.slice(0, -1);
      out = [`${cut[cut.length - 1]}${after}`];
      length = out[0].length;
      continue;
    }
    out.push(before, token, after);
    length += before.length + token.length + after.length;
    if (length >= size && after !== " ") {
      yield out.join("");
      out = [];
      length = 0;
    }
  }
  if (out.length) yield out.join("");
}

/**
 * Returns the whole of *text* indented, with nothing folded.
 *
 * @param {string} text
 */
export function pretty(text) {
  return [...prettyPieces(text, 1 << 20, false)].join("");
}

/** @param {string} character */
function isSpace(character) {
  return character === " " || character === "\n" || character === "\r" || character === "\t";
}

/**
 * Returns the place behind the string that begins at *start*; the end of the text if it has none.
 *
 * @param {string} text
 * @param {number} start
 */
function stringEnd(text, start) {
  let quote = start;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
}

/** @param {string} token  A string with its quotes. */
function folded(token) {
  if (token.length <= FOLDED || /\s|\\n/.test(token.slice(0, FOLDED))) return token;
  return `${token.slice(0, SHOWN)}… ${count(token.length - SHOWN - 1)} more characters"`;
}
