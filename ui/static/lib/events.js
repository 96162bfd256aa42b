// Live events, and what the page knows from them: a fold. Everything shown of models, queue and requests is
//
//     events.reduce(reduce, initial())
//
// since the last connection. The server tells a newcomer how things stand, then what changes; nothing is kept from the
// connection before (see state/store.js), so that what was missed between the two cannot stay wrong. Log text is not
// folded: state/logs.js gets it as it comes. The examples of tests/fixtures/events are recorded from the server.

/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").HostlerEvent} HostlerEvent */
/** @typedef {import("../types.js").Moment} Moment */
/** @typedef {import("../types.js").InflightChange} InflightChange */
/** @typedef {import("../types.js").KnownRequest} KnownRequest */

/** What a newcomer is told of; before all of them have come, nothing can be said for sure. */
export const SNAPSHOT = /** @type {const} */ (["modelStatus", "uiConfig", "profileChanged", "inflight", "queue"]);

/** @type {Moment} */
const NO_TIME = { monotonicMs: 0, wallMs: 0 };

/** @returns {State} of one who has been told nothing */
export function initial() {
  return {
    models: [],
    queue: { queue: [], length: 0, limit: 0, models: {}, receivedAtMs: 0 },
    inflight: new Map(),
    profile: null,
    uiConfig: { activity: { session_id: [] } },
    lastActivity: 0,
    lastReload: null,
    performance: null,
    told: new Set(),
  };
}

/**
 * @param {State} state
 * @returns {boolean} whether all has come that a newcomer is told
 */
export function isComplete(state) {
  return SNAPSHOT.every((type) => state.told.has(type));
}

/**
 * Unpacks the data of a server-sent event: JSON, with JSON as text in it.
 * @param {string} message
 * @returns {HostlerEvent | null} null for what cannot be understood; a type that is not known is for `reduce` to pass over
 */
export function parse(message) {
  try {
    const { type, data } = JSON.parse(message);
    if (typeof type !== "string" || typeof data !== "string") return null;
    const event = { type, data: JSON.parse(data) };
    return event.data === null || typeof event.data !== "object" ? null : /** @type {HostlerEvent} */ (event);
  } catch {
    return null;
  }
}

/**
 * @param {State} state stays as it is
 * @param {HostlerEvent} event
 * @param {Moment} [at] when it came
 * @returns {State} what is known afterwards; members that did not change are the same objects
 */
export function reduce(state, event, at = NO_TIME) {
  return reduceAll(state, [event], at);
}

/**
 * The same for many at once: of a thousand changed requests the map is copied once.
 * @param {State} state stays as it is
 * @param {readonly HostlerEvent[]} events
 * @param {Moment} [at]
 * @returns {State}
 */
export function reduceAll(state, events, at = NO_TIME) {
  if (events.length === 0) return state;
  /** @type {State} */
  const next = { ...state };
  /** @type {Map<string, KnownRequest> | null} */
  let inflight = null;
  for (const event of events) {
    if (event.type === "inflight") {
      inflight = changed(inflight ?? new Map(state.inflight), event.data, at.monotonicMs);
    } else {
      take(next, event, at);
    }
    if (!next.told.has(event.type) && isSnapshot(event.type)) next.told = new Set([...next.told, event.type]);
  }
  if (inflight) next.inflight = inflight;
  return next;
}

/** @param {string} type */
function isSnapshot(type) {
  return /** @type {readonly string[]} */ (SNAPSHOT).includes(type);
}

/**
 * @param {State} next changed in place
 * @param {HostlerEvent} event
 * @param {Moment} at
 */
function take(next, event, at) {
  switch (event.type) {
    case "modelStatus":
      next.models = event.data;
      break;
    case "queue":
      next.queue = { ...event.data, receivedAtMs: at.monotonicMs };
      break;
    case "profileChanged":
      next.profile = event.data.active;
      break;
    case "uiConfig":
      next.uiConfig = event.data;
      break;
    case "activity":
      next.lastActivity = Math.max(next.lastActivity, event.data.id);
      break;
    case "reload":
      next.lastReload = { ...event.data, at: at.wallMs };
      break;
    case "performance":
      next.performance = event.data;
      break;
    // After "resync" come snapshots of all that is a state; of activity the newest number is on its way, and pages that
    // show records fetch them again for it. Types of a later server are passed over.
    default:
  }
}

/**
 * @param {Map<string, KnownRequest>} requests changed in place: in the order of arrival
 * @param {InflightChange} change
 * @param {number} receivedAtMs
 */
function changed(requests, change, receivedAtMs) {
  if (change.operation === "snapshot") {
    return new Map((change.requests ?? []).map((request) => [request.id, { ...request, receivedAtMs }]));
  }
  if (change.operation === "upsert") requests.set(change.request.id, { ...change.request, receivedAtMs });
  else if (change.operation === "remove") requests.delete(change.id);
  return requests;
}

/**
 * How long a request has taken so far. Neither the server's clock nor ours needs to be right, for both only measure.
 * @param {{elapsed_ms: number, receivedAtMs: number}} request
 * @param {number} monotonicMs now, by `performance.now()`
 * @returns {number}
 */
export function elapsedMs(request, monotonicMs) {
  return request.elapsed_ms + Math.max(0, monotonicMs - request.receivedAtMs);
}
