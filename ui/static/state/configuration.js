/** @file The configuration as it runs, and its reloads. */

import { signal } from "../html.js";
import { get, UNREACHABLE, wordsFor } from "./api.js";

/** @typedef {import("../lib/configuration.js").Mapping} Mapping */
/** @typedef {import("../lib/configuration.js").Plan} Plan */
/** @typedef {{message: string, source: string, path: string, line: number | null, remedy: string}} Problem */
/** @typedef {{ok: boolean, at: string, message: string, plan?: Plan, problem?: Problem | null}} Reload */

/**
 * @typedef {object} Configuration
 * @property {Mapping | null} config
 * @property {string[][]} differing
 * @property {string[]} files
 * @property {string} loaded_at
 * @property {string[]} warnings
 * @property {Reload | null} reload
 */

/** How a reload ended, or would end. @typedef {{plan: Plan} | {problem: Problem} | {failure: string}} Answer */

export const configuration = signal(/** @type {Configuration | null} */ (null));
/** Why it could not be fetched; "" if it could. */
export const failure = signal("");

export async function fetchConfiguration() {
  try {
    configuration.value = await get("/api/config");
    failure.value = "";
  } catch (error) {
    failure.value = wordsFor(error);
  }
}

/**
 * Has the files read: to take them over, or only to tell what that would change.
 * @param {boolean} dryRun
 * @returns {Promise<Answer>}
 */
export async function readFiles(dryRun) {
  try {
    const response = await fetch(`/api/config/reload${dryRun ? "?dry_run=1" : ""}`, { method: "POST" });
    const answer = await response.json();
    if (response.ok) return { plan: answer.plan };
    if (answer.problem) return { problem: answer.problem };
    return { failure: answer.error?.message ?? `The server answers ${response.status}.` };
  } catch (error) {
    return { failure: error instanceof TypeError ? UNREACHABLE : wordsFor(error) };
  }
}
