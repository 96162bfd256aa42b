import { computed, html } from "../../html.js";
import { Button } from "../../components/button.js";
import { Link } from "../../components/link.js";
import { Tag } from "../../components/tag.js";
import { Time } from "../../components/time.js";
import { COLUMN, outcome, statusWords } from "../../lib/activity-columns.js";
import { plain } from "../../lib/bidi.js";
import { displayName } from "../../lib/names.js";
import { modelPath } from "../../lib/query.js";
import { models } from "../../state/store.js";
import { showCapture } from "./address.js";

/** @typedef {import("../../types.js").ActivityRecord} Activity */

/** @type {Map<string, import("../../html.js").ReadonlySignal<string | null>>} */
const names = new Map();

/**
 * Returns what a model is called, null if there is none of this id. Of many rows of one model none is drawn anew while
 * that stays the same, however often the states of models change.
 *
 * @param {string} id
 */
function nameOf(id) {
  let found = names.get(id);
  if (!found) {
    found = computed(() => {
      const model = models.value.find((each) => each.id === id);
      return model ? displayName(model) : null;
    });
    names.set(id, found);
  }
  return found;
}

/** Characters from which on a text may be too wide for its column. */
const LONG = 24;

/** @param {{id: string}} props */
export function ModelName({ id }) {
  const name = nameOf(id).value;
  const text = plain(name ?? id) || "–";
  const its = `activity-model ${text.length > LONG ? "long" : ""}`;
  if (name === null)
    return html`
      <span
        class=${its}
        title=${plain(id) ? `${plain(id)} is no model of this configuration` : undefined}
      >${text}</span>`;
  return html`<${Link} to=${modelPath(id)} class=${`model-link ${its}`} title=${plain(id)}>${text}<//>`;
}

/** @param {{text: string}} props */
export function Code({ text }) {
  const shown = plain(text);
  const isLong = shown.length > LONG;
  return html`
    <span
      class=${`mono ${isLong ? "activity-long" : ""}`}
      title=${isLong ? shown : undefined}
    >${shown}</span>`;
}

/** @param {{record: Activity}} props */
export function Status({ record }) {
  const words = plain(statusWords(record));
  return html`
    <${Tag} tone=${outcome(record)} title=${words || undefined}>${record.resp_status_code || "none"}<//>
    ${words && html`<span class="unseen">, ${words}</span>`}
  `;
}

/** @type {Record<string, (record: Activity) => import("../../html.js").Children>} */
const CELLS = {
  time: (record) => html`<${Time} iso=${record.timestamp} />`,
  model: (record) => html`<${ModelName} id=${record.model} />`,
  status: (record) => html`<${Status} record=${record} />`,
  path: (record) => html`<${Code} text=${record.req_path} />`,
  content_type: (record) => record.resp_content_type && html`<${Code} text=${record.resp_content_type} />`,
  error: (record) =>
    record.error_msg &&
    html`<span class="activity-error" title=${plain(record.error_msg)}>${plain(record.error_msg)}</span>`,
  session: (record) =>
    record.session_id &&
    html`<span class="mono activity-short" title=${plain(record.session_id)}>${plain(record.session_id)}</span>`,
  key: (record) => record.key_fingerprint && html`<span class="mono">${plain(record.key_fingerprint)}</span>`,
  capture: (record) =>
    record.has_capture &&
    html`
      <${Button}
        kind="quiet"
        class="activity-view"
        onClick=${() => showCapture(record.id)}
        aria-label=${`View capture ${record.id}`}
      >View<//>`,
  meta: (record) => {
    const entries = Object.entries(record.metadata ?? {});
    const all = entries.map(([name, value]) => `${plain(name)}: ${plain(value)}`).join("\n");
    return (
      entries.length > 0 && html`<${Tag} title=${all}>${entries.length === 1 ? all : `${entries.length} entries`}<//>`
    );
  },
};

/**
 * Returns what stands in the cell of column *key*.
 *
 * @param {string} key
 * @param {Activity} record
 */
export function cell(key, record) {
  const draw = CELLS[key];
  if (draw) return draw(record) || html`<span class="faint" aria-hidden="true">–</span>`;
  const text = plainFigure(COLUMN.get(key)?.text(record) ?? "");
  return text === "–" || text === "" ? html`<span class="faint">–</span>` : text;
}

/** Figures have narrow spaces in them, which are theirs and no disguise. @param {string} text */
function plainFigure(text) {
  return text
    .split(/([\u00a0\u202f])/)
    .map((part, index) => (index % 2 ? part : plain(part)))
    .join("");
}
