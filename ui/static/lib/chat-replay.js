/**
 * A captured request, read back into what the chat is made of. PURE.
 *
 * The request may have been made by any client: of what the chat has no place for (tools, say) the members go into
 * `extra`, so that what is sent again says the same.
 */

/** @typedef {import("./chat-conversation.js").ChatTurn} ChatTurn */
/** @typedef {import("./dialects.js").DialectName} DialectName */
/** @typedef {import("./dialects.js").Picture} Picture */
/** @typedef {{ text: string, pictures: Picture[] }} Words */
/** @typedef {{ role: string } & Words} Said */
/**
 * @typedef {object} Replayed
 * @property {string} model
 * @property {ChatTurn[]} turns what was said before the last question
 * @property {Words} question the last question; empty if the request ended with an answer
 * @property {{
 *   dialect: DialectName, system: string, temperature: number | null, maxTokens: number | null, topP: number | null,
 *   seed: number | null, stop: string, extra: string,
 * }} settings
 */
/** @typedef {Record<string, unknown>} Json */

/** Members that have a field of their own, or are the page's business. */
const TAKEN = new Set(
  (
    "model messages input prompt system instructions stream stream_options temperature top_p seed stop " +
    "stop_sequences max_tokens max_completion_tokens max_output_tokens store n_predict"
  ).split(" "),
);

/**
 * @param {{ req_path: string, req_body: string | null, req_truncated?: boolean }} capture
 * @returns {Replayed | { reason: string }}
 */
export function conversationOf(capture) {
  const dialect = dialectOf(capture.req_path);
  if (!dialect) return { reason: `${capture.req_path} is no chat: only chats can be replayed here.` };
  if (capture.req_truncated) return { reason: "The request was too long to be kept whole, so it cannot be replayed." };
  const body = parsed(capture.req_body);
  if (!body) return { reason: "The request's body was not kept, or is no JSON object." };
  const said = spokenIn(body);
  const isSystem = (/** @type {Said} */ { role }) => role === "system" || role === "developer";
  const top = texts(body.system ?? body.instructions).text;
  const system = [top, ...said.filter(isSystem).map(({ text }) => text)].filter(Boolean).join("\n\n");
  const turns = said.filter((each) => !isSystem(each));
  const isAsked = turns.at(-1)?.role !== "assistant";
  const last = isAsked ? turns.pop() : undefined;
  const extra = Object.fromEntries(Object.entries(body).filter(([key]) => !TAKEN.has(key)));
  return {
    model: typeof body.model === "string" ? body.model : "",
    turns: turns.map((turn, index) => turnOf(turn, index, dialect)),
    question: { text: last?.text ?? "", pictures: last?.pictures ?? [] },
    settings: {
      dialect,
      system,
      temperature: numberOf(body.temperature),
      maxTokens: numberOf(body.max_tokens ?? body.max_completion_tokens ?? body.max_output_tokens ?? body.n_predict),
      topP: numberOf(body.top_p),
      seed: numberOf(body.seed),
      stop: [body.stop ?? body.stop_sequences ?? []]
        .flat()
        .filter((each) => typeof each === "string")
        .join("\n"),
      extra: Object.keys(extra).length ? JSON.stringify(extra, null, 2) : "",
    },
  };
}

/**
 * Returns the API that *path* belongs to; null: it is no chat.
 *
 * @param {string} path
 * @returns {DialectName | null}
 */
export function dialectOf(path) {
  const bare = path.replace(/\?.*$/, "").replace(/\/+$/, "");
  if (/\/messages$/.test(bare)) return "messages";
  if (/\/responses$/.test(bare)) return "responses";
  return /\/(?:chat\/)?completions$|\/completion$/.test(bare) ? "chat" : null;
}

/**
 * @param {Json} body
 * @returns {Said[]}
 */
function spokenIn(body) {
  const list = Array.isArray(body.messages) ? body.messages : Array.isArray(body.input) ? body.input : null;
  if (!list) {
    const prompt = body.input ?? body.prompt;
    const text = Array.isArray(prompt) ? prompt.filter((each) => typeof each === "string").join("\n") : prompt;
    return [{ role: "user", text: typeof text === "string" ? text : "", pictures: [] }];
  }
  return list.filter(isObject).flatMap((turn) => {
    if (typeof turn.role === "string") return [{ role: turn.role, ...texts(turn.content) }];
    return [];
  });
}

/**
 * Returns what a message's content says: a text, or parts.
 *
 * @param {unknown} content
 * @returns {Words}
 */
function texts(content) {
  if (typeof content === "string") return { text: content, pictures: [] };
  if (!Array.isArray(content)) return { text: "", pictures: [] };
  const parts = content.filter(isObject);
  const words = parts.map((part) =>
    typeof part.text === "string" ? part.text : typeof part.content === "string" ? part.content : "",
  );
  return { text: words.filter(Boolean).join("\n"), pictures: parts.flatMap(pictureOf) };
}

/**
 * Pictures by address are left out: the page fetches nothing from elsewhere.
 *
 * @param {Json} part
 * @returns {Picture[]}
 */
function pictureOf(part) {
  const image = isObject(part.image_url) ? part.image_url.url : part.image_url;
  if (typeof image === "string" && image.startsWith("data:image/")) return [{ url: image }];
  const source = part.source;
  if (isObject(source) && source.type === "base64" && typeof source.data === "string") {
    return [{ url: `data:${source.media_type};base64,${source.data}` }];
  }
  return [];
}

/**
 * @param {Said} said
 * @param {number} index
 * @param {DialectName} dialect
 * @returns {ChatTurn}
 */
function turnOf({ role, text, pictures }, index, dialect) {
  const id = `replayed-${index}`;
  if (role !== "assistant") return { id, role: "user", text, pictures };
  const usage = { input: -1, output: -1, cached: -1 };
  const timings = { promptPerSecond: -1, perSecond: -1 };
  return {
    id,
    role: "assistant",
    answer: {
      model: "",
      dialect,
      content: text,
      reasoning: "",
      reasoningMs: 0,
      toolCalls: [],
      state: "done",
      status: 0,
      error: "",
      stopReason: "",
      measured: { totalMs: -1, firstMs: -1, lastMs: -1, queuedMs: -1, swapMs: -1, usage, timings },
    },
  };
}

/**
 * @param {string | null} base64
 * @returns {Json | null}
 */
function parsed(base64) {
  try {
    const bytes = Uint8Array.from(atob(base64 ?? ""), (character) => character.charCodeAt(0));
    const document = JSON.parse(new TextDecoder().decode(bytes));
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
function numberOf(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
