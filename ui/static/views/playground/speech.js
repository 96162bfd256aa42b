/** Words spoken by a model. */

import { computed, html, signal, useEffect, useRef, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Empty } from "../../components/empty.js";
import { NumberField, Switch, TextArea } from "../../components/field.js";
import { Icon } from "../../components/icon.js";
import { ModelPicker } from "../../components/model-picker.js";
import { plain } from "../../lib/bidi.js";
import { bytes, duration } from "../../lib/format.js";
import { soundName } from "../../lib/voices.js";
import { ApiError, raw } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { stylesheet } from "../../stylesheet.js";
import { useModelChoice } from "./model-choice.js";
import { revealResults } from "./reveal.js";
import { Task, TaskStatus } from "./task.js";
import { chosenVoice, VoicePicker } from "./voices.js";

/** @typedef {{ id: number, model: string, voice: string, text: string, url: string, size: number, type: string, tookMs: number }} Spoken */

await stylesheet("playground-tabs");

/** So many are kept: each holds its sound in memory. */
const MOST_KEPT = 20;

const model = stored("playground.speech-model", "");
const text = stored("playground.speech-text", "");
const speed = stored("playground.speech-speed", 1);
const autoplay = stored("playground.speech-autoplay", true);
/** Newest first. */
const spoken = signal(/** @type {Spoken[]} */ ([]));
const task = signal(/** @type {Task<{ url: string, size: number, type: string }> | null} */ (null));
/** The one that is to be played as soon as it is shown. */
const due = signal(-1);
const refusal = computed(() => {
  if (!model.value) return "Choose a model first.";
  return text.value.trim() ? "" : "Write what is to be said.";
});

function speak() {
  if (refusal.value || task.value?.isRunning) return;
  const input = text.value.trim();
  const asked = { model: model.value, voice: chosenVoice(model.value), text: input };
  // A speed of 1 is not told: not every server knows the word.
  const pace = speed.value === 1 ? {} : { speed: speed.value };
  const body = JSON.stringify({ model: asked.model, input, voice: asked.voice, response_format: "mp3", ...pace });
  const running = new Task(asked.model, async ({ signal: stop, headers }) => {
    const init = { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body, signal: stop };
    const sound = await (await raw("/v1/audio/speech", init)).blob();
    if (sound.type && !/^(audio|video|application\/octet-stream)/.test(sound.type)) {
      throw new ApiError(0, `The answer is no sound but ${sound.type}: ${(await sound.text()).slice(0, 500)}`);
    }
    return { url: URL.createObjectURL(sound), size: sound.size, type: sound.type };
  });
  task.value = running;
  revealResults();
  void running.finished.then(() => {
    if (!running.result.value) return;
    const id = (spoken.value[0]?.id ?? 0) + 1;
    const all = [{ ...asked, ...running.result.value, id, tookMs: running.tookMs }, ...spoken.value];
    all.splice(MOST_KEPT).forEach(({ url }) => URL.revokeObjectURL(url));
    due.value = autoplay.value ? id : -1;
    spoken.value = all;
  });
}

export default function Speech() {
  useModelChoice(model, "audio_speech");
  const isRunning = task.value?.isRunning ?? false;
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    speak();
  };
  return html`
    <div class="tool">
      <${Card} title="Speech" class="tool-form">
        <div class="stack">
          <${ModelPicker}
            label="Model"
            capability="audio_speech"
            value=${model.value}
            onInput=${(/** @type {string} */ value) => (model.value = value)}
          />
          <${VoicePicker} model=${model.value} />
          <${TextArea}
            label="Text"
            hint="Enter begins, Shift+Enter makes a new line."
            rows=${6}
            value=${text.value}
            onInput=${(/** @type {string} */ value) => (text.value = value)}
            onKeyDown=${pressed}
          />
          <div class="tool-fields">
            <${NumberField}
              label="Speed"
              min="0.25"
              max="4"
              step="0.05"
              value=${speed.value}
              onInput=${(/** @type {number | null} */ value) => (speed.value = value ?? 1)}
            />
          </div>
          <${Switch}
            label="Play it when it is there"
            value=${autoplay.value}
            onInput=${(/** @type {boolean} */ value) => (autoplay.value = value)}
          />
          <div class="row">
            <${Button}
              kind="primary"
              icon="speaker"
              busy=${isRunning}
              disabled=${!isRunning && refusal.value !== ""}
              onClick=${speak}
            >
              ${isRunning ? "Speaking …" : "Speak"}
            <//>
            ${!isRunning && refusal.value && html`<span class="field-hint">${refusal.value}</span>`}
          </div>
        </div>
      <//>
      <section class="tool-results" aria-label="What was said">
        <${TaskStatus} task=${task.value} doing="is speaking" onRetry=${speak} />
        ${spoken.value.map((each) => html`<${Sound} key=${each.id} spoken=${each} />`)}
        ${!spoken.value.length && !task.value &&
        html`
          <${Empty} title="Nothing said yet" icon="speaker">What a model says stays here until this page is closed.<//>
        `}
      </section>
    </div>
  `;
}

/** @param {{ spoken: Spoken }} props */
function Sound({ spoken: { id, model: name, voice, text: said, url, size, type, tookMs } }) {
  const [isBroken, setBroken] = useState(false);
  const player = useRef(/** @type {HTMLAudioElement | null} */ (null));
  useEffect(() => {
    if (due.value !== id) return;
    due.value = -1;
    // A browser that refuses to begin by itself has a button to begin with.
    player.current?.play().catch(() => undefined);
  }, [id]);
  return html`
    <article class="sound card" aria-label=${plain(said.slice(0, 80))}>
      <p class="sound-text">${said}</p>
      <audio ref=${player} controls preload="metadata" src=${url} onError=${() => setBroken(true)}></audio>
      ${isBroken && html`<p class="field-error">The browser cannot play what came. It can be downloaded.</p>`}
      <footer class="spread">
        <p class="faint small-text">${plain(name)} · ${plain(voice)} · ${bytes(size)} · ${duration(tookMs)}</p>
        <a class="button plain" href=${url} download=${soundName(said, type)}><${Icon} name="download" />Download</a>
      </footer>
    </article>
  `;
}
