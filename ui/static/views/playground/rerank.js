/** Documents in the order of their relevance to a query. */

import { html, useId, useLayoutEffect, useRef } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { TextArea, TextField } from "../../components/field.js";
import { ModelPicker } from "../../components/model-picker.js";
import { Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { count, duration, isKnown } from "../../lib/format.js";
import { withLines, writeQuestion } from "../../lib/rerank.js";
import { stylesheet } from "../../stylesheet.js";
import { useModelChoice } from "./model-choice.js";
import {
  change, changeJson, isCurrent, json, jsonError, model, question, rank, ranking, refusal, task,
} from "./rerank-state.js";
import { revealResults } from "./reveal.js";
import { TaskStatus } from "./task.js";

await stylesheet("playground-tabs");

export default function Rerank() {
  const begin = () => {
    rank();
    revealResults();
  };
  useModelChoice(model, "reranker");
  const isRunning = task.value?.isRunning ?? false;
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "Enter" && !event.isComposing) begin();
  };
  const isTable = json.value === null;
  const toggle = html`
    <${Button}
      kind="quiet"
      icon=${isTable ? "edit" : "columns"}
      onClick=${() => (json.value = isTable ? writeQuestion(question.value) : null)}
    >
      ${isTable ? "As JSON" : "As a table"}
    <//>
  `;
  return html`
    <div class="tool wide">
      <${Card} title="Query and documents" class="tool-form" actions=${toggle}>
        <div class="stack">
          <${ModelPicker}
            label="Model"
            capability="reranker"
            value=${model.value}
            onInput=${(/** @type {string} */ value) => (model.value = value)}
          />
          ${isTable
            ? html`
                <${TextField}
                  label="Query"
                  value=${question.value.query}
                  onInput=${(/** @type {string} */ query) => change({ query })}
                  onKeyDown=${pressed}
                />
                <${Documents} />
              `
            : html`
                <${TextArea}
                  class="mono-field"
                  label="JSON"
                  rows=${16}
                  spellcheck=${false}
                  value=${json.value}
                  error=${jsonError.value}
                  onInput=${changeJson}
                />
              `}
          <div class="row">
            <${Button}
              kind="primary"
              icon="sort-down"
              busy=${isRunning}
              disabled=${!isRunning && refusal.value !== ""}
              onClick=${begin}
            >
              ${isRunning ? "Ranking …" : "Rank"}
            <//>
            ${!isRunning && refusal.value && html`<span class="field-hint">${refusal.value}</span>`}
          </div>
        </div>
      <//>
      <section class="tool-results" aria-label="Ranking">
        <${TaskStatus} task=${task.value} doing="is ranking" onRetry=${rank} />
        ${ranking.value && html`<${Ranking} />`}
        ${!ranking.value &&
        !task.value &&
        html`
          <${Empty} title="No ranking yet" icon="sort-down">
            The documents appear here, the most relevant one first.
          <//>
        `}
      </section>
    </div>
  `;
}

function Documents() {
  const id = useId();
  const { documents } = question.value;
  const goTo = useRef(-1);
  /** @param {number} index */
  const fieldId = (index) => `${id}-${index}`;
  /**
   * @param {string[]} changed
   * @param {number} next which one to go to
   */
  const put = (changed, next) => {
    goTo.current = Math.min(Math.max(next, 0), changed.length - 1);
    change({ documents: changed });
  };
  // With the drawing, not after it: the next letter typed is to be in the new field already.
  useLayoutEffect(() => {
    if (goTo.current >= 0) document.getElementById(fieldId(goTo.current))?.focus();
    goTo.current = -1;
  }, [documents]);
  /**
   * @param {KeyboardEvent} event
   * @param {number} index
   */
  const pressed = (event, index) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) rank();
      else put([...documents.slice(0, index + 1), "", ...documents.slice(index + 1)], index + 1);
    } else if (event.key === "Backspace" && documents[index] === "" && documents.length > 1) {
      event.preventDefault();
      put(documents.filter((_, place) => place !== index), index - 1);
    }
  };
  /**
   * @param {ClipboardEvent} event
   * @param {number} index
   */
  const pasted = (event, index) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (documents[index] !== "" || !text.trim().includes("\n")) return;
    event.preventDefault();
    const changed = withLines(documents, index, text);
    put(changed, changed.length - documents.length + index);
  };
  return html`
    <fieldset class="tool-group">
      <legend>Documents</legend>
      <ol class="rerank-documents">
        ${documents.map(
          (text, index) => html`
            <li key=${index}>
              <span class="faint num">${index + 1}</span>
              <textarea
                id=${fieldId(index)}
                class="control"
                rows="1"
                aria-label=${`Document ${index + 1}`}
                placeholder="A document …"
                value=${text}
                onInput=${(/** @type {Event} */ event) =>
                  change({ documents: documents.with(index, /** @type {HTMLTextAreaElement} */ (event.currentTarget).value) })}
                onKeyDown=${(/** @type {KeyboardEvent} */ event) => pressed(event, index)}
                onPaste=${(/** @type {ClipboardEvent} */ event) => pasted(event, index)}
              ></textarea>
              <${IconButton}
                icon="trash"
                label=${`Remove document ${index + 1}`}
                onClick=${() => put(documents.filter((_, place) => place !== index), index)}
              />
            </li>
          `,
        )}
      </ol>
      <div class="row">
        <${Button}
          kind="quiet"
          icon="plus"
          onClick=${() => put([...documents, ""], documents.length)}
        >
          Add a document
        <//>
        <span class="field-hint">Enter adds one, too; lines pasted into an empty one become documents.</span>
      </div>
    </fieldset>
  `;
}

function Ranking() {
  const shown = /** @type {import("./rerank-state.js").Ranking} */ (ranking.value);
  const { usage, question: asked } = shown;
  /** @param {number} index */
  const inOneLine = (index) => asked.documents[index].replaceAll(/\s+/g, " ");
  const text = () => shown.ranking.map(({ index, score }) => `${score}\t${inOneLine(index)}`).join("\n");
  const unranked = asked.documents.filter((each) => each.trim()).length - shown.ranking.length;
  return html`
    <${Card}
      flush
      title=${html`For “${plain(asked.query)}”`}
      actions=${html`
        ${!isCurrent.value &&
        html`<${Tag} tone="busy" title="The query or the documents have been changed since">of an earlier question<//>`}
        <${CopyButton} text=${text} label="Copy the ranking" />
      `}
    >
      <ol class="ranking">
        ${shown.ranking.map(
          ({ index, score, share }) => html`
            <li key=${index} class=${share >= 0.66 ? "good" : share >= 0.33 ? "middle" : "low"}>
              <meter class="ranking-bar" min="0" max="1" value=${share} aria-hidden="true"></meter>
              <span class="ranking-score" aria-label=${`Score ${score}`}>${score.toFixed(4)}</span>
              <span class="ranking-text">${asked.documents[index]}</span>
              <span class="faint num" title="Its place in the question">#${index + 1}</span>
            </li>
          `,
        )}
      </ol>
      <footer class="ranking-foot faint small-text">
        ${plain(shown.model)} · ${duration(task.value?.result.value === shown ? task.value.tookMs : -1)}
        ${isKnown(usage.total) && html` · ${count(usage.total)} tokens`}
        ${unranked > 0 && html` · ${count(unranked)} without a score`}
      </footer>
    <//>
  `;
}
