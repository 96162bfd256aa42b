// The two logs as live events tell of them: the last 100 KiB of each. Ten thousand lines a second come in some twenty
// pieces; who shows them is told at most once a frame.

import { signal } from "../html.js";

/** @typedef {import("../types.js").LogSource} LogSource */

/**
 * Told of new text. restarted: what was there before is void, and the text is all there is.
 * @callback Listener
 * @param {string} text
 * @param {boolean} restarted
 * @returns {void}
 */

/** Characters kept of each log. */
export const KEPT = 100 * 1024;

/** Text that grows at one end and is forgotten at the other, at the end of a line where there is one. */
export class LogRing {
  constructor() {
    /** @type {string[]} */
    this.chunks = [];
    this.size = 0;
    /** Changes when there is new text, at most once a frame. */
    this.version = signal(0);
    /** @type {Set<Listener>} */
    this._listeners = new Set();
    this._fresh = "";
    this._restarted = false;
    this._isDue = false;
  }

  /** @returns {string} all that is kept */
  text() {
    // One piece from now on: joined once for all who ask.
    if (this.chunks.length > 1) {
      this.chunks = [tail(this.chunks.join(""))];
      this.size = /** @type {string} */ (this.chunks[0]).length;
    }
    return this.chunks[0] ?? "";
  }

  /** @param {string} text */
  append(text) {
    if (text === "") return;
    this.chunks.push(text);
    this.size += text.length;
    this._drop();
    this._fresh += text;
    if (this._fresh.length > KEPT) {
      // More than anybody keeps since the last frame, or in a hidden tab: this is all there is.
      this._fresh = tail(this._fresh);
      this._restarted = true;
    }
    this._tellSoon();
  }

  /** Forgets everything: another connection begins with its own history. */
  clear() {
    this.chunks = [];
    this.size = 0;
    this._fresh = "";
    this._restarted = true;
    this._tellSoon();
  }

  /**
   * Tells *listener* at once all that is kept, as restarted, and then what is new.
   * @param {Listener} listener
   * @returns {() => void} ends it
   */
  follow(listener) {
    // What the others are about to be told is kept already, and would come twice.
    if (this._isDue) this._tell();
    listener(this.text(), true);
    return this.subscribe(listener);
  }

  /**
   * @param {Listener} listener
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this._listeners.add(listener);
    return () => {
      this._listeners.delete(listener);
    };
  }

  _drop() {
    let [first] = this.chunks;
    while (first !== undefined && this.size - first.length >= KEPT) {
      this.chunks.shift();
      this.size -= first.length;
      [first] = this.chunks;
    }
    // A chunk may be as long as the ring itself; in between, up to one chunk too much is kept.
    if (first !== undefined && this.chunks.length === 1 && first.length > KEPT) {
      this.chunks[0] = tail(first);
      this.size = this.chunks[0].length;
    }
  }

  _tellSoon() {
    if (this._isDue) return;
    this._isDue = true;
    // Not drawn while the tab is hidden, and so not told either.
    requestAnimationFrame(() => {
      if (this._isDue) this._tell();
    });
  }

  _tell() {
    const text = this._fresh;
    const restarted = this._restarted;
    this._isDue = false;
    this._fresh = "";
    this._restarted = false;
    this.version.value += 1;
    for (const listener of this._listeners) listener(text, restarted);
  }
}

/**
 * @param {string} text
 * @returns {string} its last KEPT characters, from the beginning of a line if there is one
 */
function tail(text) {
  if (text.length <= KEPT) return text;
  const cut = text.slice(text.length - KEPT);
  const line = cut.indexOf("\n");
  return line >= 0 && line < cut.length - 1 ? cut.slice(line + 1) : cut;
}

/** @type {Readonly<Record<LogSource, LogRing>>} */
export const logs = { proxy: new LogRing(), upstream: new LogRing() };

/**
 * @param {LogSource} source
 * @param {Listener} listener
 * @returns {() => void} ends it
 */
export function subscribe(source, listener) {
  return logs[source].subscribe(listener);
}
