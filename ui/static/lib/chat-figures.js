/**
 * What an answer took, from what the server told and from what was measured on the way. PURE.
 */

/**
 * @typedef {object} Measured
 * @property {number} totalMs from the question to the end
 * @property {number} firstMs from the question to the first word; -1: there was none
 * @property {number} lastMs from the question to the last word
 * @property {number} queuedMs `x-hostler-queued-ms`; -1: not told
 * @property {number} swapMs `x-hostler-swap-ms`; -1: not told
 * @property {import("./answer.js").Usage} usage
 * @property {import("./answer.js").Timings} timings
 */
/** @typedef {{ perSecond: number, isMeasured: boolean }} Speed - -1: not known */

/** An answer in fewer tokens says nothing of a speed, nor does one that came at once. */
const FEWEST_TOKENS = 4;
const SHORTEST_MS = 50;

/**
 * Returns how fast the answer was generated: the server's figure, else one made of its count and our clock.
 *
 * @param {Measured} measured
 * @returns {Speed}
 */
export function generationSpeed({ usage, timings, firstMs, lastMs }) {
  if (timings.perSecond > 0) return { perSecond: timings.perSecond, isMeasured: false };
  const tokens = usage.output - 1;
  const spanMs = lastMs - firstMs;
  if (firstMs < 0 || tokens < FEWEST_TOKENS || spanMs < SHORTEST_MS) return { perSecond: -1, isMeasured: false };
  return { perSecond: (tokens / spanMs) * 1000, isMeasured: true };
}

/**
 * Returns the number in a header of Hostler's; -1 if it is not there.
 *
 * @param {string | null} header
 */
export function milliseconds(header) {
  const value = header === null || header.trim() === "" ? NaN : Number(header);
  return Number.isFinite(value) && value >= 0 ? value : -1;
}
