/**
 * Requests in flight: their columns, whose they are, and what they wait for.
 */

import { plain } from "./bidi.js";
import { duration, plural } from "./format.js";

/** @typedef {import("../types.js").InflightRequest} InflightRequest */
/** @typedef {import("../types.js").QueueEntry} QueueEntry */
/** @typedef {import("../types.js").KnownQueue} KnownQueue */

/** @type {readonly {key: string, label: string, isNumber?: boolean}[]} */
export const INFLIGHT_COLUMNS = Object.freeze([
  { key: "cancel", label: "Cancel" },
  { key: "elapsed", label: "Elapsed", isNumber: true },
  { key: "model", label: "Model" },
  { key: "request", label: "Request" },
  { key: "stage", label: "Stage" },
  { key: "address", label: "Address" },
  { key: "agent", label: "User Agent" },
  { key: "session", label: "Session ID" },
  { key: "bytes", label: "Received", isNumber: true },
]);

/** @type {readonly string[]} */
export const INFLIGHT_KEYS = Object.freeze(INFLIGHT_COLUMNS.map(({ key }) => key));

/** @param {unknown} keys @returns {keys is string[]} */
export function areInflightColumns(keys) {
  return (
    Array.isArray(keys) &&
    keys.length > 0 &&
    new Set(keys).size === keys.length &&
    keys.every((key) => INFLIGHT_KEYS.includes(key))
  );
}

/**
 * Returns the value of the first of *names* that is a header of the request; "" if it has none of them.
 *
 * @param {InflightRequest} request
 * @param {readonly string[]} names  In any case, as the configuration has them.
 */
export function sessionOf(request, names) {
  const headers = new Map(Object.entries(request.req_headers).map(([name, value]) => [name.toLowerCase(), value]));
  for (const name of names) {
    const value = headers.get(name.toLowerCase());
    if (value) return value;
  }
  return "";
}

/** @param {KnownQueue} queue @returns {Map<string, QueueEntry>} Who waits, by the id of the request. */
export function waitingBy(queue) {
  /** @type {Map<string, QueueEntry>} */
  const found = new Map();
  for (const entry of queue.queue) if (entry.request_id !== null) found.set(entry.request_id, entry);
  return found;
}

/**
 * @typedef {object} Stage
 * @property {"good" | "busy" | "neutral"} tone
 * @property {string} words
 * @property {string} detail  What it waits for, "" for nothing.
 */

/**
 * Returns where a request stands.
 *
 * @param {InflightRequest} request
 * @param {QueueEntry | undefined} waiting  Its place in the queue.
 * @param {number} ageMs  How old what the queue says is.
 * @returns {Stage}
 */
export function stageOf(request, waiting, ageMs) {
  if (waiting) {
    return { tone: "busy", words: `Waiting, #${waiting.position}`, detail: waitWords(waiting, ageMs) };
  }
  if (Object.keys(request.resp_headers).length) {
    return { tone: "good", words: request.resp_bytes > 0 ? "Answering" : "Answer begun", detail: "" };
  }
  return { tone: "neutral", words: request.model ? "With the model" : "Arriving", detail: "" };
}

/**
 * Returns what somebody waits for and how long still: "for b, which serves 2 requests · about 12 s".
 *
 * @param {QueueEntry} entry
 * @param {number} ageMs
 */
export function waitWords(entry, ageMs) {
  const held = entry.held_by.map(({ model, state, in_flight: inFlight }) => {
    const name = plain(model);
    if (inFlight > 0) return `${name}, which serves ${plural(inFlight, "request")}`;
    return state === "stopping" ? `${name} to stop` : name;
  });
  const left = entry.estimated_ms === null ? null : Math.max(entry.estimated_ms - Math.max(ageMs, 0), 0);
  // Who is still served by then takes longer than what the estimate has been learned from.
  const isLate = entry.held_by.some(({ in_flight: inFlight }) => inFlight > 0);
  const soon = isLate ? "longer than usual" : "any moment now";
  const when = left === null ? "not known yet how long" : left < 1000 ? soon : `about ${duration(left)}`;
  return [held.length ? `for ${held.join("; for ")}` : "for its model to load", when].join(" · ");
}
