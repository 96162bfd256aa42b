/**
 * Conversations: questions and answers in their order. PURE: every function returns a new conversation.
 */

/** @typedef {import("./dialects.js").Picture} Picture */
/** @typedef {import("./dialects.js").Turn} Turn */
/**
 * @typedef {object} Answered - what is kept of an answer
 * @property {string} model the model that was asked
 * @property {import("./dialects.js").DialectName} dialect
 * @property {string} content
 * @property {string} reasoning
 * @property {number} reasoningMs
 * @property {import("./answer.js").ToolCall[]} toolCalls
 * @property {"done" | "stopped" | "failed"} state
 * @property {number} status of a failure: 0: there was no answer; -1: it broke off or told of an error
 * @property {string} error
 * @property {string} stopReason
 * @property {import("./chat-figures.js").Measured} measured
 */
/** @typedef {{ id: string, role: "user", text: string, pictures: Picture[] }} UserTurn */
/** @typedef {{ id: string, role: "assistant", answer: Answered }} AssistantTurn */
/** @typedef {UserTurn | AssistantTurn} ChatTurn */
/**
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} title
 * @property {number} updatedAt epoch ms
 * @property {ChatTurn[]} turns
 */
/** @typedef {{ id: string, title: string, updatedAt: number, bytes: number }} Kept - an entry of the history */

const TITLE_LENGTH = 60;

/**
 * Returns the conversation's title: the beginning of what was asked first.
 *
 * @param {readonly ChatTurn[]} turns
 */
export function titleOf(turns) {
  const first = turns.find((turn) => turn.role === "user");
  if (!first || first.role !== "user") return "New chat";
  const text = first.text.replace(/\s+/g, " ").trim();
  if (!text) return first.pictures.length ? "A picture" : "New chat";
  if (text.length <= TITLE_LENGTH) return text;
  const cut = text.slice(0, TITLE_LENGTH);
  const space = cut.lastIndexOf(" ");
  return `${space > TITLE_LENGTH / 2 ? cut.slice(0, space) : cut} …`;
}

/**
 * Returns the turns before *id*; all, if there is no such turn.
 *
 * @param {readonly ChatTurn[]} turns
 * @param {string} id
 */
export function before(turns, id) {
  const place = turns.findIndex((turn) => turn.id === id);
  return place < 0 ? [...turns] : turns.slice(0, place);
}

/**
 * Returns what a model is told of the conversation. Answers that failed before their first word are left out, and so
 * are questions that nobody has answered, but for the last: APIs want both to alternate.
 *
 * @param {readonly ChatTurn[]} turns
 * @returns {Turn[]}
 */
export function spoken(turns) {
  /** @type {Turn[]} */
  const said = [];
  for (const turn of turns) {
    if (turn.role === "assistant" && turn.answer.content === "") continue;
    const words =
      turn.role === "user"
        ? { role: turn.role, text: turn.text, pictures: turn.pictures }
        : { role: turn.role, text: turn.answer.content };
    if (said.at(-1)?.role === words.role) said.pop();
    said.push(words);
  }
  return said;
}

/**
 * Returns the ids of the conversations to forget so that the rest is within bounds: the oldest first, never the newest.
 *
 * @param {readonly Kept[]} kept
 * @param {{ count: number, bytes: number }} bounds
 * @returns {string[]}
 */
export function surplus(kept, bounds) {
  const newest = [...kept].sort((a, b) => b.updatedAt - a.updatedAt);
  let bytes = 0;
  return newest
    .filter((each, index) => {
      bytes += each.bytes;
      return index > 0 && (index >= bounds.count || bytes > bounds.bytes);
    })
    .map(({ id }) => id);
}

/**
 * Returns about how much room a conversation takes.
 *
 * @param {Conversation} conversation
 */
export function sizeOf(conversation) {
  return JSON.stringify(conversation).length;
}
