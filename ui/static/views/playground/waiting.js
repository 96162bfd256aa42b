/** Why an answer has not begun: its place in the queue, who is in the way, and how long it may still take. */

import { html } from "../../html.js";
import { explain } from "../../lib/chat-waiting.js";
import { duration } from "../../lib/format.js";
import { monotonic } from "../../state/clock.js";
import { connection, inflight, models, queue } from "../../state/store.js";

/** @typedef {import("./asking.js").Asking} Asking */

/** @param {Asking} asking */
export function explanation(asking) {
  return explain({
    model: asking.model,
    requestId: asking.requestId,
    queue: queue.value,
    inflight: inflight.value.values(),
    models: models.value,
    isConnected: connection.value === "open",
    loading: asking.loading.value,
  });
}

/** @param {{ asking: Asking }} props */
export function Waiting({ asking }) {
  const { title, details, estimatedMs, stage } = explanation(asking);
  const nowMs = monotonic(100).value;
  const leftMs = estimatedMs === null ? null : estimatedMs - (nowMs - queue.value.receivedAtMs);
  return html`
    <div class="chat-waiting" data-stage=${stage}>
      <span class="spinner" aria-hidden="true"></span>
      <div>
        <p class="chat-waiting-title">
          <span role="status">${title}</span>
          ${" "}
          ${
            leftMs !== null &&
            html`
              <span class="faint">· ${remaining(leftMs)}</span>
            `
          }
        </p>
        ${details.map(
          (detail) => html`
            <p class="soft small-text" key=${detail}>${detail}</p>
          `,
        )}
      </div>
      <span class="chat-waiting-clock num" aria-hidden="true">${duration(Math.max(nowMs - asking.sentAt, 0))}</span>
    </div>
  `;
}

/** @param {number} ms */
function remaining(ms) {
  return ms > 1000 ? `about ${duration(Math.ceil(ms / 1000) * 1000)} left` : "any moment now";
}
