// Names, paths, headers and addresses come from outside, and are compared by eye: what cannot be seen, or moves what can,
// is shown by its number. Right-to-left letters stay as they are; put such text into <bdi> where other text is beside it.

/** Each kind with the reason why it is here. */
const HIDDEN = [
  "\\p{Cc}", // controls, line breaks among them
  "\\p{Cf}", // direction (U+202E…), joiners, tags, the byte order mark
  "\\p{Cs}", // halves of characters
  "\\p{Co}\\p{Cn}", // what has no shape of its own
  "\\p{Zl}\\p{Zp}", // other line breaks
  "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2800", // other spaces, and a letter that looks like one
  "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0", // letters without a shape
].join("");

const ONE = new RegExp(`[${HIDDEN}]`, "gu");
const ANY = new RegExp(`[${HIDDEN}]|\\p{M}{7}`, "u");

/** In emoji of several parts the joiner is no disguise. */
const JOINED = /(?<=\p{Extended_Pictographic}[\ufe0f\u{1f3fb}-\u{1f3ff}]?)\u200d(?=\p{Extended_Pictographic})/gu;

/** Marks that pile up over other lines. */
const PILE = /(\p{M}{6})\p{M}+/gu;

/**
 * @param {string | null | undefined} text
 * @returns {string} *text* with nothing hidden in it: "a‹U+202E›b"
 */
export function plain(text) {
  const whole = text ?? "";
  if (!ANY.test(whole)) return whole;
  /** @type {Set<number>} */
  const joints = new Set([...whole.matchAll(JOINED)].map((match) => match.index));
  return whole
    .replace(ONE, (found, place) => (joints.has(place) ? found : named(found)))
    .replace(PILE, "$1…");
}

/** @param {string} character */
function named(character) {
  const number = /** @type {number} */ (character.codePointAt(0));
  return `‹U+${number.toString(16).toUpperCase().padStart(4, "0")}›`;
}
