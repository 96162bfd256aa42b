/** How a model is asked: which API, which system prompt, which parameters. The same for the chat and for comparing. */

import { computed, html, signal } from "../../html.js";
import { Button } from "../../components/button.js";
import { NumberField, Select, Slider, TextArea } from "../../components/field.js";
import { DIALECTS, parseExtra } from "../../lib/dialects.js";
import { stored } from "../../state/settings.js";

/** @typedef {import("../../lib/dialects.js").DialectName} DialectName */
/**
 * @typedef {object} ChatSettings
 * @property {DialectName} dialect
 * @property {string} system
 * @property {number | null} temperature
 * @property {number | null} maxTokens
 * @property {number | null} topP
 * @property {number | null} seed
 * @property {string} stop separated by lines
 * @property {string} extra JSON
 */

/** @type {ChatSettings} */
const DEFAULTS = {
  dialect: "chat",
  system: "",
  temperature: 0.7,
  maxTokens: 4096,
  topP: null,
  seed: null,
  stop: "",
  extra: "",
};

const kept = stored("playground.chat-settings", /** @type {Partial<ChatSettings>} */ ({}));
const borrowed = signal(/** @type {Partial<ChatSettings> | null} */ (null));

/** What is chosen; what never was, or is of an older version, has its default. */
export const settings = computed(() => {
  const chosen = { ...DEFAULTS, ...(borrowed.value ?? kept.value) };
  const isKnown = DIALECTS.some(({ id }) => id === chosen.dialect);
  return isKnown ? chosen : { ...chosen, dialect: DEFAULTS.dialect };
});

/** @param {Partial<ChatSettings>} changes */
export function change(changes) {
  if (borrowed.value) borrowed.value = { ...borrowed.value, ...changes };
  else kept.value = { ...kept.value, ...changes };
}

/**
 * Puts a captured request's settings in the place of one's own, which come back with a click or with the next visit.
 *
 * @param {Partial<ChatSettings> | null} others null: one's own again
 */
export function borrow(others) {
  borrowed.value = others;
}

function reset() {
  if (borrowed.value) borrowed.value = {};
  else kept.value = {};
}

/** Returns the settings as members of a question. */
export function chosenParameters() {
  const { system, temperature, maxTokens, topP, seed, stop, extra } = settings.value;
  return {
    system,
    temperature,
    maxTokens,
    topP,
    seed,
    stop: stop.split("\n").filter(Boolean),
    extra: parseExtra(extra).extra,
  };
}

/** How many parameters differ from the defaults: shown where the settings are closed. */
export const changedCount = computed(
  () =>
    Object.entries(settings.value).filter(([key, value]) => value !== DEFAULTS[/** @type {keyof ChatSettings} */ (key)])
      .length,
);

export function ChatSettings() {
  const now = settings.value;
  const { error } = parseExtra(now.extra);
  return html`
    <div class="chat-settings stack">
      ${
        borrowed.value &&
        html`
          <div class="notice info">
            <p class="grow">These are the captured request's, not your own.</p>
            <${Button} onClick=${() => borrow(null)}>Back to mine<//>
          </div>
        `
      }
      <${Select}
        label="API"
        hint=${html`
          Asked by${" "}
          <code>POST ${DIALECTS.find(({ id }) => id === now.dialect)?.path}</code>
        `}
        value=${now.dialect}
        onInput=${(/** @type {DialectName} */ dialect) => change({ dialect })}
        options=${DIALECTS.map(({ id, label }) => ({ value: id, label }))}
      />
      <${TextArea}
        label="System prompt"
        placeholder="You are …"
        rows=${4}
        value=${now.system}
        onInput=${(/** @type {string} */ system) => change({ system })}
      />
      <${Slider}
        label="Temperature"
        hint=${
          now.temperature === null
            ? "Not sent: the server's own."
            : html`
                <button type="button" class="chat-leave" onClick=${() => change({ temperature: null })}>
                  Leave it to the server
                </button>
              `
        }
        min=${0}
        max=${2}
        step=${0.05}
        value=${now.temperature ?? 0.7}
        format=${(/** @type {number} */ value) => (now.temperature === null ? "default" : value.toFixed(2))}
        onInput=${(/** @type {number} */ temperature) => change({ temperature })}
      />
      <${NumberField}
        label="Most tokens in an answer"
        min=${1}
        step=${1}
        placeholder="the server's own limit"
        value=${now.maxTokens}
        onInput=${(/** @type {number | null} */ maxTokens) => change({ maxTokens })}
      />
      <details class="chat-more" open=${now.topP !== null || now.seed !== null || now.stop !== "" || now.extra !== ""}>
        <summary>More parameters</summary>
        <div class="stack">
          <${NumberField}
            label="top_p"
            min=${0}
            max=${1}
            step=${0.05}
            placeholder="not sent"
            value=${now.topP}
            onInput=${(/** @type {number | null} */ topP) => change({ topP })}
          />
          <${NumberField}
            label="Seed"
            step=${1}
            placeholder="not sent"
            value=${now.seed}
            onInput=${(/** @type {number | null} */ seed) => change({ seed })}
          />
          <${TextArea}
            label="Stop at"
            hint="One text a line."
            rows=${2}
            value=${now.stop}
            onInput=${(/** @type {string} */ stop) => change({ stop })}
          />
          <${TextArea}
            label="Extra members of the request"
            hint="JSON; wins over everything above."
            error=${error || undefined}
            class="mono-field"
            rows=${3}
            placeholder=${'{"min_p": 0.05}'}
            spellcheck=${false}
            value=${now.extra}
            onInput=${(/** @type {string} */ extra) => change({ extra })}
          />
        </div>
      </details>
      <${Button} kind="quiet" disabled=${changedCount.value === 0} onClick=${reset}>Back to the defaults<//>
    </div>
  `;
}
