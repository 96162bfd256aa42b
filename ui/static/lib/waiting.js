// Why a request waits, and what a model is doing, in words.

import { plain } from "./bidi.js";
import { duration, plural } from "./format.js";

/** @typedef {import("../types.js").QueueEntry} QueueEntry */
/** @typedef {import("../types.js").QueueModel} QueueModel */

/** @typedef {(id: string) => string} Name what a model is called */

/**
 * @param {QueueEntry} entry
 * @param {Record<string, QueueModel>} models of the same answer
 * @param {Name} [name]
 * @param {readonly string[]} [ahead] models that others wait for before it
 * @returns {string} "waits for llama to finish 2 requests, then qwen loads"
 */
export function waitingWords(entry, models, name = plain, ahead = []) {
  const its = name(entry.model);
  if (entry.held_by.length > 0) {
    const turns = ahead.map((model) => `${name(model)} to have its turn`);
    const holders = entry.held_by.map((held) => heldWords(held, name));
    const waits = `waits for ${listed([...turns, ...holders])}, then ${its} loads`;
    if (!entry.overdue) return waits;
    return `${waits}; newcomers to ${listed(entry.held_by.map((held) => name(held.model)))} wait behind it`;
  }
  switch (models[entry.model]?.state) {
    case "starting":
      return `waits while ${its} loads`;
    case "stopping":
      return `waits for ${its} to stop, then it loads again`;
    case "ready":
      return "is about to be served";
    default:
      return `waits for its turn, then ${its} loads`;
  }
}

/**
 * @param {QueueEntry["held_by"][number]} held
 * @param {Name} name
 */
function heldWords(held, name) {
  const its = name(held.model);
  if (held.state === "stopping") return `${its} to stop`;
  if (held.state === "starting") return `${its} to finish loading`;
  return held.in_flight > 0 ? `${its} to finish ${plural(held.in_flight, "request")}` : `${its} to make room`;
}

/**
 * The queue by models, for all that wait for one wait for the same.
 * @param {readonly QueueEntry[]} entries in order
 * @returns {{model: string, entries: QueueEntry[], ahead: string[]}[]} ahead: the models before it
 */
export function turns(entries) {
  /** @type {Map<string, QueueEntry[]>} */
  const byModel = new Map();
  for (const entry of entries) {
    const its = byModel.get(entry.model);
    if (its) its.push(entry);
    else byModel.set(entry.model, [entry]);
  }
  const models = [...byModel.keys()];
  return [...byModel].map(([model, its], index) => ({ model, entries: its, ahead: models.slice(0, index) }));
}

/**
 * @param {number | null} estimatedMs null: too little is known
 * @returns {string}
 */
export function estimateWords(estimatedMs) {
  return estimatedMs === null ? "how long is not known yet" : `about ${duration(estimatedMs)} more`;
}

/**
 * How far a load is, of what the last ones took.
 * @param {number} elapsedMs
 * @param {number | null} usualMs null: none has been seen
 * @returns {{text: string, share: number | null}} share of 1, below it until the load is over; null: not known
 */
export function loadProgress(elapsedMs, usualMs) {
  const so = duration(Math.floor(Math.max(0, elapsedMs) / 100) * 100);
  if (usualMs === null || usualMs <= 0) return { text: `loading for ${so}`, share: null };
  return { text: `loading for ${so}, usually ${duration(usualMs)}`, share: Math.min(elapsedMs / usualMs, 0.97) };
}

/**
 * @param {readonly string[]} parts
 * @returns {string} "a, b and c"
 */
export function listed(parts) {
  if (parts.length < 2) return parts.join("");
  return `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`;
}
