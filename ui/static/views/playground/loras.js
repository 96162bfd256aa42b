/** A model's adapters, each with how much of it is wanted. They are asked for by hand: asking loads the model. */

import { html, signal } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { NumberField, Select } from "../../components/field.js";
import { plain } from "../../lib/bidi.js";
import { lorasIn } from "../../lib/images.js";
import { get } from "../../state/api.js";
import { Task, TaskStatus } from "./task.js";
import { change, settings } from "./images-state.js";

/** @typedef {{ name: string, path: string }} Adapter */

const lists = signal(/** @type {ReadonlyMap<string, Adapter[]>} */ (new Map()));
const task = signal(/** @type {Task<Adapter[]> | null} */ (null));

/** @param {string} model */
function ask(model) {
  const asked = new Task(model, async ({ signal: stop, headers }) =>
    lorasIn(await get("/sdapi/v1/loras", { query: { model }, signal: stop, headers })),
  );
  task.value = asked;
  void asked.finished.then(() => {
    const found = asked.result.value;
    if (found) lists.value = new Map(lists.value).set(model, found);
  });
}

/** @param {{ model: string }} props */
export function Loras({ model }) {
  const list = lists.value.get(model);
  const chosen = settings.value.loras;
  const free = (list ?? []).filter((each) => !chosen.some((one) => one.path === each.path));
  const isAsking = task.value?.isRunning && task.value.model === model;
  /** @param {string} path */
  const nameOf = (path) => plain(list?.find((each) => each.path === path)?.name ?? path);
  return html`
    <fieldset class="tool-group">
      <legend>LoRAs</legend>
      ${chosen.map(
        (lora) => html`
          <div class="lora" key=${lora.path}>
            <span class="clip" title=${plain(lora.path)}>${nameOf(lora.path)}</span>
            <${NumberField}
              label=${`Strength of ${nameOf(lora.path)}`}
              hideLabel
              step="0.05"
              min="-4"
              max="4"
              value=${lora.multiplier}
              onInput=${(/** @type {number | null} */ multiplier) =>
                change({ loras: chosen.map((each) => (each === lora ? { ...lora, multiplier: multiplier ?? 1 } : each)) })}
            />
            <${IconButton}
              icon="close"
              label=${`Remove ${nameOf(lora.path)}`}
              onClick=${() => change({ loras: chosen.filter((each) => each !== lora) })}
            />
          </div>
        `,
      )}
      ${free.length > 0 &&
      html`
        <${Select}
          label="Add a LoRA"
          hideLabel
          value=""
          options=${[{ value: "", label: "Add …" }, ...free.map((each) => ({ value: each.path, label: plain(each.name) }))]}
          onInput=${(/** @type {string} */ path) => path && change({ loras: [...chosen, { path, multiplier: 1 }] })}
        />
      `}
      ${list?.length === 0 && html`<p class="field-hint">It has none.</p>`}
      <div class="row">
        <${Button}
          kind="quiet"
          icon="refresh"
          busy=${isAsking}
          disabled=${!model}
          onClick=${() => ask(model)}
        >
          ${list ? "Ask again" : "Ask the model for its LoRAs"}
        <//>
        ${!list && html`<span class="field-hint">This loads the model.</span>`}
      </div>
      ${task.value?.model === model &&
      html`
        <${TaskStatus} task=${task.value} doing="lists its adapters" onRetry=${() => ask(model)} />
      `}
    </fieldset>
  `;
}
