/**
 * Many requests at once: what each of them went through, and what they come to together. PURE.
 *
 * All moments are milliseconds of one monotonic clock; -1 is a moment that has not come, or a figure that nobody has told.
 *
 * Where the time before the first word has gone is known exactly once the answer's headers are there (`x-hostler-queued-ms`,
 * `x-hostler-swap-ms`). Until then, and for answers without them, it is what was seen of the queue meanwhile.
 */

import { duration, isKnown } from "./format.js";

/**
 * held: the browser has not sent it yet, because it keeps few connections to one server. waiting: in Hostler's queue. loading: its
 * model is loaded, others stopped for it before. reading: its model reads the prompt.
 *
 * @typedef {"held" | "waiting" | "loading" | "reading" | "reasoning" | "streaming"} Phase
 */
/** @typedef {"running" | "done" | "failed" | "stopped"} LaneState */
/**
 * @typedef {object} Lane
 * @property {string} model
 * @property {LaneState} state
 * @property {number} sentAt
 * @property {number} arrivedAt when Hostler got it
 * @property {{ phase: Phase, at: number }[]} seen of the queue, in the order of time
 * @property {number} queuedMs
 * @property {number} swapMs
 * @property {number} firstAt the first word, of whatever kind
 * @property {number} contentAt the first word of the answer itself
 * @property {number} endedAt
 * @property {number} tokens that were generated
 */
/** @typedef {{ phase: Phase, from: number, to: number }} Segment */
/** @typedef {{ p50: number, p95: number, max: number }} Spread */
/**
 * @typedef {object} Totals
 * @property {number} count
 * @property {number} running
 * @property {number} done
 * @property {number} failed
 * @property {number} stopped
 * @property {number} wallMs from the first one's start to the last one's end, or to now
 * @property {number} requestsPerSecond
 * @property {number} tokens
 * @property {number} tokensPerSecond of all together
 * @property {Spread} first from a request's arrival to the first word
 * @property {Spread} waited in the queue and for a model
 * @property {number} loadingMs how long, of all the time, somebody's model was being loaded
 * @property {number} swapped how many waited for that
 */

export const PHASES = /** @type {readonly { id: Phase, label: string, title: string }[]} */ ([
  { id: "held", label: "in the browser", title: "not sent yet: browsers keep at most six connections to one server" },
  { id: "waiting", label: "in the queue", title: "waiting for its turn" },
  { id: "loading", label: "swap", title: "other models stop, its own is loaded" },
  { id: "reading", label: "prompt", title: "the model reads the prompt" },
  { id: "reasoning", label: "reasoning", title: "the model thinks" },
  { id: "streaming", label: "answer", title: "the answer arrives" },
]);

/** A shorter hold is the way there, and a busy machine. */
const HELD_MS = 300;

/**
 * Returns what *lane* went through, without gaps, from its start to its end or to *now*.
 *
 * @param {Lane} lane
 * @param {number} now
 * @returns {Segment[]}
 */
export function segments(lane, now) {
  const end = lane.endedAt < 0 ? Math.max(now, lane.sentAt) : lane.endedAt;
  const speaks = lane.firstAt < 0 ? end : lane.firstAt;
  const starts = [...beforeSpeaking(lane, speaks)];
  if (lane.firstAt >= 0) {
    starts.push({ phase: lane.firstAt === lane.contentAt ? "streaming" : "reasoning", at: lane.firstAt });
    if (lane.contentAt > lane.firstAt) starts.push({ phase: "streaming", at: lane.contentAt });
  }
  /** @type {Segment[]} */
  const found = [];
  starts.forEach(({ phase, at }, index) => {
    const from = Math.min(at, end);
    const to = Math.min(starts[index + 1]?.at ?? end, end);
    const last = found.at(-1);
    if (to <= from) return;
    if (last?.phase === phase) last.to = to;
    else found.push({ phase, from, to });
  });
  return found;
}

/**
 * @param {Lane} lane
 * @param {number} speaks
 * @returns {{ phase: Phase, at: number }[]}
 */
function beforeSpeaking(lane, speaks) {
  const arrived = lane.arrivedAt - lane.sentAt > HELD_MS ? lane.arrivedAt : lane.sentAt;
  /** @type {{ phase: Phase, at: number }[]} */
  const held = arrived > lane.sentAt ? [{ phase: "held", at: lane.sentAt }] : [];
  if (lane.queuedMs >= 0 && lane.swapMs >= 0) {
    const swaps = arrived + lane.queuedMs;
    /** @type {{ phase: Phase, at: number }[]} */
    const exact = [
      { phase: "waiting", at: arrived },
      { phase: "loading", at: swaps },
      { phase: "reading", at: swaps + lane.swapMs },
    ];
    // Their clock and ours may differ by some milliseconds.
    return [...held, ...exact.map(({ phase, at }) => ({ phase, at: Math.min(at, speaks) }))];
  }
  /** @type {Phase} */
  const first = lane.arrivedAt < 0 && lane.seen[0]?.phase === "held" ? "held" : "waiting";
  const seen = lane.seen.filter(({ phase, at }) => phase !== "held" && at >= arrived && at < speaks);
  return [...held, { phase: first, at: arrived }, ...seen];
}

/**
 * Returns *lane* with a look at the queue noted: only changes are kept.
 *
 * @param {Lane["seen"]} seen
 * @param {Phase} phase
 * @param {number} at
 * @returns {Lane["seen"]}
 */
export function noted(seen, phase, at) {
  return seen.at(-1)?.phase === phase ? seen : [...seen, { phase, at }];
}

/**
 * @param {Lane} lane
 * @param {number} now
 * @returns {Record<Phase, number>} how long it was in each phase
 */
export function spent(lane, now) {
  const times = { held: 0, waiting: 0, loading: 0, reading: 0, reasoning: 0, streaming: 0 };
  for (const { phase, from, to } of segments(lane, now)) times[phase] += to - from;
  return times;
}

/**
 * @param {readonly Lane[]} lanes
 * @param {number} now
 * @returns {Totals}
 */
export function totals(lanes, now) {
  const of = (/** @type {LaneState} */ state) => lanes.filter((lane) => lane.state === state).length;
  const ends = lanes.map((lane) => (lane.endedAt < 0 ? now : lane.endedAt));
  const wallMs = lanes.length ? Math.max(...ends) - Math.min(...lanes.map((lane) => lane.sentAt)) : 0;
  const told = lanes.filter((lane) => isKnown(lane.tokens));
  const tokens = told.length ? told.reduce((sum, lane) => sum + lane.tokens, 0) : -1;
  // Who was never served did not wait so long, but longer: it would make the figures better than they are.
  const served = lanes.filter((lane) => lane.firstAt >= 0 || lane.state === "done");
  const all = lanes.map((lane) => segments(lane, now));
  const loading = all.flat().filter((segment) => segment.phase === "loading");
  return {
    count: lanes.length,
    running: of("running"),
    done: of("done"),
    failed: of("failed"),
    stopped: of("stopped"),
    wallMs,
    requestsPerSecond: wallMs > 0 ? of("done") / (wallMs / 1000) : -1,
    tokens,
    tokensPerSecond: tokens >= 0 && wallMs > 0 ? tokens / (wallMs / 1000) : -1,
    first: spread(lanes.filter((lane) => lane.firstAt >= 0).map((lane) => lane.firstAt - arrival(lane))),
    waited: spread(served.map((lane) => waitedMs(lane, now))),
    loadingMs: covered(loading),
    swapped: all.filter((each) => each.some((segment) => segment.phase === "loading")).length,
  };
}

/** @param {Lane} lane */
function arrival(lane) {
  return lane.arrivedAt < 0 ? lane.sentAt : Math.max(lane.arrivedAt, lane.sentAt);
}

/**
 * @param {Lane} lane
 * @param {number} now
 */
function waitedMs(lane, now) {
  const times = spent(lane, now);
  return times.waiting + times.loading;
}

/**
 * @param {readonly number[]} values
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), max: sorted.at(-1) ?? -1 };
}

/**
 * @param {readonly number[]} sorted
 * @param {number} share
 * @returns {number} between two values, in proportion
 */
function quantile(sorted, share) {
  if (!sorted.length) return -1;
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/**
 * @param {readonly { from: number, to: number }[]} spans
 * @returns {number} how much of the time at least one of them covers
 */
export function covered(spans) {
  let sum = 0;
  let until = -Infinity;
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}

/**
 * Returns the moments to mark on an axis of *spanMs*, from 0 on: round ones, at most *most*.
 *
 * @param {number} spanMs
 * @param {number} most
 * @returns {number[]}
 */
export function ticks(spanMs, most) {
  if (!(spanMs > 0)) return [0];
  const rough = spanMs / Math.max(1, most);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * /** @type {number} */ ([1, 2, 5, 10].find((each) => each * magnitude >= rough));
  return Array.from({ length: Math.floor(spanMs / step + 1e-9) + 1 }, (_, index) => index * step);
}

/**
 * Returns what a lane went through as a sentence, for who does not see the picture.
 *
 * @param {Lane} lane
 * @param {number} now
 */
export function story(lane, now) {
  const times = spent(lane, now);
  const parts = [
    times.held ? `${duration(times.held)} in the browser` : "",
    times.waiting >= 1 ? `${duration(times.waiting)} in the queue` : "",
    times.loading >= 1 ? `${duration(times.loading)} while models were swapped` : "",
    times.reading >= 1 ? `${duration(times.reading)} reading the prompt` : "",
    times.reasoning ? `${duration(times.reasoning)} reasoning` : "",
    times.streaming ? `${duration(times.streaming)} answering` : "",
  ].filter(Boolean);
  return parts.length ? parts.join(", ") : "nothing yet";
}

/**
 * Returns when a model was in memory, or on its way, between *from* and *to*, from the changes of its state.
 *
 * @param {readonly { state: string, at: number }[]} changes in the order of time; the first tells how it began
 * @param {number} from
 * @param {number} to
 * @returns {{ state: string, from: number, to: number }[]} without the times when it was stopped
 */
export function stretches(changes, from, to) {
  return changes
    .map(({ state, at }, index) => ({ state, from: Math.max(at, from), to: Math.min(changes[index + 1]?.at ?? to, to) }))
    .filter((each) => each.to > each.from && ["starting", "ready", "stopping"].includes(each.state));
}

/**
 * @template T
 * @param {readonly T[]} list
 * @param {number} from
 * @param {number} to
 * @returns {T[]} with one of them moved; an impossible move changes nothing
 */
export function moved(list, from, to) {
  const copy = [...list];
  if (from < 0 || from >= list.length || to < 0 || to >= list.length) return copy;
  copy.splice(to, 0, ...copy.splice(from, 1));
  return copy;
}
