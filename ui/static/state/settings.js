// What this browser remembers: signals kept in localStorage as JSON, under "hostler.<key>".

import { effect, signal } from "../html.js";

const PREFIX = "hostler.";

/**
 * @template T
 * @typedef {import("../html.js").Signal<T>} Signal
 */

/** @type {Map<string, {signal: Signal<any>, load: (text: string | null) => any}>} */
const kept = new Map();

/**
 * Returns a signal whose value outlives the page and follows other tabs. Asked for twice, it is the same signal.
 * Without storage (private windows, a full disk) it is an ordinary one.
 *
 * Values are JSON and are replaced, not changed in place.
 *
 * @template T
 * @param {string} key
 * @param {T} initial where nothing, or nothing valid, is stored
 * @param {(value: any) => boolean} [valid] whether what is stored can be used; by default what is of the initial's kind
 * @returns {Signal<T>}
 */
export function stored(key, initial, valid = (value) => sameKind(value, initial)) {
  const known = kept.get(key);
  if (known) return known.signal;
  /** @param {string | null} text */
  const load = (text) => {
    if (text === null) return initial;
    try {
      const value = JSON.parse(text);
      return valid(value) ? value : initial;
    } catch {
      return initial;
    }
  };
  let text = read(key);
  const value = signal(/** @type {T} */ (load(text)));
  let first = true;
  effect(() => {
    const now = JSON.stringify(value.value);
    // What is only the default is not written, so that a later version may have a better one.
    if (first) {
      first = false;
      text = now;
    } else if (now !== text) {
      text = now;
      write(key, now);
    }
  });
  kept.set(key, {
    signal: value,
    load: (changed) => {
      const next = load(changed);
      // Known before it is set: what comes from another tab is not written back.
      text = JSON.stringify(next);
      return next;
    },
  });
  return value;
}

/**
 * @param {unknown} value
 * @param {unknown} initial
 */
function sameKind(value, initial) {
  return typeof value === typeof initial && Array.isArray(value) === Array.isArray(initial) && (value === null) === (initial === null);
}

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} text
 */
function write(key, text) {
  try {
    localStorage.setItem(PREFIX + key, text);
  } catch {
    // Full or forbidden: it holds until the page is closed.
  }
}

addEventListener("storage", (event) => {
  if (event.key === null) {
    // Another tab has cleared everything.
    for (const entry of kept.values()) entry.signal.value = entry.load(null);
  } else if (event.key.startsWith(PREFIX)) {
    const entry = kept.get(event.key.slice(PREFIX.length));
    if (entry) entry.signal.value = entry.load(event.newValue);
  }
});

/** Forgets everything that is stored; the page has to be loaded anew for it to hold. */
export function clearStored() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } catch {
    // No storage: nothing was kept.
  }
}
