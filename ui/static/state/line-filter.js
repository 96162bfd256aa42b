/**
 * @file A filter of lines by a regular expression that can not stop the page: the matching is done by a worker, and one
 * that does not answer in time is ended.
 */

import { filterOf } from "../lib/log-lines.js";

/** @typedef {import("../lib/ansi.js").Line} Line */

const PATIENCE_MS = 1500;

/** Lines that may wait for a slow pattern; of more, the oldest are passed over. */
const WAITING = 20_000;

export class LineFilter {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Line[]} */
  #waiting = [];
  /** @type {Line[]} */
  #asked = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;
  #pattern;
  #onMatching;
  #onFailure;

  /**
   * Raises SyntaxError for a pattern that is none.
   * @param {string} pattern
   * @param {(lines: Line[]) => void} onMatching  told lines that match, in their order
   * @param {(reason: string) => void} onFailure  told once; nothing is matched afterwards
   */
  constructor(pattern, onMatching, onFailure) {
    filterOf(pattern);
    this.#pattern = pattern;
    this.#onMatching = onMatching;
    this.#onFailure = onFailure;
    const worker = new Worker(new URL("../lib/filter-worker.js", import.meta.url), { type: "module" });
    worker.onmessage = (event) => this.#answered(event.data);
    worker.onerror = () => this.#fail("Filters do not work in this browser.");
    this.#worker = worker;
  }

  /** Has *lines* matched, in their turn. @param {Line[]} lines */
  push(lines) {
    if (!this.#worker) return;
    this.#waiting = this.#waiting.length ? [...this.#waiting, ...lines].slice(-WAITING) : lines;
    if (!this.#asked.length) this.#ask();
  }

  close() {
    clearTimeout(this.#watchdog);
    this.#worker?.terminate();
    this.#worker = null;
  }

  #ask() {
    if (!this.#waiting.length) return;
    this.#asked = this.#waiting;
    this.#waiting = [];
    this.#worker?.postMessage({ pattern: this.#pattern, lines: this.#asked.map((line) => line.text) });
    this.#watchdog = setTimeout(
      () => this.#fail("This pattern takes too long. Repeats within repeats, like (a+)+, do that."),
      PATIENCE_MS,
    );
  }

  /** @param {number[]} places */
  #answered(places) {
    clearTimeout(this.#watchdog);
    const asked = this.#asked;
    this.#asked = [];
    if (places.length) this.#onMatching(places.map((place) => /** @type {Line} */ (asked[place])));
    this.#ask();
  }

  /** @param {string} reason */
  #fail(reason) {
    this.close();
    this.#onFailure(reason);
  }
}
