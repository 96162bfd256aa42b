/** @file Who waits, for what, and for how long. */

import { html } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { ModelLink } from "../../components/link.js";
import { Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { count, duration, plural } from "../../lib/format.js";
import { displayName, modelNamed } from "../../lib/names.js";
import { estimateWords, waitingWords } from "../../lib/waiting.js";
import { cancelLoad, cancelRequest, loads } from "../../state/actions.js";
import { monotonic } from "../../state/clock.js";
import { inflight, models, queue } from "../../state/store.js";

/** @typedef {import("../../types.js").QueueEntry} QueueEntry */

/** The card; nothing while nobody waits. */
export function WaitingCard() {
  const { queue: entries, length, limit } = queue.value;
  if (length === 0) return null;
  const more = length - entries.length;
  return html`
    <${Card} title=${`Waiting · ${count(length)}`} flush class="models-waiting-card">
      <ol class="models-queue">
        ${entries.map((entry) => html`<${Waiting} key=${entry.ticket} entry=${entry} />`)}
      </ol>
      ${more > 0 && html`<p class="models-foot faint">and ${plural(more, "request")} after these</p>`}
      ${length >= limit * 0.8 && html`<p class="models-foot bad">${count(limit)} may wait at once (maxQueued); more are refused.</p>`}
    <//>
    <p class="unseen" aria-live="polite">${plural(length, "request")} ${length === 1 ? "waits" : "wait"}</p>
  `;
}

/** @param {{entry: QueueEntry}} props */
function Waiting({ entry }) {
  const { receivedAtMs, models: standing } = queue.value;
  const since = Math.max(0, monotonic(100).value - receivedAtMs);
  const request = entry.request_id === null ? undefined : inflight.value.get(entry.request_id);
  const name = (/** @type {string} */ id) => plain(displayName(modelNamed(models.value, id) ?? { id }));
  const left = entry.estimated_ms === null ? null : Math.max(0, entry.estimated_ms - since);
  const who = entry.request_id === null ? "a load by hand" : request ? `${request.remote_ip} ${request.method} ${request.req_path}` : `request ${entry.request_id}`;
  return html`
    <li>
      <span class="models-place num" aria-label=${`position ${entry.position}`}>${entry.position}</span>
      <span class="models-queued">
        <span class="models-title">
          <${ModelLink} id=${entry.model} />
          ${entry.overdue && html`<${Tag} tone="busy" title="It has waited for the patience that is configured: it goes first now">overdue<//>`}
          <span class="mono faint models-who">${plain(who)}</span>
        </span>
        <span class="soft">${waitingWords(entry, standing, name)}${", "}<span class="elapsed">${left === 0 ? "any moment now" : estimateWords(left)}</span></span>
      </span>
      <span class="models-waited elapsed num" title="has waited">${duration(Math.floor((entry.waited_ms + since) / 100) * 100)}</span>
      <${Cancel} entry=${entry} />
    </li>
  `;
}

/** @param {{entry: QueueEntry}} props */
function Cancel({ entry }) {
  const { request_id: id, model } = entry;
  if (id !== null) return html`<${IconButton} icon="close" label=${`Cancel request ${id}`} onClick=${() => cancelRequest(id)} />`;
  if (loads.value.has(model)) return html`<${IconButton} icon="close" label=${`Do not load ${plain(model)}`} onClick=${() => cancelLoad(model)} />`;
  return html`<span class="models-no-cancel" title="Somebody else has asked for this load"></span>`;
}
