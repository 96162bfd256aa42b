// Short news at the edge of the page. What failed stays until it is read; the rest goes by itself.

import { signal } from "../html.js";

/** @typedef {"neutral" | "good" | "busy" | "bad" | "info"} Tone */

/**
 * @typedef {object} Toast
 * @property {number} id
 * @property {string} text
 * @property {Tone} tone
 * @property {number} times how often the same has been said
 * @property {{label: string, run: () => void}} [action]
 */

const MOST = 4;
const STAYS_MS = 5_000;
const BAD_STAYS_MS = 20_000;

/** @type {import("../html.js").Signal<Toast[]>} */
export const toasts = signal([]);

/** @type {Map<number, ReturnType<typeof setTimeout>>} */
const timers = new Map();
let last = 0;

/**
 * @param {string} text
 * @param {object} [options]
 * @param {Tone} [options.tone]
 * @param {{label: string, run: () => void}} [options.action]
 * @param {number} [options.stayMs] Infinity: until it is dismissed
 * @returns {number} its id, for `dismiss`
 */
export function toast(text, { tone = "neutral", action, stayMs = tone === "bad" ? BAD_STAYS_MS : STAYS_MS } = {}) {
  const same = toasts.value.find((shown) => shown.text === text && shown.tone === tone);
  const id = same?.id ?? (last += 1);
  const next = { id, text, tone, times: (same?.times ?? 0) + 1, ...(action ? { action } : {}) };
  const others = toasts.value.filter((shown) => shown.id !== id);
  for (const dropped of others.slice(0, Math.max(0, others.length - MOST + 1))) forget(dropped.id);
  toasts.value = [...others.slice(-(MOST - 1)), next];
  stay(id, stayMs);
  return id;
}

/** @param {number} id */
export function dismiss(id) {
  forget(id);
  toasts.value = toasts.value.filter((shown) => shown.id !== id);
}

/**
 * Keeps one for as long as it is read (under the pointer or the focus), then so long.
 * @param {number} id
 * @param {number} [stayMs]
 */
export function stay(id, stayMs = STAYS_MS) {
  forget(id);
  if (Number.isFinite(stayMs)) timers.set(id, setTimeout(() => dismiss(id), stayMs));
}

/** @param {number} id */
function forget(id) {
  clearTimeout(timers.get(id));
  timers.delete(id);
}
