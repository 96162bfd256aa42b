// How a model stands, from all that tells of it: events, the queue, the requests in flight, the last hour, the machine.

import { computed, signal } from "../../html.js";
import { lastLoadMs } from "../../lib/timeline.js";
import { get } from "../../state/api.js";
import { inflight, models, performance as told, queue } from "../../state/store.js";
import { residency } from "./residency.js";

/** @typedef {import("../../types.js").Model} Model */
/** @typedef {import("../../types.js").KnownRequest} KnownRequest */
/** @typedef {import("../../types.js").ResidencyChange} ResidencyChange */

/**
 * @typedef {object} Standing
 * @property {string} state as of the events; "failed" for one that is stopped and has not been started since it failed
 * @property {number} waiting
 * @property {number} serving
 * @property {KnownRequest[]} requests that are served
 * @property {string} failure why it failed; "": it has not
 * @property {number | null} retryAtMs by our monotonic clock: until when its requests are refused
 * @property {ResidencyChange | null} newest its last change, if that was in the last hour
 * @property {number | null} usualMs how long its newest load took
 */

const requestsByModel = computed(() => {
  const waiting = new Set(queue.value.queue.map((entry) => entry.request_id));
  /** @type {Map<string, KnownRequest[]>} */
  const found = new Map();
  for (const request of inflight.value.values()) {
    // To load a model is to ask nothing of it.
    if (waiting.has(request.id) || request.req_path.startsWith("/api/models/load/")) continue;
    const its = found.get(request.model);
    if (its) its.push(request);
    else found.set(request.model, [request]);
  }
  return found;
});

const newestByModel = computed(() => {
  /** @type {Map<string, ResidencyChange>} */
  const found = new Map();
  for (const change of residency.value?.changes ?? []) found.set(change.model, change);
  return found;
});

const usualByModel = computed(() => {
  const changes = residency.value?.changes ?? [];
  return new Map([...newestByModel.value.keys()].map((model) => [model, lastLoadMs(changes, model)]));
});

/** @type {Map<string, Standing>} */
let before = new Map();

/** Of each model of this machine, by id. One that has not changed is the same object: only rows with news are drawn. */
export const standings = computed(() => {
  const waits = queue.value;
  /** @type {Map<string, Standing>} */
  const found = new Map();
  for (const model of models.value) {
    const its = waits.models[model.id];
    const newest = newestByModel.value.get(model.id) ?? null;
    const isStopped = model.state === "stopped";
    // Whichever has told of it first: the queue is told of only while somebody waits.
    const failure = isStopped ? (newest ? (newest.state === "failed" ? newest.why : "") : (its?.failure ?? "")) : "";
    const requests = requestsByModel.value.get(model.id) ?? [];
    // The queue is told of twice a second, states at once: what it said of another state is over.
    const waiting = its && (its.state === model.state || model.state !== "ready") ? its.waiting : 0;
    /** @type {Standing} */
    const standing = {
      state: failure ? "failed" : model.state,
      waiting,
      serving: model.state === "ready" ? requests.length : 0,
      requests: model.state === "ready" ? requests : [],
      failure,
      retryAtMs: failure && its?.retry_in_ms !== undefined ? waits.receivedAtMs + its.retry_in_ms : null,
      newest,
      usualMs: usualByModel.value.get(model.id) ?? null,
    };
    const old = before.get(model.id);
    found.set(model.id, old && isSame(old, standing) ? old : standing);
  }
  before = found;
  return found;
});

/**
 * @param {Standing} a
 * @param {Standing} b
 */
function isSame(a, b) {
  const { requests: theirs, ...rest } = a;
  const isKept = /** @type {(keyof typeof rest)[]} */ (Object.keys(rest)).every((key) => a[key] === b[key]);
  if (!isKept || theirs.length !== b.requests.length) return false;
  return theirs.every((request, index) => request === b.requests[index]);
}

/**
 * @typedef {object} Memory
 * @property {number} ramMb
 * @property {{uuid: string, name: string, place: string, usedMb: number}[]} gpus place: "GPU 0"
 */

const asked = signal(/** @type {import("../../types.js").PerformanceState | null} */ (null));

/** How the machine was seen last: as it was told, or, until it has been, as it was asked for. */
const sample = computed(() => told.value ?? asked.value);

/** Asks how the machine does, for events only tell of the next sample; whether it is looked at is known there, too. */
export async function askForSample() {
  if (sample.peek() !== null) return;
  try {
    asked.value = await get("/api/performance", { query: { after: new Date(Date.now() - 15_000).toISOString() } });
  } catch {
    // Switched off, or a moment without a connection: memory is simply not shown.
  }
}

const startedByModel = computed(() => {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const change of residency.value?.changes ?? []) {
    if (change.state === "starting") found.set(change.model, Date.parse(change.at));
  }
  return found;
});

/** What the processes of each model that has some use, as the machine was seen last; without those started since. */
export const memories = computed(() => {
  const states = new Map(models.value.map((model) => [model.id, model.state]));
  const cards = new Map((sample.value?.gpu_stats ?? []).map((gpu) => [gpu.uuid, gpu]));
  /** @type {Map<string, Memory>} */
  const found = new Map();
  for (const its of sample.value?.models ?? []) {
    const isOfAnother = Date.parse(its.timestamp) < (startedByModel.value.get(its.model) ?? 0);
    if (isOfAnother || (states.get(its.model) ?? "stopped") === "stopped") continue;
    const gpus = its.gpus.map(({ uuid, used_mb: usedMb }) => {
      const card = cards.get(uuid);
      return { uuid, name: card?.name ?? uuid, place: card ? `GPU ${card.id}` : "GPU", usedMb };
    });
    found.set(its.model, { ramMb: its.ram_mb, gpus: gpus.filter((gpu) => gpu.usedMb > 0) });
  }
  return found;
});

/** How many requests are in flight or wait, in all. */
export const busy = computed(() => Math.max(inflight.value.size, queue.value.length));
