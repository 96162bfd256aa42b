/**
 * What a document of an answer says: an event of a stream or a whole answer, of OpenAI's chat completions, completions
 * and Responses, of Anthropic's Messages, and of llama.cpp's own completions. PURE.
 *
 * It comes from outside, so nothing here trusts a type, and what is not understood is passed over. Errors and figures
 * are the readers' own: lib/answer.js (the chat) and lib/sse-chat.js (captures).
 */

/** @typedef {Record<string, any>} Json - a document from outside: whatever is read from it is looked at first */
/** @typedef {{ index: number, id: string, name: string, arguments: string }} CallPiece - index -1: not told */

/**
 * @typedef {object} Piece
 * @property {number} choice  Of which answer, if more than one was asked for.
 * @property {string} reasoning
 * @property {string} content
 * @property {CallPiece[]} calls  Pieces of calls of tools.
 * @property {string} stop  Why it ended, in the server's word; "": that is not said.
 * @property {string} detail  What Responses give as the reason of an incomplete answer.
 * @property {boolean} isEnd  Whether the answer says that it is complete.
 */

/**
 * Returns what *document* says, in its order; null if it is nothing of an answer.
 *
 * @param {Json} document
 * @returns {Piece[] | null}
 */
export function saidIn(document) {
  const type = string(document.type);
  if (type.startsWith("response.")) return [ofResponsesEvent(type, document)];
  if (Array.isArray(document.choices)) return list(document.choices).map(ofChoice);
  if (/^(message_|content_block_)/.test(type)) return [ofMessagesEvent(type, document)];
  if (type === "message" && Array.isArray(document.content)) {
    const blocks = document.content.map((block, index) => ofBlock(index, block));
    return [...blocks, piece({ stop: string(document.stop_reason) })];
  }
  if (document.object === "response" && Array.isArray(document.output)) return saidInResponse(document);
  if (typeof document.content === "string" && "stop" in document) {
    const stop = document.stop ? string(document.stop_type) : "";
    return [piece({ content: document.content, stop, isEnd: Boolean(document.stop) })];
  }
  return null;
}

/**
 * Returns what a response of Responses says that is whole: an answer in one piece, or what the last event repeats.
 *
 * @param {Json} response
 * @returns {Piece[]}
 */
export function saidInResponse(response) {
  const items = Array.isArray(response.output) ? response.output : [];
  return [...items.map((item, index) => ofItem(index, item)), piece(endOf(response))];
}

/**
 * @param {Json} choice
 * @returns {Piece}
 */
function ofChoice(choice) {
  const isWhole = !isObject(choice.delta) && isObject(choice.message);
  const part = isObject(choice.delta) ? choice.delta : isWhole ? choice.message : {};
  return piece({
    choice: Number(choice.index) || 0,
    // vLLM and others say `reasoning`, everybody else `reasoning_content`.
    reasoning: string(part.reasoning_content) || string(part.reasoning),
    // `text` is what /v1/completions says.
    content: textOf(part.content) || string(part.refusal) || string(choice.text),
    calls: list(part.tool_calls).map((call, at) => {
      const asked = isObject(call.function) ? call.function : {};
      // A whole answer's calls are told apart by their order.
      const index = isWhole && call.index === undefined ? at : number(call.index);
      return { index, id: string(call.id), name: string(asked.name), arguments: string(asked.arguments) };
    }),
    stop: string(choice.finish_reason),
    isEnd: typeof choice.finish_reason === "string",
  });
}

/**
 * @param {string} type
 * @param {Json} document
 * @returns {Piece}
 */
function ofMessagesEvent(type, document) {
  const delta = isObject(document.delta) ? document.delta : {};
  const index = number(document.index);
  switch (type) {
    case "content_block_start":
      return ofBlock(index, document.content_block);
    case "content_block_delta": {
      const more = delta.partial_json;
      const calls = typeof more === "string" ? [{ index, id: "", name: "", arguments: more }] : [];
      return piece({ reasoning: string(delta.thinking), content: string(delta.text), calls });
    }
    case "message_delta":
      return piece({ stop: string(delta.stop_reason) });
    default:
      return piece({ isEnd: type === "message_stop" });
  }
}

/**
 * @param {number} index
 * @param {unknown} block
 * @returns {Piece}
 */
function ofBlock(index, block) {
  if (!isObject(block)) return piece({});
  const { id, name, input } = block;
  // At the start of a streamed block its input is an empty object, which stands for nothing yet.
  const given = isObject(input) && Object.keys(input).length ? JSON.stringify(input) : "";
  const isCall = /tool_use$/.test(string(block.type));
  const calls = isCall ? [{ index, id: string(id), name: string(name), arguments: given }] : [];
  return piece({ reasoning: string(block.thinking), content: string(block.text), calls });
}

/**
 * @param {string} type
 * @param {Json} document
 * @returns {Piece}
 */
function ofResponsesEvent(type, document) {
  const index = number(document.output_index);
  const delta = string(document.delta);
  if (/^response\.reasoning(_summary)?(_text)?\.delta$/.test(type)) return piece({ reasoning: delta });
  switch (type) {
    case "response.output_text.delta":
    case "response.refusal.delta":
      return piece({ content: delta });
    case "response.function_call_arguments.delta":
      return piece({ calls: [{ index, id: "", name: "", arguments: delta }] });
    case "response.output_item.added":
      return piece({ calls: ofItem(index, document.item).calls });
    case "response.completed":
    case "response.incomplete":
      return piece({ ...endOf(document.response), isEnd: true });
    case "response.failed":
      return piece(endOf(document.response));
    default:
      return piece({});
  }
}

/**
 * @param {number} index
 * @param {unknown} item
 * @returns {Piece}
 */
function ofItem(index, item) {
  if (!isObject(item)) return piece({});
  if (item.type === "function_call") {
    const { id, name, arguments: given } = item;
    return piece({ calls: [{ index, id: string(id), name: string(name), arguments: string(given) }] });
  }
  if (item.type === "reasoning") return piece({ reasoning: textOf(item.summary) || textOf(item.content) });
  return piece({ content: textOf(item.content) });
}

/** @param {unknown} response */
function endOf(response) {
  if (!isObject(response)) return {};
  const details = isObject(response.incomplete_details) ? response.incomplete_details : {};
  return { stop: string(response.status), detail: string(details.reason) };
}

/**
 * @param {Partial<Piece>} said
 * @returns {Piece}
 */
function piece(said) {
  return { choice: 0, reasoning: "", content: "", calls: [], stop: "", detail: "", isEnd: false, ...said };
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
 * Returns the object that *text* is; null if it is none.
 *
 * @param {string} text
 * @returns {Json | null}
 */
export function parsed(text) {
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
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
export function string(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value  @returns {number} -1 for what is none */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : -1;
}

/** @param {unknown} value  @returns {Json[]} */
function list(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
