/** @file How one model is configured and what runs for it. */

import { html, useEffect, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { Tag } from "../../components/tag.js";
import { Time } from "../../components/time.js";
import { plain } from "../../lib/bidi.js";
import { bytes, clockTime, count, duration } from "../../lib/format.js";
import { segment } from "../../lib/query.js";
import { get, isAbort, wordsFor } from "../../state/api.js";
import { now } from "../../state/clock.js";
import { connection, performance as sample } from "../../state/store.js";
import { History } from "./history.js";
import { CapabilityTags } from "./parts.js";
import { residency } from "./residency.js";
import { standings } from "./standing.js";

/** @typedef {import("../../types.js").Model} Model */
/** @typedef {import("../../types.js").ModelDetails} ModelDetails */
/** @typedef {import("../../html.js").Children} Children */

const MIB = 1024 * 1024;

/** @param {{model: Model}} props */
export function Details({ model }) {
  const [details, setDetails] = useState(/** @type {ModelDetails | null} */ (null));
  const [trouble, setTrouble] = useState(/** @type {string | null} */ (null));
  const [tries, setTries] = useState(0);
  const serving = standings.value.get(model.id)?.serving ?? 0;
  // What makes it old: a change of its state, a request that came or went, a look at the machine.
  useEffect(() => {
    const controller = new AbortController();
    get(`/api/models/${segment(model.id)}`, { signal: controller.signal }).then(
      (answer) => (setDetails(answer), setTrouble(null)),
      (error) => void (isAbort(error) || setTrouble(wordsFor(error))),
    );
    return () => controller.abort();
  }, [model.id, model.state, serving > 0, sample.value, connection.value === "open", tries]);
  if (details === null) {
    if (trouble === null) return html`<${Empty} title="Asking…" />`;
    return html`<${Empty} icon="warning" title="The details are not known" action=${html`<${Button} icon="refresh"
      onClick=${() => setTries(tries + 1)}>Try again<//>`}>${trouble}<//>`;
  }
  return html`
    ${trouble !== null && html`<p class="notice bad" role="status">What follows may be old: ${trouble}</p>`}
    <div class="model-cards">
      <${Card} title="In memory, last hour" class="wide"><${History} model=${model.id} /><//>
      <${Process} its=${details} />
      <${Limits} its=${details} />
      <div class="stack">
        <${Abilities} model=${model} its=${details} />
        <${Card} title="Swapping"><ul class="model-rules">${details.rules.map((rule) => html`<li
          key=${rule}>${plain(rule)}</li>`)}</ul><//>
      </div>
      <${Command} its=${details} />
      ${Object.keys(details.metadata).length > 0 && html`<${Card} title="Metadata" class="wide"><pre
        class="model-command">${plainLines(JSON.stringify(details.metadata, null, 2))}</pre><//>`}
    </div>
  `;
}

/** @param {string} text  its line breaks stay */
function plainLines(text) {
  return text.split("\n").map(plain).join("\n");
}

/** @param {{rows: [string, Children][]}} props  those without a value are left out */
function Facts({ rows }) {
  return html`
    <dl class="model-facts">
      ${rows.map(([name, value]) => value !== null && value !== undefined && value !== "" && html`<div
        key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>
  `;
}

/** @param {{its: ModelDetails}} props */
function Process({ its }) {
  const { process, learned } = its;
  const memory = process?.memory;
  return html`
    <${Card} title="Process">
      ${process === null && html`<p class="soft model-gap">None runs now.</p>`}
      <${Facts} rows=${[
        ["Process id", process && html`<code>${process.pid}</code>`],
        ["Address", html`<code>${plain(its.proxy)}</code>`],
        ["Started", its.started_at && html`<${Time} iso=${its.started_at} />`],
        ["Up for", process && its.started_at && html`<${Running} sinceIso=${its.started_at} />`],
        ["Idle since", its.idle_since && html`<${Time} iso=${its.idle_since} />`],
        ["Unloads at", its.unloads_at && clockTime(Date.parse(its.unloads_at) - (residency.value?.aheadMs ?? 0))],
        ["Main memory", memory && bytes(memory.ram_mb * MIB)],
        ...(memory?.gpus ?? []).map((gpu) => /** @type {[string, Children]} */ ([plain(gpu.name || "GPU"), html`<span
          title=${gpu.uuid}>${bytes(gpu.used_mb * MIB)}</span>`])),
        ["Usually loads in", learned.load_ms !== null && duration(learned.load_ms)],
        ["Usually stops in", learned.stop_ms !== null && duration(learned.stop_ms)],
        ["A request takes", learned.request_ms !== null && duration(learned.request_ms)],
      ].map(([name, value]) => [name, value || null])} />
    <//>
  `;
}

/** @param {{sinceIso: string}} props */
function Running({ sinceIso }) {
  const ms = now(1000).value + (residency.value?.aheadMs ?? 0) - Date.parse(sinceIso);
  return html`<span class="elapsed">${duration(Math.max(0, Math.round(ms / 1000) * 1000))}</span>`;
}

/** @param {{its: ModelDetails}} props */
function Limits({ its }) {
  const asked = its.check_endpoint === null ? "its port alone" : html`<code>${plain(its.check_endpoint)}</code>`;
  return html`
    <${Card} title="Limits">
      <${Facts} rows=${[
        ["Unloaded when idle for", its.ttl_s > 0 ? duration(its.ttl_s * 1000) : "never"],
        ["Requests at once", its.concurrency_limit > 0 ? count(its.concurrency_limit) : "any number"],
        ["Priority", its.priority],
        ["Has to be ready within", duration(its.health_check_timeout_s * 1000)],
        ["Is asked for readiness at", asked],
        ["May take to stop", duration(its.unload_timeout_s * 1000)],
        ["Loaded at start", its.preload ? "yes" : "no"],
        ["Tells clients of loading", its.send_loading_state ? "yes" : "no"],
        ["Name sent to its server", its.use_model_name && html`<code>${plain(its.use_model_name)}</code>`],
      ]} />
    <//>
  `;
}

/** @param {{model: Model, its: ModelDetails}} props */
function Abilities({ model, its }) {
  const isSaid = its.inputs.length + its.outputs.length + its.context_length + Object.keys(its.capabilities).length > 0;
  return html`
    <${Card} title="Capabilities">
      ${isSaid
        ? html`
            <${CapabilityTags} model=${model} />
            <${Facts} rows=${[
              ["Takes", its.inputs.join(", ")],
              ["Gives", its.outputs.join(", ")],
              ["Context", its.context_length ? `${count(its.context_length)} tokens` : null],
            ]} />
          `
        : html`<p class="soft">The configuration says nothing of them (<code>capabilities</code>).</p>`}
    <//>
  `;
}

/** @param {{its: ModelDetails}} props */
function Command({ its }) {
  return html`
    <${Card} title="Command" class="wide" actions=${html`<${CopyButton} text=${its.cmd} label="Copy the command" />`}>
      ${its.cmd ? html`<pre class="model-command">${plainLines(its.cmd)}</pre>` : html`<p
        class="soft">There is none: it is started by nobody here.</p>`}
      ${its.cmd_stop && html`<h3 class="model-sub">To stop it</h3><pre
        class="model-command">${plainLines(its.cmd_stop)}</pre>`}
      ${its.env.length > 0 && html`
        <h3 class="model-sub">Variables it is given</h3>
        <p class="models-tags">${its.env.map((name) => html`<${Tag} key=${name}><span
          class="mono">${plain(name)}</span><//>`)}</p>
      `}
      <p class="faint small-text model-gap">Secrets are shown as [REDACTED], variables without their values.</p>
    <//>
  `;
}
