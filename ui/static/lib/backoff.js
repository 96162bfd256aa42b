// How long to wait before the line to the server is tried again.

const WAITS_S = [1, 2, 4, 5];

/**
 * @param {number} failures how often in a row it has failed, from 1
 * @returns {number} milliseconds: 1, 2, 4, then 5 s each time
 */
export function retryAfterMs(failures) {
  const place = Math.min(Math.max(Math.floor(failures), 1), WAITS_S.length) - 1;
  return /** @type {number} */ (WAITS_S[place]) * 1000;
}

/**
 * Whether a line that says nothing is likely to be dead: machines that sleep and routers that forget leave it open for ever.
 * @param {number} silentMs how long nothing has come
 * @param {number | null} everyMs how often a sample of the machine comes; null: none comes, and silence says nothing
 * @returns {boolean}
 */
export function isTooSilent(silentMs, everyMs) {
  return everyMs !== null && silentMs > Math.max(30_000, 4 * everyMs);
}
