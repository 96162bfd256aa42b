// Which models a search finds, and their order in the list.

import { displayName, natural } from "./names.js";

/** @typedef {import("../types.js").Model} Model */

/** The nearer to serving, the further up. */
/** @type {Record<string, number>} */
const RANK = { ready: 0, starting: 1, stopping: 2, failed: 3, stopped: 4, "": 5 };

/**
 * @param {Model} model
 * @param {string} search words, each of which has to be somewhere in its names or description
 */
export function matches(model, search) {
  const texts = [model.id, model.name, model.description, model.peerID, ...(model.aliases ?? [])];
  const text = texts.join("\n").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/**
 * @typedef {object} Known
 * @property {string} state
 * @property {number} serving
 * @property {number} waiting
 * @property {{at: string} | null} newest its last change
 */

/**
 * @param {readonly Model[]} models
 * @param {object} by
 * @param {string} by.sort "state", "name" or "recent"
 * @param {readonly string[]} by.pinned ids of those that come first
 * @param {ReadonlyMap<string, Known>} by.standings
 * @returns {Model[]}
 */
export function ordered(models, { sort, pinned, standings }) {
  const names = (/** @type {Model} */ a, /** @type {Model} */ b) =>
    natural(displayName(a), displayName(b)) || natural(a.id, b.id);
  const rank = (/** @type {Model} */ model) => RANK[standings.get(model.id)?.state ?? model.state] ?? 4;
  const wanted = (/** @type {Model} */ model) => Number((standings.get(model.id)?.waiting ?? 0) === 0);
  const moment = (/** @type {Model} */ model) => Date.parse(standings.get(model.id)?.newest?.at ?? "") || 0;
  const isPinned = (/** @type {Model} */ model) => Number(!pinned.includes(model.id));
  /** @type {Record<string, (a: Model, b: Model) => number>} */
  const orders = {
    state: (a, b) => rank(a) - rank(b) || wanted(a) - wanted(b) || names(a, b),
    // Those that are up, then those that were, the latest first.
    recent: (a, b) => Number(rank(a) > 2) - Number(rank(b) > 2) || moment(b) - moment(a) || names(a, b),
    name: names,
  };
  const order = orders[sort] ?? names;
  return [...models].sort((a, b) => isPinned(a) - isPinned(b) || order(a, b));
}
