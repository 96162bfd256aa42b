/** @file Small parts that both the list and the page of one model show. */

import { html } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { StateText, Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { bytes, duration, plural } from "../../lib/format.js";
import { elapsedMs } from "../../lib/events.js";
import { upstreamPath } from "../../lib/query.js";
import { listed, loadProgress } from "../../lib/waiting.js";
import { cancelRequest, loads } from "../../state/actions.js";
import { monotonic, now } from "../../state/clock.js";
import { uiConfig } from "../../state/store.js";
import { residency } from "./residency.js";

/** @typedef {import("../../types.js").Model} Model */
/** @typedef {import("../../types.js").Ability} Ability */
/** @typedef {import("../../types.js").KnownRequest} KnownRequest */
/** @typedef {import("./standing.js").Standing} Standing */
/** @typedef {import("./standing.js").Memory} Memory */

const ABILITIES = /** @type {Record<Ability, string>} */ ({
  vision: "vision",
  function_calling: "tools",
  audio_transcriptions: "transcription",
  audio_speech: "speech",
  image_generation: "images",
  image_to_image: "image editing",
  reranker: "rerank",
});

/** @param {{model: Pick<Model, "capabilities" | "context_length">}} props */
export function CapabilityTags({ model }) {
  const able = /** @type {Ability[]} */ (Object.keys(ABILITIES)).filter((ability) => model.capabilities?.[ability]);
  const context = model.context_length;
  if (able.length === 0 && !context) return null;
  return html`
    <span class="models-tags">
      ${able.map((ability) => html`<${Tag} key=${ability}>${ABILITIES[ability]}<//>`)}
      ${context ? html`<${Tag} title=${`${context} tokens of context`}>${shortTokens(context)} context<//>` : null}
    </span>
  `;
}

/** @param {number} tokens */
function shortTokens(tokens) {
  if (tokens < 1000) return String(tokens);
  return tokens % 1024 === 0 ? `${tokens / 1024}K` : `${Math.round(tokens / 1000)}k`;
}

/**
 * What the model is doing, in words; of a load how far it is, of a failure why and until when it is left alone.
 *
 * @param {{model: Model, standing: Standing}} props
 */
export function StateWords({ model, standing }) {
  const { state, newest } = standing;
  if (state === "starting") return html`<${Loading} standing=${standing} />`;
  if (state === "failed") return html`<${Failure} standing=${standing} />`;
  if (state === "stopping") {
    const why = newest?.state === "stopping" ? newest.why : "";
    return html`<span class="models-state"><${StateText} state=${state} />${why && html`<span
      class="models-why">${plain(why)}</span>`}</span>`;
  }
  if (state === "ready") {
    return html`
      <span class="models-state">
        <${StateText} state=${state} />
        ${newest?.state === "ready" && html`<span class="models-why"><${Since} at=${newest.at} /></span>`}
      </span>
    `;
  }
  const mine = loads.value.has(model.id);
  return html`
    <span class="models-state">
      <${StateText} state=${state} />
      ${mine && standing.waiting > 0 && html`<span class="models-why">waits for its turn to load</span>`}
    </span>
  `;
}

/** @param {{at: string}} props  by the server's clock */
function Since({ at }) {
  const ahead = residency.value?.aheadMs ?? 0;
  const ms = now(1000).value + ahead - Date.parse(at);
  const seconds = Math.max(0, Math.round(ms / 1000));
  return html`<span class="elapsed">${seconds === 0 ? "just now" : `for ${wholeSeconds(seconds)}`}</span>`;
}

/** @param {number} seconds  without the tenths that `duration` has below ten */
function wholeSeconds(seconds) {
  return seconds < 10 ? `${seconds}\u00a0s` : duration(seconds * 1000);
}

/** @param {{standing: Standing}} props */
function Loading({ standing }) {
  const { newest } = standing;
  const ahead = residency.value?.aheadMs ?? 0;
  const at = newest?.state === "starting" ? Date.parse(newest.at) : null;
  const progress = at === null ? null : loadProgress(now(100).value + ahead - at, standing.usualMs);
  return html`
    <span class="models-state">
      <span class="state-text busy elapsed">${progress?.text ?? "loading"}</span>
      ${progress?.share != null &&
      html`<span class="models-bar" aria-hidden="true"><i
        style=${{ inlineSize: `${progress.share * 100}%` }}></i></span>`}
      ${newest && newest.victims.length > 0 && html`<span
        class="models-why">in place of ${newest.victims.map(plain).join(", ")}</span>`}
    </span>
  `;
}

/** @param {{standing: Standing}} props */
function Failure({ standing }) {
  return html`
    <span class="models-state">
      <${StateText} state="failed" />
      <span class="models-why bad" title=${plain(standing.failure)}>${plain(standing.failure)}</span>
      ${standing.retryAtMs !== null && html`<${Retry} atMs=${standing.retryAtMs} />`}
    </span>
  `;
}

/** @param {{atMs: number}} props */
function Retry({ atMs }) {
  const left = atMs - monotonic(250).value;
  if (left <= 0) return html`<span class="models-why">the next request tries it again</span>`;
  const words = duration(Math.ceil(left / 1000) * 1000);
  return html`<span class="models-why">requests are refused for another ${words}</span>`;
}

const MIB = 1024 * 1024;

/** @param {{memory: Memory | undefined}} props */
export function MemoryWords({ memory }) {
  if (!memory) return null;
  const onCards = memory.gpus.reduce((sum, gpu) => sum + gpu.usedMb, 0);
  const { gpus } = memory;
  const places = gpus.length > 3 ? plural(gpus.length, "GPU") : listed(gpus.map((gpu) => gpu.place));
  const all = gpus.map((gpu) => `${bytes(gpu.usedMb * MIB)} on ${gpu.place}, ${plain(gpu.name)}`);
  all.push(`${bytes(memory.ramMb * MIB)} of main memory`);
  return html`
    <span class="models-memory" title=${all.join("\n")}>
      ${memory.gpus.length > 0 &&
      html`<span><b>${bytes(onCards * MIB)}</b> on ${places}</span>`}
      <span><b>${bytes(memory.ramMb * MIB)}</b> RAM</span>
    </span>
  `;
}

/**
 * Who is served right now.
 *
 * @param {{requests: KnownRequest[], id?: string}} props
 */
export function Users({ requests, id }) {
  return html`
    <ul class="models-users" id=${id}>
      ${requests.slice(0, 20).map((request) => html`<${User} key=${request.id} request=${request} />`)}
      ${requests.length > 20 && html`<li class="faint">and ${requests.length - 20} more</li>`}
    </ul>
  `;
}

/** @param {{request: KnownRequest}} props */
function User({ request }) {
  const agent = request.req_headers["User-Agent"] ?? "";
  return html`
    <li>
      <span class="elapsed num">${duration(elapsedMs(request, monotonic(250).value))}</span>
      <span class="mono">${plain(request.remote_ip)}</span>
      <span class="mono soft">${request.method} ${plain(request.req_path)}</span>
      <span class="faint clip grow" title=${plain(agent)}>${plain(agent)}</span>
      <${IconButton} icon="close" label=${`Cancel request ${request.id}`} onClick=${() => cancelRequest(request.id)} />
    </li>
  `;
}

/**
 * A link to the pages of the model's own server.
 *
 * @param {{model: Model, words?: boolean}} props
 */
export function ServerLink({ model, words }) {
  // Of the same machine under the name it is known by here; see docs/upstream-pages.md.
  const port = uiConfig.value.pages_port;
  const origin = port ? `${location.protocol}//${location.hostname}:${port}` : "";
  const label = `Open server of ${plain(model.name || model.id)}`;
  return html`
    <a
      class=${words ? "button plain" : "icon-button"} href=${origin + upstreamPath(model.id)}
      target="_blank" rel="noopener noreferrer" title=${label} aria-label=${label}
    ><${Icon} name="external" />${words && "Open server"}</a>
  `;
}
