/** @file The last lines of a log, up to so much text. PURE. */

/** @typedef {import("./ansi.js").Line} Line */

/** What a client holds of a log, as the server does. */
export const HELD = 100 * 1024;

/**
 * Lines, the oldest of which go when they are too much text.
 *
 * While it is `held`, because somebody reads the lines that were there, these stay; of what comes then the oldest goes
 * first, and a notice says how many lines.
 */
export class LogLines {
  #cap;
  #size = 0;
  /** @type {number | null} index of the first line that came while it is held */
  #pivot = null;
  #leftOut = 0;
  #heldSize = 0;

  /** @param {number} [cap] characters, line ends included */
  constructor(cap = HELD) {
    this.#cap = cap;
    /** @type {Line[]} */
    this.lines = [];
    /** Lines that have gone at the front, ever. */
    this.gone = 0;
    /** Lines that have come, ever. */
    this.come = 0;
  }

  get isHeld() {
    return this.#pivot !== null;
  }

  /** Adds lines, which it owns from now on. @param {Line[]} lines */
  push(lines) {
    this.come += lines.length;
    for (const line of lines) {
      this.lines.push(line);
      this.#size += line.text.length + 1;
    }
    this.#shrink();
  }

  /** Keeps what is there until `release`. */
  hold() {
    if (this.#pivot !== null) return;
    this.#pivot = this.lines.length;
    this.#heldSize = this.#size;
    this.#leftOut = 0;
  }

  release() {
    this.#pivot = null;
    this.#shrink();
  }

  clear() {
    this.gone += this.lines.length;
    this.lines = [];
    this.#size = this.#heldSize = 0;
    this.#leftOut = 0;
    if (this.#pivot !== null) this.#pivot = 0;
  }

  /** Everything, as plain text. */
  text() {
    return this.lines.map((line) => `${line.text}\n`).join("");
  }

  #shrink() {
    const from = this.#pivot ?? 0;
    const excess = this.#size - this.#cap - (this.#pivot === null ? 0 : this.#heldSize);
    if (excess <= 0) return;
    // The notice of before is counted out and put in anew.
    const start = this.#pivot !== null && this.#leftOut > 0 ? from + 1 : from;
    let end = start;
    let freed = 0;
    while (freed < excess && end < this.lines.length - 1) {
      freed += (this.lines[end]?.text.length ?? 0) + 1;
      end += 1;
    }
    this.#size -= freed;
    if (this.#pivot === null) {
      this.lines.splice(0, end);
      this.gone += end;
      return;
    }
    this.#leftOut += end - start;
    if (this.#leftOut === 0) return;
    const text = `— ${this.#leftOut} lines left out while you were reading —`;
    /** @type {Line} */
    const notice = { id: -1 - this.come, text, runs: null, notice: true };
    this.lines.splice(from, end - from, notice);
  }
}

const TOO_LONG = 1000;

/**
 * Returns what a filter's *pattern* means: null for an empty one. Raises SyntaxError in words for a person.
 * @param {string} pattern @returns {RegExp | null}
 */
export function filterOf(pattern) {
  if (!pattern) return null;
  if (pattern.length > TOO_LONG) throw new SyntaxError(`A filter has at most ${TOO_LONG} characters.`);
  try {
    return new RegExp(pattern, "i");
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : String(error);
    throw new SyntaxError(`Not a regular expression: ${reason}`);
  }
}

const WIDE = /[^\u0020-\u007e]/;

/** Whether each character of *text* surely takes one cell. @param {string} text */
export const isSimple = (text) => !WIDE.test(text);

/**
 * How many rows *text* takes, broken like on a terminal; a guess if it is not simple.
 * @param {string} text
 * @param {number} columns
 */
export function rowsOf(text, columns) {
  return Math.max(1, Math.ceil(text.length / Math.max(1, columns)));
}

/** @typedef {"debug" | "info" | "warn" | "error"} Level */

const LEVEL = /^(?:\d\S*(?: \d\S*)? )?\[(DEBUG|INFO|WARN|ERROR)\] /;

/** Returns the level that a line of our own log begins with. @param {string} text @returns {Level | null} */
export function levelOf(text) {
  const found = LEVEL.exec(text);
  return found ? /** @type {Level} */ (found[1]?.toLowerCase()) : null;
}
