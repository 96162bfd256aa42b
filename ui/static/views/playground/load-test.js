/** Many requests at once, to see what waiting and swapping do to each of them. */

import { html } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Empty } from "../../components/empty.js";
import { NumberField, TextArea } from "../../components/field.js";
import { stylesheet } from "../../stylesheet.js";
import { LoadCards } from "./load-cards.js";
import { LoadLanes } from "./load-lanes.js";
import { LoadQueue } from "./load-queue.js";
import { go, isRunning, maxTokens, prompt, queue, requests, stop } from "./load-run.js";
import { LoadTotals } from "./load-totals.js";
import { revealResults } from "./reveal.js";

await stylesheet("playground-tabs");

const MOST_TOKENS = 131_072;

export default function LoadTest() {
  const start = () => {
    go();
    revealResults();
  };
  /** @param {number | null} value */
  const setMaxTokens = (value) => {
    maxTokens.value = Math.min(Math.max(Math.round(value ?? 256), 1), MOST_TOKENS);
  };
  const refusal = !queue.value.length ? "Add requests first." : prompt.value.trim() ? "" : "Write a prompt.";
  return html`
    <div class="tool">
      <${Card} title="Test" class="tool-form">
        <div class="stack">
          <${LoadQueue} />
          <${TextArea}
            label="Prompt of all"
            rows=${3}
            value=${prompt.value}
            onInput=${(/** @type {string} */ value) => (prompt.value = value)}
          />
          <${NumberField}
            label="Most tokens of an answer"
            min="1"
            max=${MOST_TOKENS}
            value=${maxTokens.value}
            onInput=${setMaxTokens}
          />
          <div class="row">
            ${isRunning.value
              ? html`<${Button} kind="danger" icon="stop" onClick=${stop}>Stop<//>`
              : html`<${Button} kind="primary" icon="play" disabled=${refusal !== ""} onClick=${start}>Go<//>`}
            ${!isRunning.value && refusal && html`<span class="field-hint">${refusal}</span>`}
          </div>
        </div>
      <//>
      <section class="tool-results" aria-label="Results">
        <p
          class="unseen"
          role="status"
        >
          ${isRunning.value ? "The test runs." : requests.value.length ? "The test is over." : ""}
        </p>
        ${requests.value.length
          ? html`
              <${Card} title="Together"><${LoadTotals} /><//>
              <${Card} title="Request by request"><${LoadLanes} /><//>
              <${LoadCards} />
            `
          : html`
              <${Empty} title="Nothing sent yet" icon="performance">
                All requests are sent at once. Each gets a lane that shows how long it stood in the queue, waited for models
                to be swapped, and was answered.
              <//>
            `}
      </section>
    </div>
  `;
}
