/** @file One log by its path, followed for as long as somebody wants it. */

import { retryAfterMs } from "../lib/backoff.js";
import { raw, wordsFor } from "./api.js";

/**
 * @typedef {object} Listener
 * @property {() => void} onStart  a connection stands, and tells the log from its history on
 * @property {(text: string) => void} onText
 * @property {(reason: string | null) => void} onState  why there is no connection; null: there is one
 */

/**
 * Follows the log at *path*, connecting anew whenever the connection ends. Returns what ends it.
 * @param {string} path @param {Listener} listener @returns {() => void}
 */
export function followLog(path, listener) {
  const ended = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;

  async function connect() {
    try {
      const response = await raw(path, { signal: ended.signal });
      const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
      const decoder = new TextDecoder();
      listener.onStart();
      listener.onState(null);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        failures = 0;
        listener.onText(decoder.decode(value, { stream: true }));
      }
      throw new Error("the connection has ended");
    } catch (error) {
      if (ended.signal.aborted) return;
      failures += 1;
      listener.onState(wordsFor(error));
      timer = setTimeout(connect, retryAfterMs(failures));
    }
  }

  void connect();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}
