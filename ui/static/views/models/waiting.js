/** @file Who waits, for what, and for how long. */

import { html } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { ModelLink } from "../../components/link.js";
import { Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { count, duration, plural } from "../../lib/format.js";
import { displayName, modelNamed } from "../../lib/names.js";
import { estimateWords, turns, waitingWords } from "../../lib/waiting.js";
import { cancelLoad, cancelRequest, loads } from "../../state/actions.js";
import { monotonic } from "../../state/clock.js";
import { connection, inflight, models, queue } from "../../state/store.js";

/** @typedef {import("../../types.js").QueueEntry} QueueEntry */

/** The card; nothing while nobody waits. */
export function WaitingCard() {
  const { queue: entries, length, limit } = queue.value;
  const words = `${plural(length, "request")} ${length === 1 ? "waits" : "wait"}`;
  const live = html`<p class="unseen" aria-live="polite">${length > 0 ? words : ""}</p>`;
  if (length === 0) return live;
  const more = length - entries.length;
  return html`
    <${Card} title=${`Waiting · ${count(length)}`} flush class="models-waiting-card">
      <ol class="models-queue" tabindex="0" aria-label="Who waits, in order">
        ${turns(entries).map((turn) => html`<${Turn} key=${turn.model} ...${turn} />`)}
      </ol>
      ${more > 0 && html`<p class="models-foot faint">and ${plural(more, "request")} after these</p>`}
      ${length >= limit * 0.8 && html`<p
        class="models-foot bad">${count(limit)} may wait at once (maxQueued); more are refused.</p>`}
    <//>
    ${live}
  `;
}

/** How long ago the queue was told of, on a running clock. */
const sinceTold = () =>
  connection.value === "open" ? Math.max(0, monotonic(100).value - queue.value.receivedAtMs) : 0;

/** @param {{model: string, entries: QueueEntry[], ahead: string[]}} props */
function Turn({ model, entries, ahead }) {
  const [first] = entries;
  const { models: standing } = queue.value;
  const left = first.estimated_ms === null ? null : Math.max(0, first.estimated_ms - sinceTold());
  const name = (/** @type {string} */ id) => plain(displayName(modelNamed(models.value, id) ?? { id }));
  return html`
    <li class="models-turn">
      <p class="models-title">
        <${ModelLink} id=${model} />
        ${first.overdue && html`<${Tag} tone="busy"
          title="It has waited for the patience that is configured: it goes first now">overdue<//>`}
        <span class="soft small-text">${waitingWords(first, standing, name, ahead)}${left === 0 ? "" : html`; <span
          class="elapsed">${estimateWords(left)}</span>`}</span>
      </p>
      <ul>${entries.map((entry) => html`<${Waiting} key=${entry.ticket} entry=${entry} />`)}</ul>
    </li>
  `;
}

/** @param {{entry: QueueEntry}} props */
function Waiting({ entry }) {
  const request = entry.request_id === null ? undefined : inflight.value.get(entry.request_id);
  const agent = request?.req_headers["User-Agent"] ?? "";
  return html`
    <li>
      <span class="models-place num"><span class="unseen">position </span>${entry.position}</span>
      ${request
        ? html`<span class="mono">${plain(request.remote_ip)}</span><span
          class="mono soft">${request.method} ${plain(request.req_path)}</span><span class="faint clip grow"
            title=${plain(agent)}>${plain(agent)}</span>`
        : html`<span
            class="soft grow"
          >${entry.request_id === null ? "a load by hand" : `request ${entry.request_id}`}</span>`}
      <span class="models-waited elapsed num"><span
        class="unseen">has waited </span>${duration(Math.floor((entry.waited_ms + sinceTold()) / 100) * 100)}</span>
      <${Cancel} entry=${entry} />
    </li>
  `;
}

/** @param {{entry: QueueEntry}} props */
function Cancel({ entry }) {
  const { request_id: id, model } = entry;
  if (id !== null) return html`<${IconButton} icon="close" label=${`Cancel request ${id}`}
    onClick=${() => cancelRequest(id)} />`;
  if (loads.value.has(model)) return html`<${IconButton} icon="close" label=${`Do not load ${plain(model)}`}
    onClick=${() => cancelLoad(model)} />`;
  return html`<span class="models-no-cancel" title="Somebody else has asked for this load"></span>`;
}
