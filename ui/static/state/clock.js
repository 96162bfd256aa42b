// Clocks to read in components. One timer for each period; none while nobody reads or the tab is hidden.

import { signal } from "../html.js";

/**
 * @template T
 * @typedef {import("../html.js").ReadonlySignal<T>} ReadonlySignal
 */

/** @type {Map<string, ReadonlySignal<number>>} */
const clocks = new Map();

/**
 * @param {number} periodMs
 * @returns {ReadonlySignal<number>} the wall's clock, in epoch ms: for ages of what the server has stamped
 */
export function now(periodMs) {
  return clock("wall", periodMs, () => Date.now());
}

/**
 * @param {number} periodMs
 * @returns {ReadonlySignal<number>} the monotonic clock, `performance.now()`: for how long something has taken
 */
export function monotonic(periodMs) {
  return clock("monotonic", periodMs, () => performance.now());
}

/**
 * @param {string} kind
 * @param {number} periodMs
 * @param {() => number} read
 */
function clock(kind, periodMs, read) {
  const key = `${kind} ${periodMs}`;
  let found = clocks.get(key);
  if (!found) clocks.set(key, (found = ticking(periodMs, read)));
  return found;
}

/**
 * @param {number} periodMs
 * @param {() => number} read
 */
function ticking(periodMs, read) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const tick = () => {
    value.value = read();
  };
  const onVisibility = () => {
    clearInterval(timer);
    timer = undefined;
    if (document.hidden) return;
    tick();
    timer = setInterval(tick, periodMs);
  };
  const value = signal(read(), {
    watched() {
      document.addEventListener("visibilitychange", onVisibility);
      onVisibility();
    },
    unwatched() {
      document.removeEventListener("visibilitychange", onVisibility);
      clearInterval(timer);
      timer = undefined;
    },
  });
  return value;
}
