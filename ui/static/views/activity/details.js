import { html } from "../../html.js";
import { CopyButton } from "../../components/copy.js";
import { Link } from "../../components/link.js";
import { COLUMN, statusWords } from "../../lib/activity-columns.js";
import { phases } from "../../lib/activity-phases.js";
import { NO_FILTERS, withFilters } from "../../lib/activity-query.js";
import { plain } from "../../lib/bidi.js";
import { absoluteTime, duration } from "../../lib/format.js";

/** @typedef {import("../../types.js").ActivityRecord} Activity */

/** What is told of in words; the figures stand in a list of their own. */
const FIGURES = ["cached", "prompt", "generated", "drafted", "prompt_speed", "gen_speed", "ttft", "sent", "received"];

/**
 * All that is known of one request, in the order in which one asks: what went wrong, where the time has gone, the
 * figures, whose it was.
 *
 * @param {{record: Activity}} props
 */
export function Details({ record }) {
  const words = statusWords(record);
  const type = plain(record.resp_content_type);
  const metadata = Object.entries(record.metadata ?? {});
  return html`
    <div class="activity-details">
      ${words && html`<p class=${`activity-words ${record.error_msg ? "bad" : ""}`}>${plain(words)}</p>`}
      <${Phases} record=${record} />
      <dl class="activity-figures">
        ${FIGURES.map((key) => html`<${Figure} key=${key} name=${key} record=${record} />`)}
      </dl>
      <dl class="activity-facts">
        <${Fact} label="Ended">${absoluteTime(record.timestamp)}<//>
        <${Fact} label="Request"><span class="mono">${plain(record.method)} ${plain(record.req_path)}</span><//>
        <${Fact} label="Answer">${type && html`<span class="mono">${type}</span>`}<//>
        <${Fact} label="Stopped by">${plain(record.stop_reason)}<//>
        <${Fact} label="Client">${plain(record.client)}<//>
        <${Fact} label="Session"><${Only} name="session" value=${record.session_id} /><//>
        <${Fact} label="Key"><${Only} name="key" value=${record.key_fingerprint} /><//>
        ${metadata.map(([name, value]) => html`<${Fact} key=${name} label=${plain(name)}>${plain(value)}<//>`)}
      </dl>
    </div>
  `;
}

/** @param {{record: Activity}} props */
function Phases({ record }) {
  const found = phases(record);
  const total = found.reduce((sum, { ms }) => sum + ms, 0);
  if (!total) return null;
  return html`
    <div class="activity-phases">
      <div class="activity-bar" aria-hidden="true">
        ${found.map(({ key, ms }) => html`<span key=${key} class=${key} style=${{ flexGrow: ms / total }}></span>`)}
      </div>
      <ul>
        ${found.map(
          ({ key, label, ms }) => html`
            <li key=${key}><span class=${`activity-swatch ${key}`}></span>${label} <b>${duration(ms)}</b></li>
          `,
        )}
      </ul>
    </div>
  `;
}

/** @param {{name: string, record: Activity}} props */
function Figure({ name, record }) {
  const column = COLUMN.get(name);
  if (!column) return null;
  const text = column.text(record);
  if (text === "–") return null;
  return html`<div title=${column.title || undefined}><dt>${column.label}</dt><dd>${text}</dd></div>`;
}

/** @param {{label: string, children?: import("../../html.js").Children}} props */
function Fact({ label, children }) {
  return children ? html`<div><dt>${label}</dt><dd>${children}</dd></div>` : null;
}

/**
 * What is shown of a session or a key, with the way to all of its requests.
 *
 * @param {{name: "session" | "key", value: string}} props
 */
function Only({ name, value }) {
  if (!value) return html`<span class="faint">none</span>`;
  const search = withFilters(new URLSearchParams(), { ...NO_FILTERS, [name]: value });
  return html`
    <span class="activity-only">
      <${Link} to=${`/activity?${search}`} class="mono" title=${`All requests of this ${name}`}>${plain(value)}<//>
      <${CopyButton} text=${value} label=${`Copy the ${name}`} />
    </span>
  `;
}
