/**
 * A model's answer, read as it arrives, in each of the three APIs. PURE.
 *
 * An answer may also be one JSON document (a server that cannot stream, an error) or an error written into a stream
 * that had begun. What is said before the model speaks, while it is loaded, is `loading` and no part of the answer.
 */

import { EventStream } from "./event-stream.js";
import { LoadingText } from "./loading-text.js";
import { isObject, number, parsed, saidIn, string } from "./said.js";
import { ThinkTags } from "./think-tags.js";

/** @typedef {{ id: string, name: string, arguments: string }} ToolCall */
/** @typedef {{ input: number, output: number, cached: number }} Usage - tokens, -1: not told */
/** @typedef {{ promptPerSecond: number, perSecond: number }} Timings - the server's own figures, -1: not told */
/** @typedef {import("./said.js").Json} Json */

export class AnswerReader {
  content = "";
  reasoning = "";
  /** What is said of the model's loading, in words; empty once the model speaks. */
  loading = "";
  /** @type {ToolCall[]} */
  toolCalls = [];
  /** @type {Usage} */
  usage = { input: -1, output: -1, cached: -1 };
  /** @type {Timings} */
  timings = { promptPerSecond: -1, perSecond: -1 };
  /** The server's words; empty: none. */
  error = "";
  stopReason = "";
  /** The model that answered, as its server says. */
  model = "";
  /** Whether the stream has said that it is complete: one that has not was cut. */
  complete = false;

  #stream = new EventStream();
  #loadingText = new LoadingText();
  #tags = new ThinkTags();

  /** Whether the model has said anything yet. */
  get hasBegun() {
    return this.content !== "" || this.reasoning !== "" || this.toolCalls.length > 0;
  }

  /**
   * Takes the next piece of the stream.
   *
   * @param {string} text
   */
  push(text) {
    for (const found of this.#stream.push(text)) this.#take(found);
  }

  /** Takes the end of the stream. */
  end() {
    for (const found of this.#stream.end()) this.#take(found);
    this.#say(this.#loadingText.end(), true);
    const rest = this.#tags.end();
    this.content += rest.content;
    this.reasoning += rest.reasoning;
    this.loading = "";
  }

  /**
   * Takes an answer that is no stream: one document, or an error's text.
   *
   * @param {string} text
   */
  whole(text) {
    const document = parsed(text);
    if (!document) {
      this.content = text;
    } else if (errorOf(document)) {
      this.error = errorOf(document);
    } else {
      this.#figures(document);
      this.#hear(document);
      this.end();
      this.complete = true;
    }
  }

  /** @param {import("./event-stream.js").StreamEvent | import("./event-stream.js").StreamComment} found */
  #take(found) {
    if ("comment" in found) {
      if (found.comment && !this.hasBegun) this.loading = found.comment;
      return;
    }
    if (found.data === "[DONE]") {
      this.complete = true;
      return;
    }
    const document = parsed(found.data);
    if (!document) return;
    const error = errorOf(document);
    if (error) {
      this.error = error;
      return;
    }
    this.#figures(document);
    // Hostler's addition: what the request waits for.
    if (document.type === "ping" && !this.hasBegun) this.loading = string(document.status) || this.loading;
    this.#hear(document);
    if (this.hasBegun) this.loading = "";
  }

  /** @param {Json} document */
  #hear(document) {
    const pieces = saidIn(document) ?? [];
    // Of several answers one is shown.
    for (const piece of pieces.filter(({ choice }) => choice === pieces[0]?.choice)) {
      this.#say(piece.reasoning, true);
      this.#say(piece.content, false);
      for (const call of piece.calls) addCall(this.toolCalls, call);
      this.stopReason = piece.detail || piece.stop || this.stopReason;
      this.complete ||= piece.isEnd;
    }
  }

  /**
   * @param {string} words
   * @param {boolean} isThought
   */
  #say(words, isThought) {
    if (isThought) {
      const own = this.#loadingText.push(words);
      this.reasoning += own;
      if (this.#loadingText.status) this.loading = this.#loadingText.status;
      return;
    }
    const said = this.#tags.push(words);
    this.content += said.content;
    this.reasoning += said.reasoning;
  }

  /** @param {Json} document */
  #figures(document) {
    const inner = isObject(document.message) ? document.message : isObject(document.response) ? document.response : {};
    if (isObject(inner.usage)) {
      const { output } = this.usage;
      this.usage = counted(inner.usage, this.usage);
      // What Anthropic's opening event tells of the output is not the end of it.
      if (document.type === "message_start") this.usage.output = output;
    }
    if (isObject(document.usage)) this.usage = counted(document.usage, this.usage);
    const timings = document.timings ?? inner.timings;
    if (isObject(timings)) {
      const { prompt_per_second: prompt, predicted_per_second: predicted } = timings;
      this.timings = { promptPerSecond: number(prompt), perSecond: number(predicted) };
    }
    const model = document.model ?? inner.model;
    if (typeof model === "string") this.model = model;
  }
}

/**
 * @param {ToolCall[]} calls
 * @param {import("./said.js").CallPiece} piece
 */
function addCall(calls, { index, id, name, arguments: more }) {
  const key = String(Math.max(index, 0));
  const known = calls.find((call) => call.id === key || (id !== "" && call.id === id));
  const call = known ?? { id: key, name: "", arguments: "" };
  if (!known) calls.push(call);
  call.name ||= name;
  call.arguments += more;
}

/**
 * Returns the error that *document* tells of, in whichever way; empty if it is none.
 *
 * @param {Json} document
 * @returns {string}
 */
export function errorOf(document) {
  const failed = isObject(document.response) ? document.response.error : undefined;
  const error = document.error ?? failed;
  if (isObject(error)) return string(error.message) || string(error.code) || "an error without a message";
  if (typeof error === "string" && error) return error;
  if (document.type === "error") return string(document.message) || "an error without a message";
  if (document.detail !== undefined && document.choices === undefined) return detail(document.detail);
  return "";
}

/**
 * FastAPI's errors: a text, or a list of what is wrong where.
 *
 * @param {unknown} said
 * @returns {string}
 */
function detail(said) {
  if (!Array.isArray(said)) return string(said);
  const wrong = said.filter(isObject).map(({ loc, msg }) => `${Array.isArray(loc) ? loc.join(".") : ""}: ${msg}`);
  return wrong.join("; ");
}

/**
 * @param {Json} usage
 * @param {Usage} before
 * @returns {Usage}
 */
function counted(usage, before) {
  const details = usage.prompt_tokens_details ?? usage.input_tokens_details;
  const cached = usage.cache_read_input_tokens ?? (isObject(details) ? details.cached_tokens : undefined);
  const told = {
    input: number(usage.prompt_tokens ?? usage.input_tokens),
    output: number(usage.completion_tokens ?? usage.output_tokens),
    cached: number(cached),
  };
  return {
    input: told.input < 0 ? before.input : told.input,
    output: told.output < 0 ? before.output : told.output,
    cached: told.cached < 0 ? before.cached : told.cached,
  };
}
