/** Pictures from words, and pictures from pictures. */

import { html } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Empty } from "../../components/empty.js";
import { NumberField, Select, TextArea } from "../../components/field.js";
import { ModelPicker } from "../../components/model-picker.js";
import { MOST_AT_ONCE, SAMPLERS, SCHEDULERS, SIZES } from "../../lib/images.js";
import { stylesheet } from "../../stylesheet.js";
import { FileDrop } from "./file-drop.js";
import { batches, change, model, originals, paint, prompt, refusal, settings, task } from "./images-state.js";
import { Loras } from "./loras.js";
import { useModelChoice } from "./model-choice.js";
import { PictureGrid } from "./picture-grid.js";
import { revealResults } from "./reveal.js";
import { TaskStatus } from "./task.js";

await stylesheet("playground-tabs");

const WAYS = [
  { value: "openai", label: "Create (OpenAI API)" },
  { value: "edit", label: "Change a picture (OpenAI API)" },
  { value: "sdapi", label: "Create (Stable Diffusion API)" },
];

const SIZE_OPTIONS = SIZES.map(({ label, sizes }) => ({
  label,
  options: sizes.map((size) => ({ value: size, label: size.replace("x", " × ") })),
}));

export default function Images() {
  const begin = () => {
    paint();
    if (!refusal.value) revealResults();
  };
  const { way } = settings.value;
  const ability = way === "edit" ? "image_to_image" : "image_generation";
  useModelChoice(model, ability);
  const isRunning = task.value?.isRunning ?? false;
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    begin();
  };
  return html`
    <div class="tool">
      <${Card} title="Picture" class="tool-form">
        <div class="stack">
          <${ModelPicker}
            label="Model"
            capability=${ability}
            value=${model.value}
            onInput=${(/** @type {string} */ value) => (model.value = value)}
          />
          <${TextArea}
            label=${way === "edit" ? "What is to be changed" : "Prompt"}
            hint="Enter begins, Shift+Enter makes a new line."
            rows=${4}
            value=${prompt.value}
            onInput=${(/** @type {string} */ value) => (prompt.value = value)}
            onKeyDown=${pressed}
          />
          ${way === "edit" &&
          html`
            <${FileDrop}
              label="Picture to change"
              accept="image/png,image/jpeg,image/webp"
              multiple
              files=${originals.value}
              onInput=${(/** @type {File[]} */ files) => (originals.value = files)}
            />
          `}
          <${Select}
            label="How"
            value=${way}
            options=${WAYS}
            onInput=${(/** @type {any} */ value) => change({ way: value })}
          />
          <${Select}
            label="Size"
            value=${settings.value.size}
            options=${SIZE_OPTIONS}
            onInput=${(/** @type {string} */ size) => change({ size })}
          />
          ${way === "sdapi" && html`<${Details} />`}
          <div class="row">
            <${Button}
              kind="primary"
              icon="image"
              busy=${isRunning}
              disabled=${!isRunning && refusal.value !== ""}
              onClick=${begin}
            >
              ${isRunning ? "Painting …" : "Paint"}
            <//>
            ${!isRunning && refusal.value && html`<span class="field-hint">${refusal.value}</span>`}
          </div>
        </div>
      <//>
      <section class="tool-results" aria-label="What was painted">
        <${TaskStatus} task=${task.value} doing="is painting" onRetry=${paint} />
        ${batches.value.map((batch) => html`<${PictureGrid} key=${batch.id} batch=${batch} />`)}
        ${batches.value.length > 0 &&
        html`
          <div>
            <${Button} kind="quiet" icon="trash" onClick=${() => (batches.value = [])}>Forget these pictures<//>
          </div>
        `}
        ${!batches.value.length &&
        !task.value &&
        html`
          <${Empty} title="No pictures yet" icon="image">
            They stay here until this page is closed: download what you want to keep.
          <//>
        `}
      </section>
    </div>
  `;
}

/** What only Stable Diffusion's API knows. */
function Details() {
  const { steps, cfg, seed, batch, sampler, scheduler, negative } = settings.value;
  /** @param {readonly string[]} names */
  const options = (names) => {
    const own = { value: "", label: "the server's choice" };
    return [own, ...names.map((name) => ({ value: name, label: name }))];
  };
  /** @param {number | null} value */
  const setBatch = (value) => change({ batch: value && Math.min(Math.max(Math.round(value), 1), MOST_AT_ONCE) });
  return html`
    <${TextArea}
      label="Negative prompt"
      rows=${2}
      value=${negative}
      onInput=${(/** @type {string} */ value) => change({ negative: value })}
    />
    <div class="tool-fields">
      <${NumberField}
        label="Steps"
        min="1"
        max="200"
        placeholder="server's"
        value=${steps}
        onInput=${(/** @type {number | null} */ value) => change({ steps: value })}
      />
      <${NumberField}
        label="CFG scale"
        min="0"
        max="30"
        step="0.5"
        placeholder="server's"
        value=${cfg}
        onInput=${(/** @type {number | null} */ value) => change({ cfg: value })}
      />
      <${NumberField}
        label="Seed"
        hint="-1: a new one"
        min="-1"
        value=${seed}
        onInput=${(/** @type {number | null} */ value) => change({ seed: value })}
      />
      <${NumberField}
        label="Pictures"
        hint=${`1 to ${MOST_AT_ONCE}`}
        min="1"
        max=${MOST_AT_ONCE}
        value=${batch}
        onInput=${setBatch}
      />
      <${Select}
        label="Sampler"
        value=${sampler}
        options=${options(SAMPLERS)}
        onInput=${(/** @type {string} */ value) => change({ sampler: value })}
      />
      <${Select}
        label="Scheduler"
        value=${scheduler}
        options=${options(SCHEDULERS)}
        onInput=${(/** @type {string} */ value) => change({ scheduler: value })}
      />
    </div>
    <${Loras} model=${model.value} />
  `;
}
