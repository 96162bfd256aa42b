/**
 * What the playground has under way: requests of any of its tabs, counted, so that the rest of the page can show it.
 *
 * All requests of one page load belong to one session, so that they are found together in the activity.
 */

import { computed, signal } from "../../html.js";

const count = signal(0);

/** How many requests of the playground are under way. */
export const running = computed(() => count.value);

/** The session of this page load: `lspg-` and five characters. */
export const sessionId = `lspg-${letters(5)}`;

/**
 * Counts a request as under way until the function it returns is called; calling that twice does no harm.
 *
 * @returns {() => void}
 */
export function begin() {
  let ended = false;
  count.value += 1;
  return () => {
    if (!ended) count.value -= 1;
    ended = true;
  };
}

/**
 * Returns *headers* with the page's session.
 *
 * @param {Record<string, string>} [headers]
 * @returns {Record<string, string>}
 */
export function withSession(headers = {}) {
  return { ...headers, "X-Session-ID": sessionId };
}

/** @param {number} length */
function letters(length) {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  const random = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(random, (byte) => alphabet[byte % alphabet.length]).join("");
}
