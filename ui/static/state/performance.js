/**
 * @file The last hour of the machine, fetched while somebody looks at it; kept when one goes elsewhere and comes back.
 */

import { signal } from "../html.js";
import { merged, NOTHING } from "../lib/performance.js";
import { ApiError, get, isAbort, wordsFor } from "./api.js";

/** @typedef {import("../types.js").PerformanceState} Answer */
/** @typedef {NonNullable<Answer["sources"]>} Sources */

export const history = signal(NOTHING);
export const sources = signal(/** @type {Sources} */ ([]));
/** "off": the server looks at nothing. */
export const standing = signal(/** @type {"unknown" | "on" | "off"} */ ("unknown"));
/** Why the last fetch failed; "" if it did not. */
export const failure = signal("");
export const busy = signal(false);
/** When there was something new, by the monotonic clock; null: never. */
export const freshAt = signal(/** @type {number | null} */ (null));

/** Fetches what is new. @param {AbortSignal} [aborted] */
export async function fetchNew(aborted) {
  if (busy.value) return;
  busy.value = true;
  try {
    const { newest } = history.value;
    /** @type {Answer} */
    const answer = await get("/api/performance", {
      ...(aborted && { signal: aborted }),
      query: newest ? { after: newest } : {},
    });
    const next = merged(history.value, answer);
    if (next.newest !== newest) freshAt.value = performance.now();
    history.value = next;
    sources.value = answer.sources ?? [];
    standing.value = "on";
    failure.value = "";
  } catch (error) {
    if (isAbort(error)) return;
    const isOff = error instanceof ApiError && error.status === 503;
    if (isOff) standing.value = "off";
    failure.value = isOff ? "" : wordsFor(error);
  } finally {
    busy.value = false;
  }
}

/**
 * Fetches now and every *seconds* while the page can be seen; 0: only now. Returns what ends it.
 * @param {number} seconds @returns {() => void}
 */
export function keepFetching(seconds) {
  const ended = new AbortController();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const begin = () => {
    clearInterval(timer);
    if (document.hidden) return;
    // A reload may switch it on again; nothing else does.
    const next = () => void (standing.value === "off" || fetchNew(ended.signal));
    if (seconds) timer = setInterval(next, seconds * 1000);
    if (seconds || standing.value === "unknown") void fetchNew(ended.signal);
  };
  document.addEventListener("visibilitychange", begin);
  begin();
  return () => {
    document.removeEventListener("visibilitychange", begin);
    clearInterval(timer);
    ended.abort();
  };
}
