/**
 * The conversations this browser remembers, in IndexedDB: they hold pictures, for which localStorage is too small.
 *
 * Each is written by itself, so that two tabs do not undo each other's. Where there is no storage (a private window),
 * they last as long as the page.
 */

import { signal } from "../../html.js";
import { sizeOf, surplus } from "../../lib/chat-conversation.js";

/** @typedef {import("../../lib/chat-conversation.js").Conversation} Conversation */
/** @typedef {import("../../lib/chat-conversation.js").Kept} Kept */

const BOUNDS = { count: 200, bytes: 64 << 20 };
const STORES = { kept: "kept", conversations: "conversations" };

/** What there is, the newest first. */
export const history = signal(/** @type {Kept[]} */ ([]));

/** Whether it is only kept until the page is closed. */
export const isFleeting = signal(false);

/**
 * What could not be stored.
 *
 * @type {Map<string, Conversation>}
 */
const memory = new Map();

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("hostler.playground.history") : null;

/** @type {Promise<IDBDatabase | null>} */
const database = new Promise((resolve) => {
  try {
    const request = indexedDB.open("hostler.playground", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORES.kept, { keyPath: "id" });
      request.result.createObjectStore(STORES.conversations, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  } catch {
    resolve(null);
  }
});

database.then((opened) => {
  isFleeting.value = opened === null;
  return refresh();
});
channel?.addEventListener("message", () => refresh());

/**
 * Returns a conversation; null if it is no longer there.
 *
 * @param {string} id
 * @returns {Promise<Conversation | null>}
 */
export async function load(id) {
  const opened = await database;
  if (!opened || memory.has(id)) return memory.get(id) ?? null;
  const store = opened.transaction(STORES.conversations).objectStore(STORES.conversations);
  return /** @type {Conversation | undefined} */ (await result(store.get(id))) ?? null;
}

/**
 * Keeps a conversation, and forgets the oldest if there are too many.
 *
 * @param {Conversation} conversation
 */
export async function save(conversation) {
  const { id, title, updatedAt } = conversation;
  const entry = { id, title, updatedAt, bytes: sizeOf(conversation) };
  const all = [entry, ...history.value.filter((each) => each.id !== id)];
  const gone = surplus(all, BOUNDS);
  history.value = newestFirst(all.filter((each) => !gone.includes(each.id)));
  const isWritten = await write((kept, conversations) => {
    kept.put(entry);
    conversations.put(conversation);
    for (const old of gone) forgetIn(kept, conversations, old);
  });
  if (isWritten) memory.delete(id);
  else memory.set(id, conversation);
  for (const old of gone) memory.delete(old);
}

/** @param {string} id */
export async function remove(id) {
  history.value = history.value.filter((each) => each.id !== id);
  memory.delete(id);
  await write((kept, conversations) => forgetIn(kept, conversations, id));
}

export async function removeAll() {
  history.value = [];
  memory.clear();
  await write((kept, conversations) => {
    kept.clear();
    conversations.clear();
  });
}

async function refresh() {
  const opened = await database;
  if (!opened) return;
  const all = /** @type {Kept[]} */ (await result(opened.transaction(STORES.kept).objectStore(STORES.kept).getAll()));
  history.value = newestFirst(all);
}

/**
 * @param {(kept: IDBObjectStore, conversations: IDBObjectStore) => void} change
 * @returns {Promise<boolean>} whether it is stored
 */
async function write(change) {
  const opened = await database;
  if (!opened) return false;
  try {
    const transaction = opened.transaction([STORES.kept, STORES.conversations], "readwrite");
    change(transaction.objectStore(STORES.kept), transaction.objectStore(STORES.conversations));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    channel?.postMessage("changed");
    return true;
  } catch {
    // The disk is full, or the browser has taken the storage away: it holds until the page is closed.
    isFleeting.value = true;
    return false;
  }
}

/**
 * @param {IDBObjectStore} kept
 * @param {IDBObjectStore} conversations
 * @param {string} id
 */
function forgetIn(kept, conversations, id) {
  kept.delete(id);
  conversations.delete(id);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {Kept[]} all */
function newestFirst(all) {
  return [...all].sort((a, b) => b.updatedAt - a.updatedAt);
}
