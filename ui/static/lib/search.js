// Search as one types: letters in their order, wherever they are; words and beginnings first.

/**
 * @typedef {object} Match
 * @property {number} score higher is better
 * @property {number[]} places of the letters that match, for marking them
 */

/**
 * @param {string} query
 * @param {string} text
 * @returns {Match | null} null: *text* has not all letters of *query* in their order
 */
export function fuzzy(query, text) {
  const wanted = [...query.toLowerCase()].filter((letter) => letter.trim() !== "");
  if (wanted.length === 0) return { score: 0, places: [] };
  const lower = text.toLowerCase();
  // Lower case may be longer than the text itself (İ); then places would point beside their letters.
  const places = whole(query, lower) ?? scattered(wanted, lower);
  if (places === null) return null;
  return { score: score(places, text), places: lower.length === text.length ? places : [] };
}

/**
 * @template T
 * @param {string} query
 * @param {readonly T[]} entries
 * @param {(entry: T) => string} textOf
 * @returns {{entry: T, match: Match}[]} the best first; equals in their order
 */
export function ranked(query, entries, textOf) {
  return entries
    .map((entry) => ({ entry, match: fuzzy(query, textOf(entry)) }))
    .filter(/** @returns {found is {entry: T, match: Match}} */ (found) => found.match !== null)
    .sort((a, b) => b.match.score - a.match.score);
}

/**
 * @param {string} query
 * @param {string} lower
 */
function whole(query, lower) {
  const wanted = query.trim().toLowerCase();
  let best = -1;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1)) {
    if (best < 0 || isStart(lower, at)) best = at;
    if (isStart(lower, at)) break;
  }
  return best < 0 ? null : Array.from(wanted, (_, offset) => best + offset).slice(0, wanted.length);
}

/**
 * @param {string[]} wanted
 * @param {string} lower
 */
function scattered(wanted, lower) {
  /** @type {number[]} */
  const places = [];
  let from = 0;
  for (const letter of wanted) {
    const next = lower.indexOf(letter, from);
    if (next < 0) return null;
    // The beginning of a word is what is meant, if the rest is still to be found after it.
    const start = startAfter(letter, lower, from);
    const place = start >= 0 && hasAll(wanted.slice(places.length + 1), lower, start + letter.length) ? start : next;
    places.push(place);
    from = place + letter.length;
  }
  return places;
}

/**
 * @param {string} letter
 * @param {string} lower
 * @param {number} from
 */
function startAfter(letter, lower, from) {
  for (let at = lower.indexOf(letter, from); at >= 0; at = lower.indexOf(letter, at + 1)) {
    if (isStart(lower, at)) return at;
  }
  return -1;
}

/**
 * @param {string[]} wanted
 * @param {string} lower
 * @param {number} from
 */
function hasAll(wanted, lower, from) {
  let at = from;
  for (const letter of wanted) {
    const next = lower.indexOf(letter, at);
    if (next < 0) return false;
    at = next + letter.length;
  }
  return true;
}

/**
 * @param {string} lower
 * @param {number} at
 */
function isStart(lower, at) {
  return at === 0 || !/[\p{L}\p{N}]/u.test(/** @type {string} */ (lower[at - 1]));
}

/**
 * @param {number[]} places
 * @param {string} text
 */
function score(places, text) {
  let points = 0;
  places.forEach((place, index) => {
    if (isStart(text, place)) points += 8;
    if (index > 0 && place === /** @type {number} */ (places[index - 1]) + 1) points += 5;
  });
  // Of equals the one with less around it, and the one that begins earlier.
  return points - 0.1 * /** @type {number} */ (places[0]) - 0.05 * (text.length - places.length);
}
