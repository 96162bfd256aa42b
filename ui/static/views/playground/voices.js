/**
 * The voices of each model: those that its server has told of, once it has been asked, else the usual ones.
 *
 * A server is asked by itself only if its model is ready: the question would load it.
 */

import { html, signal, useEffect } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Select } from "../../components/field.js";
import { plain } from "../../lib/bidi.js";
import { modelNamed } from "../../lib/names.js";
import { DEFAULT_VOICES, voiceAmong, voicesIn } from "../../lib/voices.js";
import { ApiError, get } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { models } from "../../state/store.js";
import { Task, TaskStatus } from "./task.js";

/** What servers have told, by model. */
const told = stored("playground.voices", /** @type {Record<string, string[]>} */ ({}));
/** What was chosen the last time, by model. */
const chosen = stored("playground.voice", /** @type {Record<string, string>} */ ({}));
const task = signal(/** @type {Task<string[]> | null} */ (null));
/** Asked since the page was opened, so that a list that was kept is renewed once. */
const asked = new Set();

/** @param {string} model */
function voicesOf(model) {
  const list = Object.hasOwn(told.value, model) ? told.value[model] : [];
  return list.length ? list : DEFAULT_VOICES;
}

/** @param {string} model */
export function chosenVoice(model) {
  return voiceAmong(voicesOf(model), chosen.value[model] ?? "");
}

/**
 * @param {string} model
 * @param {boolean} [isQuiet] nobody has asked for it, so nobody is told if it fails
 */
function ask(model, isQuiet = false) {
  asked.add(model);
  const running = new Task(model, async ({ signal: stop, headers }) => {
    const list = voicesIn(await get("/v1/audio/voices", { query: { model }, signal: stop, headers }));
    if (!list.length) throw new ApiError(0, "Its server tells of no voices: the usual ones are offered.");
    return list;
  });
  if (!isQuiet) task.value = running;
  void running.finished.then(() => {
    if (running.result.value) told.value = { ...told.value, [model]: running.result.value };
  });
}

/** @param {{ model: string }} props */
export function VoicePicker({ model }) {
  const isReady = model !== "" && modelNamed(models.value, model)?.state === "ready";
  useEffect(() => {
    if (isReady && !asked.has(model)) ask(model, true);
  }, [model, isReady]);
  const isTold = Object.hasOwn(told.value, model);
  const isAsking = task.value?.isRunning && task.value.model === model;
  return html`
    <div class="stack tight">
      <div class="tool-with-button">
        <${Select}
          label="Voice"
          hint=${isTold ? "As its server has told." : "The usual ones; its server has not been asked. To ask loads the model."}
          value=${chosenVoice(model)}
          options=${voicesOf(model).map((voice) => ({ value: voice, label: plain(voice) }))}
          onInput=${(/** @type {string} */ voice) => (chosen.value = { ...chosen.value, [model]: voice })}
        />
        <${IconButton}
          icon="refresh"
          label="Ask the server for its voices"
          busy=${isAsking}
          disabled=${!model}
          onClick=${() => ask(model)}
        />
      </div>
      ${task.value?.model === model &&
      html`
        <${TaskStatus} task=${task.value} doing="lists its voices" onRetry=${() => ask(model)} />
      `}
    </div>
  `;
}
