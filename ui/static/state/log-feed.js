/** @file A log as a pane shows it: read, filtered, and told of at most once a frame, however fast it comes. */

import { AnsiReader } from "../lib/ansi.js";
import { HELD, LogLines } from "../lib/log-lines.js";
import { LineFilter } from "./line-filter.js";

/** @typedef {import("../lib/ansi.js").Line} Line */

export class LogFeed {
  #reader = new AnsiReader();
  #all;
  #matching;
  /** @type {LineFilter | null} */
  #filter = null;
  /** @type {string[]} */
  #pending = [];
  #pendingSize = 0;
  #frame = 0;
  #cap;

  /** @param {number} [cap] characters held */
  constructor(cap = HELD) {
    this.#cap = cap;
    this.#all = new LogLines(cap);
    this.#matching = new LogLines(cap);
    /** @type {Line | null} the line that has no end yet */
    this.open = null;
    /** Why the filter does not filter. */
    this.failure = "";
    /** Called after a change, at most once a frame. */
    this.onChange = () => {};
  }

  get isFiltered() {
    return this.#filter !== null;
  }

  /** What is to be seen: everything, or what matches. */
  get shown() {
    return this.#filter ? this.#matching : this.#all;
  }

  /** How many lines there are, matching or not. */
  get count() {
    return this.#all.lines.length;
  }

  /** @param {string} text */
  receive(text) {
    this.#pending.push(text);
    this.#pendingSize += text.length;
    // A page in the background gets no frames, and must not collect what it will never show.
    while (this.#pendingSize > 2 * this.#cap && this.#pending.length > 1) {
      this.#pendingSize -= this.#pending.shift()?.length ?? 0;
    }
    this.#soon();
  }

  /** Keeps the lines that are shown where they are, until `release`. */
  hold() {
    this.shown.hold();
  }

  release() {
    this.#all.release();
    this.#matching.release();
    this.#soon();
  }

  /** Empties it. */
  clear() {
    this.#pending = [];
    this.#pendingSize = 0;
    this.open = null;
    this.#all.clear();
    this.#matching.clear();
    this.#soon();
  }

  /** Empties it for a log that is told anew. */
  restart() {
    this.clear();
    this.#reader = new AnsiReader();
  }

  /** Shows only lines that match *pattern*; all for "" and while a pattern is wrong. @param {string} pattern */
  setFilter(pattern) {
    this.#filter?.close();
    this.#filter = null;
    this.failure = "";
    this.release();
    this.#matching = new LogLines(this.#cap);
    if (!pattern) return;
    try {
      this.#filter = new LineFilter(pattern, (lines) => this.#matched(lines), (reason) => this.#failed(reason));
      this.#filter.push([...this.#all.lines]);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#filter?.close();
    this.onChange = () => {};
  }

  /** Everything that is shown, as plain text. */
  text() {
    return this.shown.text() + (this.open && !this.#filter ? this.open.text : "");
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => this.#read());
  }

  #read() {
    this.#frame = 0;
    if (this.#pending.length) {
      const { lines, open } = this.#reader.read(this.#pending.join(""));
      this.#pending = [];
      this.#pendingSize = 0;
      this.open = open;
      this.#all.push(lines);
      if (lines.length) this.#filter?.push(lines);
    }
    this.onChange();
  }

  /** @param {Line[]} lines */
  #matched(lines) {
    this.#matching.push(lines);
    this.#soon();
  }

  /** @param {string} reason */
  #failed(reason) {
    this.#filter = null;
    this.failure = reason;
    this.#soon();
  }
}
