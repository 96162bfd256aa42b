/**
 * One request that is not a chat, on its way: it goes on while nobody looks, can be stopped, and tells how it ended.
 */

import { html, signal } from "../../html.js";
import { Button } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { explain } from "../../lib/chat-waiting.js";
import { duration, percent } from "../../lib/format.js";
import { ApiError, isAbort, wordsFor } from "../../state/api.js";
import { monotonic } from "../../state/clock.js";
import { connection, inflight, models, queue } from "../../state/store.js";
import { begin, withSession } from "./jobs.js";

/** @typedef {"running" | "done" | "failed" | "stopped"} TaskState */
/** @typedef {{ signal: AbortSignal, headers: Record<string, string>, sent: (share: number) => void }} TaskTools - sent: how much of an upload */

/** @template T */
export class Task {
  /** Sent with the request, and found again in what Hostler tells of requests in flight. */
  requestId = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  sentAt = performance.now();
  endedAt = -1;
  state = signal(/** @type {TaskState} */ ("running"));
  result = signal(/** @type {T | null} */ (null));
  failure = signal("");
  /** How much of an upload is sent; 1: all, or there is none. */
  sent = signal(1);

  #abort = new AbortController();

  /**
   * @param {string} model
   * @param {(tools: TaskTools) => Promise<T>} work raises what went wrong
   */
  constructor(model, work) {
    this.model = model;
    /** Settled when it is over, however that came about. */
    this.finished = this.#run(work);
  }

  get isRunning() {
    return this.state.value === "running";
  }

  /** How long it has taken, or took. */
  get tookMs() {
    return (this.endedAt < 0 ? performance.now() : this.endedAt) - this.sentAt;
  }

  stop() {
    this.#abort.abort();
  }

  /** @param {(tools: TaskTools) => Promise<T>} work */
  async #run(work) {
    const end = begin();
    try {
      const result = await work({
        signal: this.#abort.signal,
        headers: withSession({ "X-Request-ID": this.requestId }),
        sent: (share) => (this.sent.value = share),
      });
      this.endedAt = performance.now();
      this.result.value = result;
      this.state.value = "done";
    } catch (error) {
      this.endedAt = performance.now();
      this.failure.value = isAbort(error) ? "" : told(error);
      this.state.value = isAbort(error) ? "stopped" : "failed";
    } finally {
      end();
    }
  }
}

/** @param {unknown} error */
function told(error) {
  if (error instanceof ApiError && error.status > 0) return `${error.message} (${error.status})`;
  // A line that breaks in the middle of a body is a TypeError of the browser's.
  return error instanceof TypeError ? "The line broke in the middle of the answer." : wordsFor(error);
}

/**
 * How a task stands: why it waits and for how long, how it failed, and what can be done about it. Nothing once it is done.
 *
 * @param {{ task: Task<any> | null, doing: string, onRetry?: () => void }} props  doing: "is painting"
 */
export function TaskStatus({ task, doing, onRetry }) {
  if (!task || task.state.value === "done") return null;
  if (task.isRunning) return html`<${Running} task=${task} doing=${doing} />`;
  const isFailed = task.state.value === "failed";
  return html`
    <div class=${`notice ${isFailed ? "bad" : ""}`} role=${isFailed ? "alert" : "status"}>
      <${Icon} name=${isFailed ? "warning" : "stop"} />
      <p class="notice-words">${isFailed ? task.failure.value : `Stopped after ${duration(task.tookMs)}.`}</p>
      ${onRetry && html`<${Button} icon="refresh" onClick=${onRetry}>Try again<//>`}
    </div>
  `;
}

/** @param {{ task: Task<any>, doing: string }} props */
function Running({ task, doing }) {
  const nowMs = monotonic(100).value;
  const { title, details, estimatedMs, stage } = explain({
    model: task.model,
    requestId: task.requestId,
    queue: queue.value,
    inflight: inflight.value.values(),
    models: models.value,
    isConnected: connection.value === "open",
    loading: "",
  });
  const share = task.sent.value;
  const leftMs = estimatedMs === null ? 0 : estimatedMs - (nowMs - queue.value.receivedAtMs);
  const standing = stage === "reading" ? title.replace(/ reads the question$/, ` ${doing}`) : title;
  const words = share < 1 ? `Sending the file, ${percent(share)}` : standing;
  return html`
    <div class="notice task-running" data-stage=${stage}>
      <span class="spinner" aria-hidden="true"></span>
      <div class="notice-words">
        <p>
          <strong role="status">${words}</strong>
          ${leftMs > 1000 && html` <span class="soft">· about ${duration(Math.ceil(leftMs / 1000) * 1000)} left</span>`}
        </p>
        ${share < 1
          ? html`<progress class="task-progress" value=${share} aria-label="Upload"></progress>`
          : details.map((detail) => html`<p class="soft" key=${detail}>${detail}</p>`)}
      </div>
      <span class="num soft" aria-hidden="true">${duration(nowMs - task.sentAt)}</span>
      <${Button} icon="stop" onClick=${() => task.stop()}>Cancel<//>
    </div>
  `;
}
