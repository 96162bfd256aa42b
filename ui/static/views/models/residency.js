// The residency of the last hour, kept up to date: each change of a model's state makes the page ask for what is new.

import { effect, signal } from "../../html.js";
import { get, isAbort, wordsFor } from "../../state/api.js";
import { connection, connections, models } from "../../state/store.js";

/** @typedef {import("../../types.js").Residency} Residency */
/** @typedef {import("../../types.js").ResidencyChange} ResidencyChange */

export const HOUR_MS = 3_600_000;

/**
 * @typedef {object} Known
 * @property {ResidencyChange[]} changes oldest first
 * @property {number} sinceMs from when on nothing is missing, by the server's clock
 * @property {number} aheadMs how far the server's clock is ahead of ours
 * @property {number} last id of the newest change
 */

const current = signal(/** @type {Known | null} */ (null));
const trouble = signal(/** @type {string | null} */ (null));

/** null: it has not been answered yet. */
export const residency = /** @type {import("../../html.js").ReadonlySignal<Known | null>} */ (current);
/** The server's words, if the last try failed. */
export const residencyTrouble = /** @type {import("../../html.js").ReadonlySignal<string | null>} */ (trouble);

let readers = 0;
/** @type {(() => void) | null} */
let stop = null;

/**
 * Keeps it up to date until what is returned is called; for `useEffect`.
 * @returns {() => void}
 */
export function followResidency() {
  readers += 1;
  stop ??= effect(() => {
    // What makes it old: a state has changed, or there may have been news while the line was down.
    void models.value;
    void connections.value;
    if (connection.value === "open") refresh();
  });
  return () => {
    readers -= 1;
    if (readers > 0) return;
    stop?.();
    stop = null;
  };
}

let isAsking = false;
let isOld = false;

/** Asks for what is new; once more if something has changed meanwhile. */
export async function refresh() {
  if (isAsking) {
    isOld = true;
    return;
  }
  isAsking = true;
  try {
    do {
      isOld = false;
      await ask();
    } while (isOld);
    trouble.value = null;
  } catch (error) {
    if (!isAbort(error)) trouble.value = wordsFor(error);
  } finally {
    isAsking = false;
  }
}

async function ask() {
  const before = current.peek();
  /** @type {Residency} */
  let answer = await get("/api/residency", { query: { after: before?.last ?? null } });
  // A server that was started anew counts from 1, and knows nothing of what was before it.
  const newest = before?.changes.at(-1);
  const knownMs = newest ? Date.parse(newest.at) : (before?.sinceMs ?? 0);
  const isAnother = before !== null && (answer.last < before.last || Date.parse(answer.since) > knownMs);
  if (isAnother) answer = await get("/api/residency");
  const nowMs = Date.parse(answer.now);
  const old = before && !isAnother ? before.changes : [];
  current.value = {
    changes: [...old, ...answer.changes].filter((change) => Date.parse(change.at) >= nowMs - HOUR_MS),
    sinceMs: Date.parse(answer.since),
    aheadMs: nowMs - Date.now(),
    last: answer.last,
  };
}
