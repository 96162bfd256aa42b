// The line over which live events come: one EventSource at a time, opened anew when it breaks.
//
// The browser would reconnect by itself, but at its own pace, without telling, and not after an error status. So each
// EventSource is closed at its first error, and another one is made after 1, 2, 4, 5, 5… s; at once when the network comes
// back or somebody looks at the tab. An EventSource does not tell why it failed: a request does.

import { signal } from "../html.js";
import { isTooSilent, retryAfterMs } from "../lib/backoff.js";
import { ApiError, UNREACHABLE, get } from "./api.js";

/**
 * Why there is no line. status: the server's, 401 where a key is needed; 0 if it cannot be reached; 200 if it can.
 * @typedef {{status: number, message: string}} Problem
 */

const WATCH_MS = 5_000;

/** A line that is opened but does not say how things stand is as good as none. */
const PATIENCE_MS = 30_000;

export class Line {
  /**
   * @param {string} url
   * @param {object} told
   * @param {() => void} told.opened another connection is there: all that follows begins anew
   * @param {(message: string) => void} told.message
   */
  constructor(url, told) {
    // the same for its whole life
    this._url = url;
    this._told = told;
    /** @type {import("../html.js").Signal<"connecting" | "open" | "lost">} "open" once `settled` was called */
    this.state = signal("connecting");
    /** @type {import("../html.js").Signal<number | null>} epoch ms */
    this.retryAt = signal(null);
    /** @type {import("../html.js").Signal<Problem | null>} */
    this.problem = signal(null);
    /** Milliseconds between samples of the machine, which tell that the line lives; null: there are none. */
    this.everyMs = /** @type {number | null} */ (null);

    // of one connection
    /** @type {EventSource | null} */
    this._source = null;
    this._heardAt = 0;

    this._failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._retry = undefined;
  }

  /**
   * Begins.
   * @returns {() => void} ends it; the page itself follows as long as it lives
   */
  start() {
    const ended = new AbortController();
    const { signal: until } = ended;
    const watch = setInterval(() => this._watch(), WATCH_MS);
    addEventListener("online", () => this.retryNow(), { signal: until });
    document.addEventListener("visibilitychange", () => this._looked(), { signal: until });
    // A page that the browser puts aside, to show it again later, cannot keep its line.
    addEventListener("pagehide", () => this._close(), { signal: until });
    addEventListener("pageshow", (event) => event.persisted && this._open(), { signal: until });
    this._open();
    return () => {
      ended.abort();
      clearInterval(watch);
      this._close();
    };
  }

  /** Says that everything is known that a newcomer is told. */
  settled() {
    this._failures = 0;
    this.problem.value = null;
    this.state.value = "open";
  }

  /** Tries again at once, if there is no line. */
  retryNow() {
    if (this.state.value === "lost") this._open();
  }

  _looked() {
    if (document.hidden) return;
    this._watch();
    this.retryNow();
  }

  _open() {
    this._close();
    this.retryAt.value = null;
    this.state.value = "connecting";
    this._heardAt = performance.now();
    const source = new EventSource(this._url);
    this._source = source;
    let isFirst = true;
    const begin = () => {
      if (isFirst) this._told.opened();
      isFirst = false;
    };
    source.onopen = () => {
      this._heardAt = performance.now();
      begin();
    };
    source.onmessage = (event) => {
      this._heardAt = performance.now();
      begin();
      this._told.message(event.data);
    };
    source.onerror = () => {
      if (source === this._source) this._lost();
    };
  }

  _close() {
    clearTimeout(this._retry);
    this._source?.close();
    this._source = null;
  }

  _lost() {
    this._close();
    this._failures += 1;
    const waitMs = retryAfterMs(this._failures);
    this.state.value = "lost";
    this.retryAt.value = Date.now() + waitMs;
    this._retry = setTimeout(() => this._open(), waitMs);
    void this._askWhy();
  }

  async _askWhy() {
    const problem = await why();
    // Meanwhile it may be back.
    if (this.state.value !== "open") this.problem.value = problem;
  }

  _watch() {
    if (!this._source) return;
    const silentMs = performance.now() - this._heardAt;
    const isDead = this.state.value === "open" ? isTooSilent(silentMs, this.everyMs) : silentMs > PATIENCE_MS;
    if (isDead) this._lost();
  }
}

/** @returns {Promise<Problem>} */
async function why() {
  try {
    await get("/api/version", { signal: AbortSignal.timeout(5_000) });
    return { status: 200, message: "The stream of events ended." };
  } catch (error) {
    return error instanceof ApiError
      ? { status: error.status, message: error.status === 401 ? `A key is needed: ${error.message}` : error.message }
      : { status: 0, message: UNREACHABLE };
  }
}
