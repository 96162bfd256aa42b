/**
 * One question on its way to a model and back: what has been said so far, in signals, and what it took.
 *
 * It lives on while nobody looks. What arrives is shown at most once a frame, however many pieces it comes in.
 */

import { signal } from "../../html.js";
import { AnswerReader } from "../../lib/answer.js";
import { milliseconds } from "../../lib/chat-figures.js";
import { buildRequest } from "../../lib/dialects.js";
import { ApiError, isAbort, raw, wordsFor } from "../../state/api.js";
import { begin, withSession } from "./jobs.js";

/** @typedef {import("../../lib/dialects.js").DialectName} DialectName */
/** @typedef {import("../../lib/dialects.js").Question} Question */
/** @typedef {"waiting" | "answering" | "done" | "stopped" | "failed"} AskingState */
/**
 * @typedef {{ status: number, message: string }} Failure
 *   status 0: there was no answer; -1: it broke off, or told of an error
 */

export class Asking {
  /** Sent with the request, and found again in what Hostler tells of requests in flight. */
  requestId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  sentAt = performance.now();
  state = signal(/** @type {AskingState} */ ("waiting"));
  content = signal("");
  reasoning = signal("");
  loading = signal("");
  toolCalls = signal(/** @type {import("../../lib/answer.js").ToolCall[]} */ ([]));
  /** How long it has thought; 0 while it has not begun to. */
  reasoningMs = signal(0);
  failure = signal(/** @type {Failure | null} */ (null));
  /** Settled when it is over, however that came about. */
  finished;

  #abort = new AbortController();
  #reader;
  #firstAt = -1;
  #lastAt = -1;
  #endedAt = -1;
  #thoughtAt = -1;
  #queuedMs = -1;
  #swapMs = -1;
  #due = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {DialectName} dialect
   * @param {Question} question
   */
  constructor(dialect, question) {
    this.dialect = dialect;
    this.model = question.model;
    this.#reader = new AnswerReader();
    this.finished = this.#run(buildRequest(dialect, question));
  }

  get isRunning() {
    return this.state.value === "waiting" || this.state.value === "answering";
  }

  /** Ends it; what has been said stays. */
  stop() {
    this.#abort.abort();
  }

  /** @returns {import("../../lib/chat-figures.js").Measured} */
  measured() {
    const { usage, timings } = this.#reader;
    return {
      totalMs: since(this.sentAt, this.#endedAt < 0 ? performance.now() : this.#endedAt),
      firstMs: since(this.sentAt, this.#firstAt),
      lastMs: since(this.sentAt, this.#lastAt),
      queuedMs: this.#queuedMs,
      swapMs: this.#swapMs,
      usage,
      timings,
    };
  }

  /** What is kept of it once it is over. */
  answered() {
    const state = this.state.value;
    return /** @type {import("../../lib/chat-conversation.js").Answered} */ ({
      model: this.model,
      dialect: this.dialect,
      content: this.#reader.content,
      reasoning: this.#reader.reasoning,
      reasoningMs: this.reasoningMs.value,
      toolCalls: this.#reader.toolCalls.map((call) => ({ ...call })),
      state: state === "failed" || state === "stopped" ? state : "done",
      status: this.failure.value?.status ?? 0,
      error: this.failure.value?.message ?? "",
      stopReason: this.#reader.stopReason,
      measured: this.measured(),
    });
  }

  /** @param {{ path: string, body: object }} request */
  async #run({ path, body }) {
    const end = begin();
    try {
      const response = await raw(path, {
        method: "POST",
        headers: withSession({ "Content-Type": "application/json", "X-Request-ID": this.requestId }),
        body: JSON.stringify(body),
        signal: this.#abort.signal,
      });
      this.#queuedMs = milliseconds(response.headers.get("x-hostler-queued-ms"));
      this.#swapMs = milliseconds(response.headers.get("x-hostler-swap-ms"));
      await this.#read(response);
      if (this.#reader.error) this.#fail(-1, this.#reader.error);
      else if (!this.#reader.complete)
        this.#fail(-1, "The answer ended before its end: the line or the model's server broke.");
      else this.state.value = "done";
    } catch (error) {
      if (isAbort(error)) this.state.value = "stopped";
      else if (error instanceof ApiError) this.#fail(error.status, error.message);
      // A line that breaks in the middle of a body is a TypeError of the browser's.
      else if (error instanceof TypeError) this.#fail(-1, "The line broke in the middle of the answer.");
      else {
        console.error(error);
        this.#fail(-1, wordsFor(error));
      }
    } finally {
      this.#endedAt = performance.now();
      this.#reader.end();
      this.#show();
      end();
    }
  }

  /** @param {Response} response */
  async #read(response) {
    if (!(response.headers.get("content-type") ?? "").includes("text/event-stream")) {
      this.#reader.whole(await response.text());
      this.#arrived();
      return;
    }
    const pieces = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { value, done } = await pieces.read();
      if (done) break;
      this.#reader.push(decoder.decode(value, { stream: true }));
      this.#arrived();
    }
    this.#reader.push(decoder.decode());
    this.#reader.end();
  }

  #arrived() {
    const now = performance.now();
    if (this.#reader.hasBegun) {
      if (this.#firstAt < 0) this.#firstAt = now;
      this.#lastAt = now;
    }
    if (this.#reader.reasoning && this.#thoughtAt < 0) this.#thoughtAt = now;
    this.#soon();
  }

  /** Shows what has come with the next frame; a hidden tab has none, so a timer stands beside it. */
  #soon() {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#show(), 200);
    this.#due = requestAnimationFrame(() => this.#show());
  }

  #show() {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#due);
    this.#timer = undefined;
    const { content, reasoning, loading, toolCalls, hasBegun } = this.#reader;
    // The time of the thoughts ends with the first word of the answer.
    if (this.#thoughtAt >= 0 && this.content.value === "") this.reasoningMs.value = performance.now() - this.#thoughtAt;
    this.content.value = content;
    this.reasoning.value = reasoning;
    this.loading.value = loading;
    if (toolCalls.length) this.toolCalls.value = toolCalls.map((call) => ({ ...call }));
    if (hasBegun && this.state.value === "waiting") this.state.value = "answering";
  }

  /**
   * @param {number} status
   * @param {string} message
   */
  #fail(status, message) {
    this.failure.value = { status, message };
    this.state.value = "failed";
  }
}

/**
 * Asks a question.
 *
 * @param {{ dialect: DialectName, question: Question }} asked
 */
export function ask({ dialect, question }) {
  return new Asking(dialect, question);
}

/**
 * @param {number} from
 * @param {number} to
 */
function since(from, to) {
  return to < 0 ? -1 : Math.round(to - from);
}
