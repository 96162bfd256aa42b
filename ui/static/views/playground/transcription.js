/** What is said in a recording. */

import { computed, html, signal } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { TextField } from "../../components/field.js";
import { ModelPicker } from "../../components/model-picker.js";
import { plain } from "../../lib/bidi.js";
import { duration } from "../../lib/format.js";
import { ApiError } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { stylesheet } from "../../stylesheet.js";
import { FileDrop } from "./file-drop.js";
import { useModelChoice } from "./model-choice.js";
import { Player } from "./player.js";
import { revealResults } from "./reveal.js";
import { Task, TaskStatus } from "./task.js";
import { upload } from "./upload.js";

/** @typedef {{ id: number, model: string, name: string, text: string, tookMs: number }} Transcript */

await stylesheet("playground-tabs");

const SOUNDS = "audio/mpeg,audio/mp3,audio/wav,audio/x-wav,audio/wave,audio/ogg,.mp3,.wav,.ogg";

const model = stored("playground.transcription-model", "");
const language = stored("playground.transcription-language", "");
const files = signal(/** @type {File[]} */ ([]));
/** Newest first. */
const transcripts = signal(/** @type {Transcript[]} */ ([]));
const task = signal(/** @type {Task<string> | null} */ (null));
const refusal = computed(() => {
  if (!model.value) return "Choose a model first.";
  return files.value.length ? "" : "Choose a recording.";
});

function transcribe() {
  const file = files.value[0];
  if (refusal.value || !file || task.value?.isRunning) return;
  const asked = { model: model.value, name: file.name };
  const form = new FormData();
  // The model goes first: it is what the request is routed by.
  form.append("model", asked.model);
  if (language.value.trim()) form.append("language", language.value.trim());
  form.append("response_format", "json");
  form.append("file", file);
  const running = new Task(asked.model, async (tools) => textOf(await upload("/v1/audio/transcriptions", form, tools)));
  task.value = running;
  revealResults();
  void running.finished.then(() => {
    const text = running.result.value;
    if (text === null) return;
    const id = (transcripts.value[0]?.id ?? 0) + 1;
    transcripts.value = [{ ...asked, id, text, tookMs: running.tookMs }, ...transcripts.value];
  });
}

/**
 * @param {any} answer JSON with `text`, or the text itself
 * @returns {string}
 */
function textOf(answer) {
  const text = typeof answer === "string" ? answer : answer?.text;
  if (typeof text !== "string") throw new ApiError(0, "The answer has no text in it.");
  return text.trim();
}

export default function Transcription() {
  useModelChoice(model, "audio_transcriptions");
  const isRunning = task.value?.isRunning ?? false;
  const [file] = files.value;
  return html`
    <div class="tool">
      <${Card} title="Recording" class="tool-form">
        <div class="stack">
          <${ModelPicker}
            label="Model"
            capability="audio_transcriptions"
            value=${model.value}
            onInput=${(/** @type {string} */ value) => (model.value = value)}
          />
          <${FileDrop}
            label="Recording"
            accept=${SOUNDS}
            hint="MP3, WAV, OGG"
            files=${files.value}
            onInput=${(/** @type {File[]} */ chosen) => (files.value = chosen)}
          />
          ${file && html`<${Player} file=${file} />`}
          <${TextField}
            label="Language"
            placeholder="en, de, … or none: found out"
            autocomplete="off"
            value=${language.value}
            onInput=${(/** @type {string} */ value) => (language.value = value)}
          />
          <div class="row">
            <${Button}
              kind="primary"
              icon="microphone"
              busy=${isRunning}
              disabled=${!isRunning && refusal.value !== ""}
              onClick=${transcribe}
            >
              ${isRunning ? "Transcribing …" : "Transcribe"}
            <//>
            ${!isRunning && refusal.value && html`<span class="field-hint">${refusal.value}</span>`}
          </div>
        </div>
      <//>
      <section class="tool-results" aria-label="What is said">
        <${TaskStatus} task=${task.value} doing="is listening" onRetry=${transcribe} />
        ${transcripts.value.map(
          (each) => html`
            <${Card}
              key=${each.id}
              title=${plain(each.name)}
              actions=${html`<${CopyButton} text=${each.text} label="Copy the text" words disabled=${!each.text} />`}
            >
              <p class="transcript">${each.text || html`<span class="faint">Nothing is said in it.</span>`}</p>
              <p class="faint small-text">${plain(each.model)} · ${duration(each.tookMs)}</p>
            <//>
          `,
        )}
        ${!transcripts.value.length && !task.value &&
        html`
          <${Empty}
            title="No transcript yet"
            icon="microphone"
          >
            Recordings go to the model's server and nowhere else.
          <//>
        `}
      </section>
    </div>
  `;
}
