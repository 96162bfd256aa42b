/**
 * A captured request as the conversation it holds, whichever API it is of, and the pictures anywhere in a document.
 */

/**
 * @typedef {object} Turn
 * @property {string} role
 * @property {string} text
 * @property {string} reasoning
 * @property {string[]} images  As `data:` addresses.
 * @property {{name: string, arguments: string}[]} tools  Calls.
 */

/** @typedef {Record<string, unknown>} Json */

const MOST_IMAGES = 50;
const DEEPEST = 12;
const PICTURE = /^data:image\/(png|jpeg|gif|webp|avif);base64,[A-Za-z0-9+/=\s]+$/;
const BASE64 = /^[A-Za-z0-9+/]{16}[A-Za-z0-9+/=\s]*$/;

/** How Base64 begins of each kind of picture. */
const BEGINNINGS = Object.freeze({ iVBORw0KGgo: "png", "/9j/": "jpeg", R0lGOD: "gif", UklGR: "webp" });

/**
 * Returns the turns of a conversation, what the system says first; none if the document holds none.
 *
 * @param {unknown} document
 * @returns {Turn[]}
 */
export function turnsOf(document) {
  if (!isObject(document)) return [];
  /** @type {Turn[]} */
  const found = [];
  for (const system of [document.system, document.instructions]) {
    if (system) found.push(turn("system", system));
  }
  const messages = Array.isArray(document.messages) ? document.messages : document.input;
  if (typeof messages === "string" && !document.voice) found.push(turn("user", messages));
  else if (Array.isArray(messages))
    for (const message of messages) if (isObject(message)) found.push(...turnOf(message));
  if (!found.length && typeof document.prompt === "string") found.push(turn("user", document.prompt));
  return found;
}

/**
 * @param {Json} message
 * @returns {Turn[]}
 */
function turnOf(message) {
  if (message.type === "function_call") {
    return [
      { ...turn("assistant", ""), tools: [{ name: string(message.name), arguments: string(message.arguments) }] },
    ];
  }
  if (message.type === "function_call_output") return [turn("tool", message.output)];
  if (message.type === "reasoning")
    return [{ ...turn("assistant", ""), reasoning: textIn(message.summary ?? message.content) }];
  // A list of texts, as embeddings are asked for, is no conversation.
  if (typeof message.role !== "string") return [];
  const made = turn(message.role, message.content);
  made.reasoning += string(message.reasoning_content);
  for (const call of list(message.tool_calls)) {
    const asked = isObject(call.function) ? call.function : {};
    made.tools.push({ name: string(asked.name), arguments: string(asked.arguments) });
  }
  return [made];
}

/**
 * @param {string} role
 * @param {unknown} content
 * @returns {Turn}
 */
function turn(role, content) {
  /** @type {Turn} */
  const made = { role, text: "", reasoning: "", images: [], tools: [] };
  if (typeof content === "string") made.text = content;
  for (const part of list(content)) {
    const type = string(part.type);
    if (type === "tool_use") made.tools.push({ name: string(part.name), arguments: JSON.stringify(part.input ?? {}) });
    else if (type === "tool_result") made.text += textIn(part.content);
    else if (type === "thinking") made.reasoning += string(part.thinking);
    else if (/image/.test(type)) made.images.push(...imagesIn(part));
    else made.text += string(part.text);
  }
  return made;
}

/**
 * Returns the pictures anywhere in *document*, as `data:` addresses, each once.
 *
 * @param {unknown} document
 * @returns {string[]}
 */
export function imagesIn(document) {
  /** @type {Set<string>} */
  const found = new Set();

  /** @param {unknown} value @param {number} depth */
  const look = (value, depth) => {
    if (found.size >= MOST_IMAGES || depth > DEEPEST) return;
    if (typeof value === "string") {
      const address = pictureIn(value);
      if (address) found.add(address);
    } else if (Array.isArray(value)) {
      // Vectors are long, and have no pictures in them.
      if (typeof value[0] !== "number") for (const each of value) look(each, depth + 1);
    } else if (isObject(value)) for (const each of Object.values(value)) look(each, depth + 1);
  };

  look(document, 0);
  return [...found];
}

/** @param {string} text */
function pictureIn(text) {
  if (text.length < 60) return "";
  if (text.startsWith("data:")) return PICTURE.test(text) ? text : "";
  const kind = Object.entries(BEGINNINGS).find(([start]) => text.startsWith(start))?.[1];
  return kind && BASE64.test(text) ? `data:image/${kind};base64,${text}` : "";
}

/** @param {unknown} content @returns {string} */
function textIn(content) {
  return typeof content === "string"
    ? content
    : list(content)
        .map((part) => string(part.text))
        .join("");
}

/** @param {unknown} value */
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
