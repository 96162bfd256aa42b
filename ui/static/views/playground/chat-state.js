/**
 * The chat's conversations as they go on, whether the chat is shown or not.
 *
 * A conversation is live while it is open or being answered: an answer arrives in its own conversation, also when
 * another one, or another page, has been opened since.
 */

import { batch, computed, signal } from "../../html.js";
import { before, spoken, titleOf } from "../../lib/chat-conversation.js";
import { stored } from "../../state/settings.js";
import { ask } from "./asking.js";
import { chosenParameters, settings } from "./chat-settings.js";
import { load, remove, save } from "./history.js";

/** @typedef {import("../../lib/chat-conversation.js").Conversation} Conversation */
/** @typedef {import("../../lib/chat-conversation.js").ChatTurn} ChatTurn */
/** @typedef {import("../../lib/dialects.js").Picture} Picture */
/** @typedef {import("./asking.js").Asking} Asking */

export const model = stored("playground.chat-model", "");

/** What is being written. */
export const draft = signal("");
export const draftPictures = signal(/** @type {Picture[]} */ ([]));

const openConversation = signal(fresh());
const askings = signal(/** @type {ReadonlyMap<string, Asking>} */ (new Map()));
/** @type {Map<string, Conversation>} */
const answered = new Map();

/** The conversation that is shown. */
export const conversation = computed(() => openConversation.value);
/** The answer it is getting; null: none. */
export const asking = computed(() => askings.value.get(openConversation.value.id) ?? null);
/** The conversations that are being answered, by id. */
export const busy = computed(() => new Set(askings.value.keys()));

/** Begins a new conversation; the one before goes on. */
export function begin() {
  if (openConversation.value.turns.length) openConversation.value = fresh();
}

/**
 * Opens a conversation of the history.
 *
 * @param {string} id
 * @returns {Promise<boolean>} whether it is there
 */
export async function open(id) {
  const found = answered.get(id) ?? (await load(id));
  if (found) openConversation.value = found;
  return found !== null;
}

/**
 * Deletes a conversation.
 *
 * @param {string} id
 * @returns {Promise<() => void>} brings it back
 */
export async function forget(id) {
  const asked = askings.value.get(id);
  asked?.stop();
  await asked?.finished;
  const found = await load(id);
  const wasOpen = openConversation.value.id === id;
  answered.delete(id);
  if (wasOpen) openConversation.value = fresh();
  await remove(id);
  return () => {
    if (found) save(found);
    if (found && wasOpen && openConversation.value.turns.length === 0) openConversation.value = found;
  };
}

/** Forgets which conversations there were; their contents are the history's business. */
export function forgetAll() {
  for (const each of askings.value.values()) each.stop();
  answered.clear();
  openConversation.value = fresh();
}

/** Asks what has been written. */
export function send() {
  const text = draft.value.trim();
  const pictures = draftPictures.value;
  if ((!text && !pictures.length) || asking.value || !model.value) return;
  batch(() => {
    draft.value = "";
    draftPictures.value = [];
    append({ id: newId(), role: "user", text, pictures });
  });
  answer();
}

/**
 * Puts *turns* into a new conversation, to be looked at before the last of them is sent.
 *
 * @param {ChatTurn[]} turns
 */
export function replace(turns) {
  const { id } = fresh();
  openConversation.value = { id, title: titleOf(turns), updatedAt: Date.now(), turns };
}

/**
 * Asks the question before the turn *id* once more; without an id, the last one.
 *
 * @param {string} [id]
 */
export async function regenerate(id) {
  await stop();
  if (id) cut(id);
  answer();
}

/**
 * Replaces a question, and forgets all that came after it.
 *
 * @param {string} id
 * @param {string} text
 */
export async function edit(id, text) {
  await stop();
  const turn = openConversation.value.turns.find((each) => each.id === id);
  if (turn?.role !== "user") return;
  batch(() => {
    cut(id);
    append({ ...turn, text });
  });
  answer();
}

/** Stops the answer that is coming; what it has said is kept. */
export async function stop() {
  const current = asking.value;
  current?.stop();
  await current?.finished;
}

async function answer() {
  const { id, turns } = openConversation.value;
  const question = { model: model.value, turns: spoken(turns), ...chosenParameters() };
  const current = ask({ dialect: settings.value.dialect, question });
  answered.set(id, openConversation.value);
  askings.value = new Map(askings.value).set(id, current);
  keep(openConversation.value);
  await current.finished;
  batch(() => {
    const left = new Map(askings.value);
    left.delete(id);
    askings.value = left;
    const asked = answered.get(id);
    // Forgotten in the meantime.
    if (!asked) return;
    const said = {
      ...asked,
      turns: [
        ...asked.turns,
        { id: current.requestId, role: /** @type {const} */ ("assistant"), answer: current.answered() },
      ],
    };
    if (openConversation.value.id === id) openConversation.value = said;
    keep(said);
  });
  answered.delete(id);
}

/** @param {ChatTurn} turn */
function append(turn) {
  const turns = [...openConversation.value.turns, turn];
  openConversation.value = { ...openConversation.value, title: titleOf(turns), turns };
}

/** @param {string} id */
function cut(id) {
  openConversation.value = { ...openConversation.value, turns: before(openConversation.value.turns, id) };
}

/** @param {Conversation} changed */
function keep(changed) {
  save({ ...changed, updatedAt: Date.now() });
}

/** @returns {Conversation} */
function fresh() {
  return { id: newId(), title: "New chat", updatedAt: Date.now(), turns: [] };
}

/** An id that is good enough to tell a few hundred conversations and turns of one browser apart. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (number) => number.toString(36)).join("");
}
