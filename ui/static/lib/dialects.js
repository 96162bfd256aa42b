/**
 * The three APIs by which a model can be talked to, and how a question is put in each of them. PURE.
 *
 * Answers are read by lib/answer.js.
 */

/** @typedef {"chat" | "messages" | "responses"} DialectName */
/** @typedef {{ url: string, name?: string }} Picture - `url` is a `data:` URL */
/** @typedef {{ role: "user" | "assistant", text: string, pictures?: Picture[] }} Turn */
/**
 * @typedef {object} Question
 * @property {string} model
 * @property {string} [system]
 * @property {Turn[]} turns
 * @property {number | null} [temperature] null: the model server's own default
 * @property {number | null} [maxTokens]
 * @property {number | null} [topP]
 * @property {number | null} [seed]
 * @property {string[]} [stop]
 * @property {Record<string, unknown>} [extra] members of the body that win over all others
 */
/** @typedef {Record<string, unknown>} Body */

/** @type {{ id: DialectName, path: string, label: string }[]} */
export const DIALECTS = [
  { id: "chat", path: "/v1/chat/completions", label: "OpenAI Chat Completions" },
  { id: "messages", path: "/v1/messages", label: "Anthropic Messages" },
  { id: "responses", path: "/v1/responses", label: "OpenAI Responses" },
];

/** Anthropic's API refuses a request without; so much is asked for if the question does not say. */
const MESSAGES_MAX_TOKENS = 4096;

/** @type {Record<DialectName, (question: Question) => Body>} */
const BUILDERS = { chat: chatBody, messages: messagesBody, responses: responsesBody };

/**
 * Returns the request by which *question* is asked, the answer as a stream.
 *
 * @param {DialectName} dialect
 * @param {Question} question
 * @returns {{ path: string, body: Body }}
 */
export function buildRequest(dialect, question) {
  const path = /** @type {{ path: string }} */ (DIALECTS.find(({ id }) => id === dialect)).path;
  const body = { ...known(BUILDERS[dialect](question)), ...question.extra };
  return { path, body };
}

/**
 * Returns what *text*, as typed into the field for more parameters, says; empty text says nothing.
 *
 * @param {string} text
 * @returns {{ extra: Record<string, unknown>, error: string }}
 */
export function parseExtra(text) {
  if (!text.trim()) return { extra: {}, error: "" };
  try {
    const extra = JSON.parse(text);
    if (typeof extra === "object" && extra !== null && !Array.isArray(extra)) return { extra, error: "" };
    return { extra: {}, error: 'This must be a JSON object, such as {"min_p": 0.05}.' };
  } catch (error) {
    return { extra: {}, error: `This is no JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/**
 * @param {Question} question
 * @returns {Body}
 */
function chatBody(question) {
  const system = question.system ? [{ role: "system", content: question.system }] : [];
  const turns = question.turns.map((turn) => ({
    role: turn.role,
    content: turn.pictures?.length
      ? [
          ...(turn.text ? [{ type: "text", text: turn.text }] : []),
          ...turn.pictures.map(({ url }) => ({ type: "image_url", image_url: { url } })),
        ]
      : turn.text,
  }));
  return {
    model: question.model,
    messages: [...system, ...turns],
    temperature: question.temperature,
    max_tokens: question.maxTokens,
    top_p: question.topP,
    seed: question.seed,
    stop: stops(question),
    stream: true,
    // Without it, servers do not say how many tokens it was.
    stream_options: { include_usage: true },
  };
}

/**
 * @param {Question} question
 * @returns {Body}
 */
function messagesBody(question) {
  return {
    model: question.model,
    system: question.system || undefined,
    messages: question.turns.map((turn) => ({
      role: turn.role,
      content: turn.pictures?.length
        ? [
            ...turn.pictures.map(({ url }) => ({ type: "image", source: { type: "base64", ...base64(url) } })),
            ...(turn.text ? [{ type: "text", text: turn.text }] : []),
          ]
        : turn.text,
    })),
    temperature: question.temperature,
    max_tokens: question.maxTokens ?? MESSAGES_MAX_TOKENS,
    top_p: question.topP,
    seed: question.seed,
    stop_sequences: stops(question),
    stream: true,
  };
}

/**
 * @param {Question} question
 * @returns {Body}
 */
function responsesBody(question) {
  return {
    model: question.model,
    instructions: question.system || undefined,
    input: question.turns.map((turn) => ({
      type: "message",
      role: turn.role,
      content: [
        ...(turn.text ? [{ type: turn.role === "user" ? "input_text" : "output_text", text: turn.text }] : []),
        ...(turn.pictures ?? []).map(({ url }) => ({ type: "input_image", image_url: url })),
      ],
    })),
    temperature: question.temperature,
    max_output_tokens: question.maxTokens,
    top_p: question.topP,
    seed: question.seed,
    stop: stops(question),
    stream: true,
    // Nothing of a try-out is to be kept by a peer's servers.
    store: false,
  };
}

/**
 * Returns *body* without what has not been chosen.
 *
 * @param {Body} body
 * @returns {Body}
 */
function known(body) {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined && value !== null));
}

/** @param {Question} question */
function stops({ stop = [] }) {
  return stop.length ? stop : null;
}

/** @param {string} url */
function base64(url) {
  const [, type = "", data = ""] = /^data:([^;,]*)[^,]*,(.*)$/s.exec(url) ?? [];
  return { media_type: type, data };
}
