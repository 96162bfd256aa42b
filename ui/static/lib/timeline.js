// Who was in memory when: the changes of /api/residency as lanes of segments, and as a story in words.

import { plain } from "./bidi.js";
import { duration } from "./format.js";
import { natural } from "./names.js";

/** @typedef {import("../types.js").ResidencyChange} Change */

/** States in which a model takes up memory: all that is drawn. */
export const IN_MEMORY = /** @type {const} */ (["starting", "ready", "stopping"]);

/**
 * A state from one moment (epoch ms) to another.
 * @typedef {object} Segment
 * @property {string} state
 * @property {number} fromMs
 * @property {number} toMs
 * @property {boolean} isOpen whether it lasts
 * @property {Change | null} change what it began with; null: that was before the window
 */

/**
 * Something that took no time.
 * @typedef {object} Mark
 * @property {"swap" | "failed"} kind
 * @property {number} atMs
 * @property {Change} change
 * @property {number} more of its kind that are so near that they are not drawn
 */

/** @typedef {{model: string, segments: Segment[], marks: Mark[]}} Lane */

/**
 * @param {readonly Change[]} changes oldest first
 * @param {object} window
 * @param {number} window.startMs
 * @param {number} window.endMs
 * @param {ReadonlyMap<string, string>} states of all models as they are now
 * @returns {Lane[]} of each model that was in memory, or failed to get there, by name
 */
export function lanes(changes, { startMs, endMs }, states) {
  /** @type {Map<string, Change[]>} */
  const byModel = new Map();
  for (const change of changes) {
    const its = byModel.get(change.model);
    if (its) its.push(change);
    else byModel.set(change.model, [change]);
  }
  for (const [model, state] of states) {
    if (!byModel.has(model) && isInMemory(state)) byModel.set(model, []);
  }
  return [...byModel]
    .map(([model, its]) => lane(model, its, startMs, endMs, states.get(model)))
    .filter((each) => each.segments.length > 0 || each.marks.length > 0)
    .sort((a, b) => natural(a.model, b.model));
}

/**
 * @param {string} model
 * @param {Change[]} changes
 * @param {number} startMs
 * @param {number} endMs
 * @param {string | undefined} state as it is now; news of it may be ahead of the changes
 * @returns {Lane}
 */
function lane(model, changes, startMs, endMs, state) {
  /** @type {Segment[]} */
  const segments = [];
  /** @type {Mark[]} */
  const marks = [];
  let fromMs = startMs;
  let current = changes.length ? changes[0].was : (state ?? "stopped");
  /** @type {Change | null} */
  let began = null;
  /** @param {number} toMs @param {boolean} isOpen */
  const close = (toMs, isOpen) => {
    const from = Math.max(fromMs, startMs);
    if (!isInMemory(current) || toMs <= from) return;
    segments.push({ state: current, fromMs: from, toMs, isOpen, change: began });
  };
  for (const change of changes) {
    const atMs = Math.min(Date.parse(change.at), endMs);
    close(atMs, false);
    fromMs = atMs;
    current = change.state;
    began = change;
    if (atMs < startMs) continue;
    if (change.state === "starting" && change.victims.length > 0) marks.push({ kind: "swap", atMs, change, more: 0 });
    else if (change.state === "failed") marks.push({ kind: "failed", atMs, change, more: 0 });
  }
  close(endMs, true);
  const spanMs = endMs - startMs;
  const shown = segments.length > MOST ? thinned(segments, spanMs / 1000) : segments;
  return { model, segments: shown, marks: apart(marks, spanMs / 120) };
}

/** Segments of one lane beyond which those that nobody could tell apart are drawn as one. */
const MOST = 200;

/**
 * @param {Segment[]} segments
 * @param {number} finestMs
 * @returns {Segment[]} neighbours joined, of which one would be shorter than that; what is told is that of the longer
 */
function thinned(segments, finestMs) {
  /** @type {Segment[]} */
  const found = [];
  let longestMs = 0;
  for (const segment of segments) {
    const last = found.at(-1);
    const lengthMs = segment.toMs - segment.fromMs;
    if (last && segment.fromMs - last.toMs < finestMs && (lengthMs < finestMs || last.toMs - last.fromMs < finestMs)) {
      const { state, change } = lengthMs > longestMs ? segment : last;
      found[found.length - 1] = { state, change, fromMs: last.fromMs, toMs: segment.toMs, isOpen: segment.isOpen };
      longestMs = Math.max(longestMs, lengthMs);
    } else {
      found.push(segment);
      longestMs = lengthMs;
    }
  }
  return found;
}

/**
 * @param {Mark[]} marks
 * @param {number} nearestMs
 * @returns {Mark[]} with so much between two of a kind; the later one stands for both
 */
function apart(marks, nearestMs) {
  /** @type {Mark[]} */
  const found = [];
  for (const mark of marks) {
    const index = found.findLastIndex((other) => other.kind === mark.kind);
    const last = found[index];
    if (last && mark.atMs - last.atMs < nearestMs) found[index] = { ...mark, atMs: last.atMs, more: last.more + 1 };
    else found.push(mark);
  }
  return found;
}

/** @param {string} state */
function isInMemory(state) {
  return /** @type {readonly string[]} */ (IN_MEMORY).includes(state);
}

/**
 * @param {number} startMs
 * @param {number} endMs
 * @param {number} [everyMs]
 * @param {number} [offsetMinutes] of the reader's clock, as `getTimezoneOffset` has it
 * @returns {number[]} moments of a round time of day between the two
 */
export function ticks(startMs, endMs, everyMs = 600_000, offsetMinutes = 0) {
  const shift = offsetMinutes * 60_000;
  const found = [];
  for (let at = Math.ceil((startMs - shift) / everyMs) * everyMs + shift; at <= endMs; at += everyMs) found.push(at);
  return found;
}

/**
 * One thing that happened.
 * @typedef {object} Episode
 * @property {number} id
 * @property {string} at
 * @property {string} model
 * @property {"load" | "end" | "failure"} kind
 * @property {string} text to be read after the model's name
 * @property {string} why
 * @property {string[]} victims who went for it
 */

/**
 * @typedef {object} Draft
 * @property {Change} first
 * @property {Episode["kind"]} kind
 * @property {boolean} isLoad
 * @property {number | null} tookMs
 * @property {string} why
 */

/**
 * @param {readonly Change[]} changes oldest first
 * @returns {Episode[]} newest first; a swap is one of them, told with the model that came
 */
export function story(changes) {
  /** @type {Draft[]} */
  const drafts = [];
  /** @type {Map<string, Draft>} */
  const latest = new Map();
  for (const change of changes) {
    const before = latest.get(change.model);
    if (before && continues(before, change)) continue;
    if (change.state === "stopped" && change.was !== "starting") continue;
    const isLoad = change.state === "starting" || change.state === "ready";
    /** @type {Draft} */
    const draft = {
      first: change,
      kind: isLoad ? "load" : change.cause === "failed" ? "failure" : "end",
      isLoad,
      tookMs: change.state === "ready" ? change.lasted_ms : null,
      why: change.why,
    };
    if (change.state === "starting" && change.victims.length > 0) {
      draft.why = reasonOf(change.victims.map((victim) => latest.get(victim)));
      for (const victim of change.victims) {
        const gone = latest.get(victim);
        if (gone?.first.room_for === change.model) drafts.splice(drafts.indexOf(gone), 1);
      }
    }
    drafts.push(draft);
    latest.set(change.model, draft);
  }
  return drafts.reverse().map(told);
}

/**
 * Whether *change* only goes on with what *draft* tells; takes it in.
 * @param {Draft} draft
 * @param {Change} change
 */
function continues(draft, change) {
  if (draft.isLoad && draft.tookMs === null && draft.kind === "load") {
    if (change.state === "ready") {
      draft.tookMs = change.lasted_ms ?? 0;
      return true;
    }
    if (change.state !== "starting") {
      draft.kind = change.cause === "failed" ? "failure" : "end";
      draft.why = change.why;
      draft.tookMs = change.lasted_ms ?? 0;
      return true;
    }
  }
  return draft.kind !== "load" && (change.state === "stopped" || change.state === "failed");
}

/**
 * The planner's reason, as it is said to those who go.
 * @param {(Draft | undefined)[]} gone
 */
function reasonOf(gone) {
  const reasons = gone.map((each) => plannersReason(each?.first ?? null)).filter(Boolean);
  return [...new Set(reasons)].join("; ");
}

/**
 * @param {Change | null} change
 * @returns {string} why the planner had a model go, without for whom
 */
export function plannersReason(change) {
  if (!change?.room_for) return "";
  return change.why.replace(`makes room for ${change.room_for}: `, "");
}

/**
 * @param {Draft} draft
 * @returns {Episode}
 */
function told(draft) {
  const { first, kind } = draft;
  const episode = { id: first.id, at: first.at, model: first.model, kind, victims: first.victims };
  const took = draft.tookMs === null ? "" : duration(draft.tookMs);
  const instead = first.victims.length ? `, in place of ${first.victims.map(plain).join(", ")}` : "";
  if (kind === "load") {
    return { ...episode, text: (took ? `loaded in ${took}` : "is loading") + instead, why: plain(draft.why) };
  }
  if (kind === "failure") {
    const text = draft.isLoad ? `failed to start${took ? ` after ${took}` : ""}${instead}` : "ended by itself";
    return { ...episode, text, why: plain(draft.why) };
  }
  if (draft.isLoad) return { ...episode, text: `was stopped while it loaded${instead}`, why: plain(draft.why) };
  if (first.room_for) {
    return { ...episode, text: `made room for ${plain(first.room_for)}`, why: plain(plannersReason(first)) };
  }
  return { ...episode, text: "was unloaded", why: plain(first.why.replace(/^unloaded (?=on request)/, "")) };
}

/**
 * @param {readonly Change[]} changes
 * @param {string} model
 * @returns {number | null} how long its newest load took; null: none was seen
 */
export function lastLoadMs(changes, model) {
  const found = changes.findLast((change) => change.model === model && change.state === "ready");
  return found?.lasted_ms ?? null;
}
