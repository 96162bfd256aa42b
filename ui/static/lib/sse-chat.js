/**
 * What a model has said, put together from a captured answer: a stream or one document, of OpenAI's chat completions,
 * completions and Responses, of Anthropic's Messages, and of llama.cpp's own completions.
 *
 * A capture can be cut anywhere and hold anything, so nothing here trusts a type, and what is not understood is
 * passed over.
 */
import { EventStream } from "./event-stream.js";
import { isObject, parsed, saidIn, saidInResponse, string } from "./said.js";

/**
 * @typedef {object} Said
 * @property {string} reasoning
 * @property {string} content
 * @property {{name: string, arguments: string}[]} tools  Calls of tools.
 * @property {string} stop  Why it ended, in the server's word; "" if it does not say.
 */

/**
 * @typedef {object} Chat
 * @property {Said[]} choices  More than one if more than one answer was asked for.
 * @property {string} error    What the stream says went wrong; "" for nothing.
 */

/** @typedef {import("./said.js").Json} Json */

/**
 * Returns the events of a stream: their names and their data, lines joined. Comments and other fields are left out.
 *
 * @param {string} text
 * @returns {import("./event-stream.js").StreamEvent[]}
 */
export function events(text) {
  const stream = new EventStream();
  return [...stream.push(text), ...stream.end()].filter((found) => "data" in found);
}

/**
 * Returns what a stream says; null if it is none that is understood.
 *
 * @param {string} text
 * @returns {Chat | null}
 */
export function chatOfStream(text) {
  const chat = new Collected();
  for (const { data } of events(text)) {
    if (data === "[DONE]") continue;
    const document = parsed(data);
    if (!document) continue;
    chat.add(document);
    if (document.type === "error") chat.fail(document.error ?? document);
  }
  return chat.result();
}

/**
 * Returns what a whole answer says; null if it is none that is understood.
 *
 * @param {unknown} document
 * @returns {Chat | null}
 */
export function chatOfDocument(document) {
  const chat = new Collected();
  if (isObject(document)) chat.add(document);
  return chat.result();
}

class Collected {
  constructor() {
    /** @type {Map<number, Said>} */
    this.choices = new Map();
    /** @type {Map<string, {name: string, arguments: string}>} */
    this.calls = new Map();
    this.error = "";
    this.isChat = false;
  }

  /** @returns {Chat | null} */
  result() {
    if (!this.isChat && !this.error) return null;
    const choices = [...this.choices].sort(([a], [b]) => a - b).map(([, said]) => said);
    return { choices, error: this.error };
  }

  /** @param {Json} document  One event of a stream, or a whole answer. */
  add(document) {
    if (document.error !== undefined && document.error !== null) this.fail(document.error);
    const pieces = saidIn(document);
    if (pieces) this.take(pieces);
    const { type, response } = document;
    if (/^response\.(completed|incomplete|failed)$/.test(string(type)) && isObject(response)) {
      if (isObject(response.error)) this.fail(response.error);
      // A stream of which the beginning is missing still ends with everything.
      const { content, reasoning, tools } = this.said(0);
      if (!content && !reasoning && !tools.length) this.take(saidInResponse(response));
    }
  }

  /** @param {import("./said.js").Piece[]} pieces */
  take(pieces) {
    this.isChat = true;
    for (const piece of pieces) {
      const said = this.said(piece.choice);
      said.reasoning += piece.reasoning;
      said.content += piece.content;
      said.stop = piece.stop || said.stop;
      for (const call of piece.calls) {
        this.call(said, `${piece.choice}/${call.index < 0 ? call.id : call.index}`, call.name, call.arguments);
      }
    }
  }

  /** @param {unknown} error */
  fail(error) {
    const text = isObject(error) ? string(error.message) || JSON.stringify(error) : String(error);
    this.error = this.error || text;
  }

  /**
   * @param {number} index
   * @returns {Said}
   */
  said(index) {
    let found = this.choices.get(index);
    if (!found) this.choices.set(index, (found = { reasoning: "", content: "", tools: [], stop: "" }));
    return found;
  }

  /**
   * @param {Said} said
   * @param {string} key  By which the parts of one call find together.
   * @param {string} name
   * @param {string} more
   */
  call(said, key, name, more) {
    let found = this.calls.get(key);
    if (!found) {
      this.calls.set(key, (found = { name: "", arguments: "" }));
      said.tools.push(found);
    }
    found.name += name;
    found.arguments += more;
  }
}
