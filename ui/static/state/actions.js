// What an operator can do. Each says by a toast what went wrong; what went right is seen by the events.

import { signal } from "../html.js";
import { segment } from "../lib/query.js";
import { plain } from "../lib/bidi.js";
import { plural } from "../lib/format.js";
import { displayName, modelNamed } from "../lib/names.js";
import { isAbort, post, put, wordsFor } from "./api.js";
import { models } from "./store.js";
import { toast } from "./toasts.js";

/** @typedef {import("../types.js").ReloadAnswer} ReloadAnswer */

/** @type {import("../html.js").Signal<ReadonlyMap<string, AbortController>>} */
const running = signal(new Map());

/** The loads that this page waits for, by the model's id: a load ends when nobody waits for it. */
export const loads = /** @type {import("../html.js").ReadonlySignal<ReadonlyMap<string, AbortController>>} */ (running);

/**
 * Loads a model, in its turn.
 * @param {string} id
 * @returns {Promise<boolean>} whether it is ready; false, too, if it was given up
 */
export async function loadModel(id) {
  if (running.value.has(id)) return false;
  const controller = new AbortController();
  running.value = new Map(running.value).set(id, controller);
  try {
    await post(`/api/models/load/${segment(id)}`, undefined, { signal: controller.signal });
    return true;
  } catch (error) {
    if (!isAbort(error)) failed(`${called(id)} could not be loaded`, error);
    return false;
  } finally {
    const rest = new Map(running.value);
    rest.delete(id);
    running.value = rest;
  }
}

/**
 * Gives up a load that this page waits for. If nobody else waits for the model, it is stopped.
 * @param {string} id
 */
export function cancelLoad(id) {
  running.value.get(id)?.abort();
}

/**
 * @param {string} id
 * @returns {Promise<boolean>}
 */
export function unloadModel(id) {
  return done(`${called(id)} could not be unloaded`, () => post(`/api/models/unload/${segment(id)}`));
}

/** @returns {Promise<boolean>} */
export function unloadAll() {
  return done("The models could not be unloaded", () => post("/api/models/unload"));
}

/**
 * Ends a request in flight.
 * @param {string} id
 * @returns {Promise<boolean>}
 */
export function cancelRequest(id) {
  return done(`Request ${id} could not be cancelled`, () => post(`/api/inflight/${segment(id)}/cancel`));
}

/**
 * @param {string | null} id null: none
 * @returns {Promise<boolean>}
 */
export function chooseProfile(id) {
  return done("The profile could not be changed", () => put("/api/profiles/active", { name: id }));
}

/**
 * Takes over what the configuration files say now.
 * @param {object} [options]
 * @param {boolean} [options.dryRun] only tells what that would change
 * @returns {Promise<ReloadAnswer | null>} null: the files cannot be used
 */
export async function reloadConfig({ dryRun = false } = {}) {
  try {
    /** @type {ReloadAnswer} */
    const answer = await post("/api/config/reload", undefined, { query: { dry_run: dryRun ? 1 : null } });
    if (!dryRun) toast(`Configuration reloaded: ${summary(answer)}.`, { tone: "good" });
    return answer;
  } catch (error) {
    failed("The configuration was not reloaded, all stays as it was", error);
    return null;
  }
}

/** @param {ReloadAnswer} answer */
function summary({ plan }) {
  const parts = [
    plan.added.length ? `${plural(plan.added.length, "model")} added` : "",
    plan.changed.length ? `${plural(plan.changed.length, "model")} changed` : "",
    plan.removed.length ? `${plural(plan.removed.length, "model")} removed` : "",
    plan.settings.length ? `changed ${plan.settings.join(", ")}` : "",
    plan.needs_restart.length ? `a restart is needed for ${plan.needs_restart.join(", ")}` : "",
  ].filter(Boolean);
  return parts.join(", ") || "nothing has changed";
}

/**
 * @param {string} what
 * @param {() => Promise<unknown>} action
 */
async function done(what, action) {
  try {
    await action();
    return true;
  } catch (error) {
    failed(what, error);
    return false;
  }
}

/**
 * @param {string} what
 * @param {unknown} error
 */
function failed(what, error) {
  toast(`${what}: ${wordsFor(error)}`, { tone: "bad" });
}

/** @param {string} id */
function called(id) {
  const model = modelNamed(models.value, id);
  return plain(model ? displayName(model) : id);
}
