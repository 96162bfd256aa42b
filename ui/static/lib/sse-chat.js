/**
 * What a model has said, put together from a captured answer: a stream or one document, of OpenAI's chat completions,
 * completions and Responses, of Anthropic's Messages, and of llama.cpp's own completions.
 *
 * A capture can be cut anywhere and hold anything, so nothing here trusts a type, and what is not understood is
 * passed over.
 */

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

/** @typedef {Record<string, unknown>} Json */

/**
 * Returns the events of a stream: their names and their data, lines joined. Comments and other fields are left out.
 *
 * @param {string} text
 * @returns {{event: string, data: string}[]}
 */
export function events(text) {
  /** @type {{event: string, data: string}[]} */
  const found = [];
  let event = "";
  /** @type {string[]} */
  let data = [];
  for (const line of `${text}\n\n`.split(/\r\n|\r|\n/)) {
    if (line === "") {
      if (data.length) found.push({ event, data: data.join("\n") });
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
  }
  return found;
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
    if (document) chat.add(document);
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
  if (isObject(document)) chat.whole(document);
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

  /** @param {Json} document  One event of a stream. */
  add(document) {
    const type = string(document.type);
    if (document.error !== undefined && document.error !== null) this.fail(document.error);
    if (type.startsWith("response.")) this.response(type, document);
    else if (type === "error") this.fail(document.error ?? document);
    else if (Array.isArray(document.choices)) this.openai(document.choices, "delta");
    else if (/^(message_|content_block_)/.test(type)) this.anthropic(type, document);
    else if (typeof document.content === "string" && "stop" in document) this.llamacpp(document);
  }

  /** @param {Json} document  A whole answer. */
  whole(document) {
    if (document.error !== undefined && document.error !== null) this.fail(document.error);
    if (Array.isArray(document.choices)) this.openai(document.choices, "message");
    else if (document.type === "message" && Array.isArray(document.content)) {
      const said = this.said(0);
      document.content.forEach((block, index) => this.block(said, index, block));
      said.stop = string(document.stop_reason);
    } else if (document.object === "response" && Array.isArray(document.output)) this.output(document);
    else if (typeof document.content === "string" && "stop" in document) this.llamacpp(document);
  }

  /**
   * @param {unknown[]} choices
   * @param {"delta" | "message"} member
   */
  openai(choices, member) {
    this.isChat = true;
    for (const choice of choices) {
      if (!isObject(choice)) continue;
      const said = this.said(Number(choice.index) || 0);
      said.content += string(choice.text);
      said.stop = string(choice.finish_reason) || said.stop;
      const part = choice[member];
      if (!isObject(part)) continue;
      said.reasoning += string(part.reasoning_content) || string(part.reasoning);
      said.content += textOf(part.content) || string(part.refusal);
      for (const call of list(part.tool_calls)) {
        const asked = isObject(call.function) ? call.function : {};
        this.call(said, `${choice.index}/${call.index ?? call.id}`, string(asked.name), string(asked.arguments));
      }
    }
  }

  /**
   * @param {string} type
   * @param {Json} document
   */
  anthropic(type, document) {
    this.isChat = true;
    const said = this.said(0);
    const delta = isObject(document.delta) ? document.delta : {};
    if (type === "content_block_start") this.block(said, Number(document.index), document.content_block);
    if (type === "message_delta") said.stop = string(delta.stop_reason) || said.stop;
    if (type !== "content_block_delta") return;
    said.content += string(delta.text);
    said.reasoning += string(delta.thinking);
    if (typeof delta.partial_json === "string") this.call(said, `block ${document.index}`, "", delta.partial_json);
  }

  /**
   * @param {Said} said
   * @param {number} index
   * @param {unknown} block
   */
  block(said, index, block) {
    this.isChat = true;
    if (!isObject(block)) return;
    said.content += string(block.text);
    said.reasoning += string(block.thinking);
    if (!/tool_use$/.test(string(block.type))) return;
    // At the start of a streamed block its input is an empty object, which stands for nothing yet.
    const input = isObject(block.input) && Object.keys(block.input).length ? JSON.stringify(block.input) : "";
    this.call(said, `block ${index}`, string(block.name), input);
  }

  /**
   * @param {string} type
   * @param {Json} document
   */
  response(type, document) {
    this.isChat = true;
    const said = this.said(0);
    const key = `output ${document.output_index}`;
    if (type === "response.output_text.delta" || type === "response.refusal.delta")
      said.content += string(document.delta);
    else if (/^response\.reasoning(_summary)?(_text)?\.delta$/.test(type)) said.reasoning += string(document.delta);
    else if (type === "response.function_call_arguments.delta") this.call(said, key, "", string(document.delta));
    else if (type === "response.output_item.added") {
      const item = isObject(document.item) ? document.item : {};
      if (item.type === "function_call") this.call(said, key, string(item.name), "");
    } else if (/^response\.(completed|incomplete|failed)$/.test(type) && isObject(document.response)) {
      said.stop = string(document.response.status);
      if (isObject(document.response.error)) this.fail(document.response.error);
      // A stream of which the beginning is missing still ends with everything.
      if (!said.content && !said.reasoning && !said.tools.length) this.output(document.response);
    }
  }

  /** @param {Json} response */
  output(response) {
    this.isChat = true;
    const said = this.said(0);
    said.stop = string(response.status);
    for (const item of list(response.output)) {
      if (item.type === "function_call") this.call(said, String(item.id), string(item.name), string(item.arguments));
      else if (item.type === "reasoning") said.reasoning += textOf(item.summary) || textOf(item.content);
      else said.content += textOf(item.content);
    }
  }

  /** @param {Json} document */
  llamacpp(document) {
    this.isChat = true;
    const said = this.said(0);
    said.content += string(document.content);
    if (document.stop) said.stop = string(document.stop_type) || said.stop;
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

/**
 * Returns the text of what APIs give as a text or as a list of parts.
 *
 * @param {unknown} content
 * @returns {string}
 */
export function textOf(content) {
  if (typeof content === "string") return content;
  return list(content)
    .map((part) => string(part.text) || string(part.refusal))
    .join("");
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

/** @param {unknown} value @returns {string} */
function string(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value @returns {Json[]} */
function list(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** @param {unknown} value @returns {value is Json} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
