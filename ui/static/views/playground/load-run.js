/** A load test as it runs: its requests, and what was seen of queue and memory meanwhile. It outlives the tab. */

import { computed, effect, signal, untracked } from "../../html.js";
import { noted } from "../../lib/load-test.js";
import { inflight, models } from "../../state/store.js";
import { stored } from "../../state/settings.js";
import { ask } from "./asking.js";
import { explanation } from "./waiting.js";

/** @typedef {import("../../lib/load-test.js").Lane} Lane */
/** @typedef {import("../../lib/load-test.js").Phase} Phase */
/** @typedef {{ at: number, state: string }[]} Changes */

export const MOST_REQUESTS = 64;

/** @param {any} value */
const areNames = (value) => Array.isArray(value) && value.every((each) => typeof each === "string");

export const queue = stored("playground.load-queue", /** @type {string[]} */ ([]), areNames);
export const prompt = stored("playground.load-prompt", "Tell me something about the weather, in a hundred words.");
export const maxTokens = stored("playground.load-max-tokens", 256);

/** @type {Record<import("../../lib/chat-waiting.js").Explanation["stage"], Phase | null>} */
const PHASE_OF = { sent: "held", queued: "waiting", loading: "loading", reading: "reading", unknown: null };

/** One request, and what was seen of it before it was answered. */
export class LoadRequest {
  #seen = /** @type {Lane["seen"]} */ ([]);
  #arrivedAt = -1;

  /**
   * @param {string} model
   * @param {string} text
   * @param {number} tokens
   */
  constructor(model, text, tokens) {
    this.model = model;
    this.asking = ask({ dialect: "chat", question: { model, turns: [{ role: "user", text }], maxTokens: tokens } });
    const stopLooking = effect(() => this.#look());
    void this.asking.finished.then(() => {
      stopLooking();
      untracked(() => settled());
    });
  }

  #look() {
    const { asking } = this;
    if (asking.state.value !== "waiting") return;
    const phase = PHASE_OF[explanation(asking).stage];
    if (phase) this.#seen = noted(this.#seen, phase, performance.now());
    if (this.#arrivedAt >= 0) return;
    for (const request of inflight.value.values()) {
      if (request.req_headers["X-Request-Id"] !== asking.requestId) continue;
      this.#arrivedAt = request.receivedAtMs - request.elapsed_ms;
    }
  }

  /** @returns {Lane} */
  lane() {
    const { asking } = this;
    const { firstMs, totalMs, queuedMs, swapMs, usage } = asking.measured();
    const { isRunning, sentAt } = asking;
    const firstAt = firstMs < 0 ? -1 : sentAt + firstMs;
    const state = asking.state.value;
    return {
      model: this.model,
      state: state === "waiting" || state === "answering" ? "running" : state,
      sentAt,
      arrivedAt: this.#arrivedAt,
      seen: this.#seen,
      queuedMs,
      swapMs,
      firstAt,
      contentAt: firstAt < 0 || asking.content.value === "" ? -1 : firstAt + asking.reasoningMs.value,
      endedAt: isRunning ? -1 : sentAt + totalMs,
      tokens: usage.output,
    };
  }
}

/** The requests of the current test, or of the last one. */
export const requests = signal(/** @type {readonly LoadRequest[]} */ ([]));
/** How many have ended: what tells of them as a whole follows it. */
const endings = signal(0);
export const isRunning = computed(() => endings.value >= 0 && requests.value.some((each) => each.asking.isRunning));
/** The states of this machine's models since the test began. */
export const memory = signal(/** @type {ReadonlyMap<string, Changes>} */ (new Map()));

function settled() {
  endings.value += 1;
}

/** @type {(() => void) | undefined} */
let stopWatching;

function watchMemory() {
  stopWatching?.();
  memory.value = new Map();
  stopWatching = effect(() => {
    const at = performance.now();
    const states = models.value.filter((model) => model.peerID === "");
    const before = memory.peek();
    const changed = states.filter((model) => before.get(model.id)?.at(-1)?.state !== model.state);
    if (!changed.length) return;
    const after = new Map(before);
    for (const { id, state } of changed) after.set(id, [...(before.get(id) ?? []), { at, state }]);
    memory.value = after;
  });
}

/** Sends all of the queue at once. */
export function go() {
  if (isRunning.value || !queue.value.length) return;
  watchMemory();
  requests.value = queue.value.map((model) => new LoadRequest(model, prompt.value, maxTokens.value));
}

export function stop() {
  for (const { asking } of requests.value) asking.stop();
}

/**
 * Sends one of them again, in its place.
 *
 * @param {LoadRequest} request
 */
export function again(request) {
  const next = new LoadRequest(request.model, prompt.value, maxTokens.value);
  requests.value = requests.value.map((each) => (each === request ? next : each));
}

// Once all have ended, what happens in memory is no longer this test's business.
effect(() => {
  if (requests.value.length && !isRunning.value) stopWatching?.();
});
