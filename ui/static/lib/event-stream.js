/**
 * Server-sent events, read piece by piece as they arrive. PURE.
 *
 * More patient than the standard, because not every model server keeps to it: a line that is a JSON document by
 * itself counts as an event (an error written without `data:` at the end of a stream), and the last event need not be
 * followed by an empty line.
 */

/** @typedef {{ event: string, data: string }} StreamEvent */
/** @typedef {{ comment: string }} StreamComment */

/** Reads one stream; what a piece ends with in the middle of a line waits for the next. */
export class EventStream {
  /** @type {string} */
  #rest = "";
  /** @type {string[]} */
  #data = [];
  #event = "";
  #first = true;

  /**
   * Returns what *text*, the next piece of the stream, completes, in its order.
   *
   * @param {string} text
   * @returns {(StreamEvent | StreamComment)[]}
   */
  push(text) {
    if (this.#first && text) {
      text = text.replace(/^\uFEFF/, "");
      this.#first = false;
    }
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?=[^])/);
    this.#rest = /** @type {string} */ (lines.pop());
    return lines.flatMap((line) => this.#line(line));
  }

  /**
   * Returns what is left when the stream has ended.
   *
   * @returns {(StreamEvent | StreamComment)[]}
   */
  end() {
    const last = this.#rest ? this.#line(this.#rest.replace(/\r$/, "")) : [];
    this.#rest = "";
    return [...last, ...this.#dispatch()];
  }

  /**
   * @param {string} line
   * @returns {(StreamEvent | StreamComment)[]}
   */
  #line(line) {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return [{ comment: line.slice(1).trim() }];
    if (line.startsWith("{")) return [...this.#dispatch(), { event: "", data: line }];
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    return [];
  }

  /** @returns {StreamEvent[]} */
  #dispatch() {
    const event = this.#event;
    const data = this.#data;
    this.#event = "";
    this.#data = [];
    return data.length ? [{ event, data: data.join("\n") }] : [];
  }
}
