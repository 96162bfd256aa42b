/**
 * A model's answer, read as it arrives, in each of the three APIs. PURE.
 *
 * An answer may also be one JSON document (a server that cannot stream, an error) or an error written into a stream
 * that had begun. What is said before the model speaks, while it is loaded, is `loading` and no part of the answer.
 */

import { EventStream } from "./event-stream.js";
import { LoadingText } from "./loading-text.js";
import { ThinkTags } from "./think-tags.js";

/** @typedef {import("./dialects.js").DialectName} DialectName */
/** @typedef {{ id: string, name: string, arguments: string }} ToolCall */
/** @typedef {{ input: number, output: number, cached: number }} Usage - tokens, -1: not told */
/** @typedef {{ promptPerSecond: number, perSecond: number }} Timings - the server's own figures, -1: not told */
/** @typedef {Record<string, any>} Json - a document from outside: whatever is read from it is looked at first */

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
  #dialect;

  /** @param {DialectName} dialect */
  constructor(dialect) {
    this.#dialect = dialect;
  }

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
      READERS[this.#dialect](this, document, { speak: (words, isThought) => this.#say(words, isThought) });
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
    READERS[this.#dialect](this, document, { speak: (words, isThought) => this.#say(words, isThought) });
    if (this.hasBegun) this.loading = "";
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

/** @typedef {{ speak: (words: string, isThought: boolean) => void }} Voice */

/** @type {Record<DialectName, (answer: AnswerReader, document: Json, voice: Voice) => void>} */
const READERS = { chat: readChat, messages: readMessages, responses: readResponses };

/**
 * @param {AnswerReader} answer
 * @param {Json} document
 * @param {Voice} voice
 */
function readChat(answer, document, { speak }) {
  const choice = Array.isArray(document.choices) ? document.choices.find(isObject) : undefined;
  if (!choice) return;
  const delta = isObject(choice.delta) ? choice.delta : isObject(choice.message) ? choice.message : {};
  // vLLM and others say `reasoning`, everybody else `reasoning_content`.
  speak(string(delta.reasoning_content) || string(delta.reasoning), true);
  // `text` is what /v1/completions says.
  speak(string(delta.content) || string(delta.refusal) || string(choice.text), false);
  for (const call of Array.isArray(delta.tool_calls) ? delta.tool_calls.filter(isObject) : []) {
    const piece = isObject(call.function) ? call.function : {};
    addCall(answer, number(call.index), string(call.id), string(piece.name), string(piece.arguments));
  }
  if (typeof choice.finish_reason === "string") {
    answer.stopReason = choice.finish_reason;
    answer.complete = true;
  }
}

/**
 * @param {AnswerReader} answer
 * @param {Json} document
 * @param {Voice} voice
 */
function readMessages(answer, document, { speak }) {
  const delta = isObject(document.delta) ? document.delta : {};
  switch (document.type) {
    case "ping":
      // Hostler's addition: what the request waits for.
      if (typeof document.status === "string" && !answer.hasBegun) answer.loading = document.status;
      break;
    case "content_block_start":
      readBlock(answer, isObject(document.content_block) ? document.content_block : {}, number(document.index), speak);
      break;
    case "content_block_delta":
      speak(string(delta.thinking), true);
      speak(string(delta.text), false);
      if (typeof delta.partial_json === "string") addCall(answer, number(document.index), "", "", delta.partial_json);
      break;
    case "message_delta":
      answer.stopReason = string(delta.stop_reason) || answer.stopReason;
      break;
    case "message_stop":
      answer.complete = true;
      break;
    case "message":
      answer.stopReason = string(document.stop_reason);
      for (const [index, block] of Array.isArray(document.content) ? document.content.entries() : []) {
        if (isObject(block)) readBlock(answer, block, index, speak);
      }
  }
}

/**
 * @param {AnswerReader} answer
 * @param {Json} block
 * @param {number} index
 * @param {Voice["speak"]} speak
 */
function readBlock(answer, block, index, speak) {
  speak(string(block.thinking), true);
  speak(string(block.text), false);
  if (block.type === "tool_use") {
    const isGiven = isObject(block.input) && Object.keys(block.input).length > 0;
    addCall(answer, index, string(block.id), string(block.name), isGiven ? JSON.stringify(block.input) : "");
  }
}

/**
 * @param {AnswerReader} answer
 * @param {Json} document
 * @param {Voice} voice
 */
function readResponses(answer, document, { speak }) {
  switch (document.type) {
    case "response.reasoning_text.delta":
    case "response.reasoning_summary_text.delta":
      speak(string(document.delta), true);
      break;
    case "response.output_text.delta":
    case "response.refusal.delta":
      speak(string(document.delta), false);
      break;
    case "response.output_item.added":
      if (isObject(document.item) && document.item.type === "function_call") {
        const { id, name } = document.item;
        addCall(answer, number(document.output_index), string(id), string(name), string(document.item.arguments));
      }
      break;
    case "response.function_call_arguments.delta":
      addCall(answer, number(document.output_index), "", "", string(document.delta));
      break;
    case "response.completed":
    case "response.incomplete":
      answer.complete = true;
      answer.stopReason = endOf(document.response);
      break;
    default:
      if (document.object === "response") readResponse(answer, document, speak);
  }
}

/**
 * Reads a response that came in one piece.
 *
 * @param {AnswerReader} answer
 * @param {Json} response
 * @param {Voice["speak"]} speak
 */
function readResponse(answer, response, speak) {
  answer.stopReason = endOf(response);
  for (const [index, item] of Array.isArray(response.output) ? response.output.entries() : []) {
    if (!isObject(item)) continue;
    if (item.type === "function_call") {
      addCall(answer, index, string(item.call_id), string(item.name), string(item.arguments));
    }
    const parts = [item.summary, item.content].flatMap((list) => (Array.isArray(list) ? list.filter(isObject) : []));
    for (const part of parts) speak(string(part.text) || string(part.refusal), item.type === "reasoning");
  }
}

/** @param {unknown} response */
function endOf(response) {
  if (!isObject(response)) return "";
  const details = isObject(response.incomplete_details) ? response.incomplete_details : {};
  return string(details.reason) || string(response.status);
}

/**
 * @param {AnswerReader} answer
 * @param {number} index
 * @param {string} id
 * @param {string} name
 * @param {string} text
 */
function addCall(answer, index, id, name, text) {
  const key = String(Math.max(index, 0));
  const known = answer.toolCalls.find((call) => call.id === key || (id !== "" && call.id === id));
  const call = known ?? { id: key, name: "", arguments: "" };
  if (!known) answer.toolCalls.push(call);
  call.name ||= name;
  call.arguments += text;
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

/**
 * @param {string} text
 * @returns {Json | null}
 */
function parsed(text) {
  try {
    const document = JSON.parse(text);
    return isObject(document) ? document : null;
  } catch {
    return null;
  }
}

/**
 * @param {unknown} value
 * @returns {value is Json}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function string(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : -1;
}
