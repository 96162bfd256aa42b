// All that the page knows of the server: the fold over its events, cut into signals that change only when their part has.
//
// A new connection is told everything anew. Until it has been, the page goes on showing what it knew, and `connection` says
// that it is old; then all of it is replaced at once. So nothing that was missed can stay wrong, and nothing flickers.

import { batch, signal } from "../html.js";
import { initial, isComplete, parse, reduceAll } from "../lib/events.js";
import { selectorsOf } from "../lib/names.js";
import { get } from "./api.js";
import { Line } from "./connection.js";
import { logs } from "./logs.js";

/** @typedef {import("../types.js").State} State */
/** @typedef {import("../types.js").HostlerEvent} HostlerEvent */
/**
 * @template T
 * @typedef {import("../html.js").ReadonlySignal<T>} ReadonlySignal
 */

const line = new Line("/api/events", { opened, message });

/** "open": what is shown is how things stand. Otherwise it is how they stood at `asOf`. */
export const connection = /** @type {ReadonlySignal<"connecting" | "open" | "lost">} */ (line.state);
/** When it is tried again, in epoch ms; null: it is being tried, or there is no need. */
export const retryAt = /** @type {ReadonlySignal<number | null>} */ (line.retryAt);
/** Why there is no connection; null: there is one, or nobody knows yet. */
export const problem = /** @type {ReadonlySignal<import("./connection.js").Problem | null>} */ (line.problem);

const first = initial();
const slices = {
  models: signal(first.models),
  queue: signal(first.queue),
  inflight: signal(first.inflight),
  profile: signal(first.profile),
  uiConfig: signal(first.uiConfig),
  lastActivity: signal(first.lastActivity),
  lastReload: signal(first.lastReload),
  performance: signal(first.performance),
};

/** Ours by id, then those of peers. */
export const models = /** @type {ReadonlySignal<State["models"]>} */ (slices.models);
export const queue = /** @type {ReadonlySignal<State["queue"]>} */ (slices.queue);
/** By id, in the order of arrival. */
export const inflight = /** @type {ReadonlySignal<State["inflight"]>} */ (slices.inflight);
/** The id of the active one. */
export const profile = /** @type {ReadonlySignal<State["profile"]>} */ (slices.profile);
export const uiConfig = /** @type {ReadonlySignal<State["uiConfig"]>} */ (slices.uiConfig);
/** The number of the newest record; 0: none has come since the connection began. Changes when there is one to fetch. */
export const lastActivity = /** @type {ReadonlySignal<State["lastActivity"]>} */ (slices.lastActivity);
export const lastReload = /** @type {ReadonlySignal<State["lastReload"]>} */ (slices.lastReload);
/** The latest sample of the machine. */
export const performanceSample = /** @type {ReadonlySignal<State["performance"]>} */ (slices.performance);
export { performanceSample as performance };

const _known = signal(false);
const _named = signal(false);
const _asOf = signal(/** @type {number | null} */ (null));
const _connections = signal(0);
const _profiles = signal(/** @type {import("../types.js").Profile[]} */ ([]));
const _selectors = signal(/** @type {import("../types.js").Selector[]} */ ([]));
const _version = signal(/** @type {import("../types.js").Version | null} */ (null));

/** False until it has been told for the first time how things stand: an empty list means nothing before that. */
export const known = /** @type {ReadonlySignal<boolean>} */ (_known);
/** False until what events do not tell has been asked for, too: an empty list of profiles means nothing before that. */
export const named = /** @type {ReadonlySignal<boolean>} */ (_named);
/** When the last news came, in epoch ms, of a line that is not open; null while it is, and before the first. */
export const asOf = /** @type {ReadonlySignal<number | null>} */ (_asOf);
/** How many connections there have been: what is fetched once for each reads it. */
export const connections = /** @type {ReadonlySignal<number>} */ (_connections);
export const profiles = /** @type {ReadonlySignal<import("../types.js").Profile[]>} */ (_profiles);
export const selectors = /** @type {ReadonlySignal<import("../types.js").Selector[]>} */ (_selectors);
export const version = /** @type {ReadonlySignal<import("../types.js").Version | null>} */ (_version);

/** Begins to follow the server; once, by main.js. */
export function connect() {
  line.state.subscribe((state) => {
    if (state === "open") _asOf.value = null;
    else if (known.value) _asOf.value ??= heardAt;
  });
  line.start();
}

/** Tries at once to get the line back. */
export function retryNow() {
  line.retryNow();
}

// ---- the fold -------------------------------------------------------------------------------------------------------

let folded = first;
let isShown = false;
/** @type {HostlerEvent[]} */
let waiting = [];
let heardAt = 0;
let isDue = false;

function opened() {
  folded = initial();
  isShown = false;
  waiting = [];
  line.everyMs = null;
  logs.proxy.clear();
  logs.upstream.clear();
}

/** @param {string} text */
function message(text) {
  heardAt = Date.now();
  const event = parse(text);
  if (event === null) return;
  if (event.type === "logData") {
    if (Object.hasOwn(logs, event.data.source)) logs[event.data.source].append(event.data.data);
    return;
  }
  waiting.push(event);
  soon();
}

/** Folds what has come, once a frame; in a hidden tab, whose title is still seen, four times a second. */
function soon() {
  if (isDue) return;
  isDue = true;
  /** @type {number} */
  let frame = 0;
  const run = () => {
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    isDue = false;
    fold();
  };
  const timer = setTimeout(run, 250);
  frame = requestAnimationFrame(run);
}

function fold() {
  const events = waiting;
  waiting = [];
  folded = reduceAll(folded, events, { monotonicMs: performance.now(), wallMs: heardAt });
  if (!isComplete(folded)) return;
  batch(() => {
    show(folded);
    if (!isShown) {
      isShown = true;
      _known.value = true;
      _connections.value += 1;
      line.settled();
      void fetchOnce();
    } else if (events.some(changesNames)) {
      void fetchNames();
    }
  });
}

/** @param {State} state */
function show(state) {
  slices.models.value = state.models;
  slices.queue.value = state.queue;
  slices.inflight.value = state.inflight;
  slices.profile.value = state.profile;
  slices.uiConfig.value = state.uiConfig;
  slices.lastActivity.value = state.lastActivity;
  slices.lastReload.value = state.lastReload ?? slices.lastReload.value;
  slices.performance.value = state.performance;
  line.everyMs = state.performance?.every_s ? state.performance.every_s * 1000 : null;
}

// ---- what events do not tell ------------------------------------------------------------------------------------------

/** @param {HostlerEvent} event */
function changesNames(event) {
  return event.type === "uiConfig" || event.type === "reload";
}

async function fetchOnce() {
  await Promise.all([
    fetchNames(),
    keep("/api/version", (answer) => {
      _version.value = answer;
    }),
  ]);
}

async function fetchNames() {
  await Promise.all([
    keep("/api/profiles", (answer) => {
      _profiles.value = answer.profiles ?? [];
    }),
    keep("/v1/models", (answer) => {
      _selectors.value = selectorsOf(answer.data ?? []);
    }),
  ]);
  _named.value = true;
}

/**
 * @param {string} path
 * @param {(answer: any) => void} take
 */
async function keep(path, take) {
  const current = connections.peek();
  try {
    const answer = await get(path);
    if (connections.peek() === current) take(answer);
  } catch (error) {
    // What was known stays; the next connection asks again. A line that is lost is told of by `connection`.
    console.warn(`${path}: ${error instanceof Error ? error.message : error}`);
  }
}
