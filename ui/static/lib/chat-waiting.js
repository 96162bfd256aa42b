/**
 * Why an answer has not begun yet, in words, from what Hostler tells of its queue. PURE.
 */

import { displayName, modelNamed } from "./names.js";

/** @typedef {import("../types.js").QueueState} QueueState */
/** @typedef {import("../types.js").QueueEntry} QueueEntry */
/** @typedef {import("../types.js").InflightRequest} InflightRequest */
/** @typedef {import("../types.js").Model} Model */
/**
 * @typedef {object} Explanation
 * @property {"sent" | "queued" | "loading" | "reading" | "unknown"} stage
 * @property {string} title
 * @property {string[]} details
 * @property {number | null} estimatedMs what is left by the estimate when the queue was told; null: not known
 */
/**
 * @typedef {object} Circumstances
 * @property {string} model as it was asked for
 * @property {string} requestId the `X-Request-ID` it was sent with
 * @property {QueueState} queue
 * @property {Iterable<InflightRequest>} inflight
 * @property {readonly Model[]} models
 * @property {boolean} isConnected whether all this is what is the case now
 * @property {string} loading what the stream itself has said; empty: nothing
 */

/** A header as requests in flight show it. */
const HEADER = "X-Request-Id";

/**
 * @param {Circumstances} circumstances
 * @returns {Explanation}
 */
export function explain({ model, requestId, queue, inflight, models, isConnected, loading }) {
  if (!isConnected) {
    const told = loading ? [sentence(loading)] : [];
    const title = "Waiting for the answer";
    return {
      stage: "unknown",
      title,
      details: [...told, "The line to Hostler's news is down: the queue is not known."],
      estimatedMs: null,
    };
  }
  const request = [...inflight].find((each) => each.req_headers[HEADER] === requestId);
  if (!request) {
    const details = loading ? [sentence(loading)] : [];
    return { stage: "sent", title: "Sent, waiting for the answer", details, estimatedMs: null };
  }
  const id = request.model || model;
  const known = modelNamed(models, id);
  /** @param {string} each */
  const called = (each) => displayName(modelNamed(models, each) ?? { id: each });
  const name = called(id);
  const entry = queue.queue.find((each) => each.request_id === request.id);
  if (entry) return queued(entry, queue, called);
  if (known?.peerID)
    return { stage: "reading", title: `Waiting for ${name} of ${known.peerID}`, details: [], estimatedMs: null };
  const told = queue.models[known?.id ?? id];
  const state = told?.state ?? known?.state;
  if (state === "starting") return loadingModel(name, told?.estimated_ms ?? null);
  // The queue is told of a little later than the request.
  if (state === "stopped" || state === "stopping")
    return { stage: "queued", title: `In line for ${name}`, details: [], estimatedMs: null };
  return { stage: "reading", title: `${name} reads the question`, details: [], estimatedMs: null };
}

/**
 * @param {QueueEntry} entry
 * @param {QueueState} queue
 * @param {(id: string) => string} called
 * @returns {Explanation}
 */
function queued(entry, queue, called) {
  const name = called(entry.model);
  const state = queue.models[entry.model]?.state;
  const isNext = entry.position === 1;
  if (entry.held_by.length === 0 && state === "starting") return loadingModel(name, entry.estimated_ms);
  const title = isNext ? `Next in line for ${name}` : `${ordinal(entry.position)} in line for ${name}`;
  const details = entry.held_by.map((held) => holder({ ...held, model: called(held.model) }));
  if (!details.length && state === "ready") details.push(`${name} answers as many requests as it may at once.`);
  if (entry.overdue) details.push("It has waited long: newcomers to these models stand behind it.");
  return { stage: "queued", title, details, estimatedMs: entry.estimated_ms };
}

/**
 * @param {string} name
 * @param {number | null} estimatedMs
 * @returns {Explanation}
 */
function loadingModel(name, estimatedMs) {
  const details = estimatedMs === null ? ["How long that takes is not known yet."] : [];
  return { stage: "loading", title: `${name} is being loaded`, details, estimatedMs };
}

/** @param {QueueEntry["held_by"][number]} held */
function holder({ model, state, in_flight: requests }) {
  if (state === "stopping") return `${model} is being stopped to make room.`;
  if (state === "starting") return `${model} is being loaded for somebody else, and has to go first.`;
  if (requests > 0)
    return `${model} has to go first; it still answers ${requests === 1 ? "a request" : `${requests} requests`}.`;
  return `${model} has to go first.`;
}

/** @param {number} n */
function ordinal(n) {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${tail}`;
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}
