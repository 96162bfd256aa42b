import { html, useMemo, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { ColumnChooser } from "../../components/columns.js";
import { Tag } from "../../components/tag.js";
import {
  INFLIGHT_COLUMNS,
  INFLIGHT_KEYS,
  areInflightColumns,
  sessionOf,
  stageOf,
  waitingBy,
} from "../../lib/activity-inflight.js";
import { plain } from "../../lib/bidi.js";
import { elapsedMs } from "../../lib/events.js";
import { bytes, clockTime, count, seconds } from "../../lib/format.js";
import { cancelRequest } from "../../state/actions.js";
import { monotonic } from "../../state/clock.js";
import { stored } from "../../state/settings.js";
import { asOf, connection, inflight, known, queue, uiConfig } from "../../state/store.js";
import { Code, ModelName } from "./cells.js";

/** @typedef {import("../../types.js").KnownRequest} KnownRequest */
/** @typedef {import("../../types.js").QueueEntry} QueueEntry */

/** Rows that are drawn; a line says how many more there are. */
const MOST = 200;

/** How often clocks run, and with how many of them more slowly. */
const FAST_MS = 100;
const SLOW_MS = 1000;
const MANY = 40;

/** Requests that are served or wait, as they stand. */
export function InFlight() {
  const columns = useMemo(() => stored("activity-inflight-columns", [...INFLIGHT_KEYS], areInflightColumns), []);
  const all = inflight.value;
  const isLive = connection.value === "open";
  const size = known.value ? count(all.size) : "–";
  const title = html`In flight <${Tag} tone=${all.size ? "info" : "neutral"}>${size}<//>`;
  const actions = html`
    <${ColumnChooser}
      columns=${INFLIGHT_COLUMNS}
      shown=${columns.value}
      initial=${[...INFLIGHT_KEYS]}
      onChange=${(/** @type {string[]} */ keys) => (columns.value = keys)}
    />
  `;
  return html`
    <${Card}
      title=${title}
      actions=${actions}
      collapsible
      storageKey="activity-inflight-open"
      flush
      class="activity-inflight"
    >
      ${
        !isLive &&
        known.value &&
        html`
        <p class="activity-note" role="status">
          Not connected: this is how things stood${asOf.value && ` at ${clockTime(asOf.value)}`}.
        </p>
      `
      }
      ${
        all.size === 0
          ? html`<p class="activity-calm">${known.value ? "Nothing is in flight." : "Connecting…"}</p>`
          : html`<${Requests} all=${all} columns=${columns.value} isLive=${isLive} />`
      }
    <//>
  `;
}

/** @param {{all: ReadonlyMap<string, KnownRequest>, columns: string[], isLive: boolean}} props */
function Requests({ all, columns, isLive }) {
  const waiting = waitingBy(queue.value);
  const shown = [...all.values()].slice(0, MOST);
  const drawn = useMemo(() => new Drawn(), []);
  const period = shown.length > MANY ? SLOW_MS : FAST_MS;
  return html`
    <div class="table-scroll activity-inflight-scroll" role="region" aria-label="Requests in flight" tabindex="0">
      <table class=${`table activity-inflight-table ${isLive ? "" : "stale"}`} role="table">
        <caption class="unseen">Requests in flight</caption>
        <thead role="rowgroup">
          <tr role="row">
            ${columns.map((key) => {
              const column = INFLIGHT_COLUMNS.find((each) => each.key === key);
              return html`
                <th
                  key=${key}
                  scope="col"
                  role="columnheader"
                  class=${column?.isNumber ? "right" : ""}
                >${column?.label}</th>`;
            })}
          </tr>
        </thead>
        <tbody role="rowgroup">
          ${shown.map((request) => drawn.row({ request, columns, waiting: waiting.get(request.id), isLive, period }))}
        </tbody>
      </table>
    </div>
    ${all.size > MOST && html`<p class="activity-calm">… and ${count(all.size - MOST)} more that came later.</p>`}
  `;
}

/**
 * @typedef {{request: KnownRequest, columns: string[], waiting: QueueEntry | undefined, isLive: boolean, period:
 *   number}} Shown
 */

/** Rows as they were drawn: bytes of one request come in often, and the others stay as they are. */
class Drawn {
  constructor() {
    /** @type {WeakMap<KnownRequest, {shown: Shown, node: import("../../html.js").Node}>} */
    this.nodes = new WeakMap();
  }

  /** @param {Shown} shown */
  row(shown) {
    const before = this.nodes.get(shown.request);
    const names = /** @type {const} */ (["columns", "waiting", "isLive", "period"]);
    if (before && names.every((name) => before.shown[name] === shown[name])) return before.node;
    const node = html`<${Row} key=${shown.request.id} ...${shown} />`;
    this.nodes.set(shown.request, { shown, node });
    return node;
  }
}

/** @param {Shown} props */
function Row({ request, columns, waiting, isLive, period }) {
  return html`
    <tr role="row" class="activity-row">
      ${columns.map((key) => {
        const column = INFLIGHT_COLUMNS.find((each) => each.key === key);
        return html`
          <td
            key=${key}
            role="cell"
            class=${`activity-cell is-${key} ${column?.isNumber ? "right" : ""}`}
            data-label=${column?.label}
          >
            <${Cell} ...${{ name: key, request, waiting, isLive, period }} />
          </td>
        `;
      })}
    </tr>
  `;
}

/** @param {Omit<Shown, "columns"> & {name: string}} props */
function Cell({ name, request, waiting, isLive, period }) {
  switch (name) {
    case "cancel":
      return html`<${Cancel} id=${request.id} isLive=${isLive} />`;
    case "elapsed":
      return html`<${Clock} ...${{ request, isLive, period }} />`;
    case "model":
      return request.model
        ? html`<${ModelName} id=${request.model} />`
        : html`<span class="faint">not known yet</span>`;
    case "request":
      return html`<${Code} text=${`${request.method} ${request.req_path}`} />`;
    case "stage":
      return html`<${StageOf} request=${request} waiting=${waiting} />`;
    case "address":
      return html`<span class="mono">${plain(request.remote_ip)}</span>`;
    case "agent":
      return html`<${Short} text=${sessionOf(request, ["user-agent"])} />`;
    case "session":
      return html`<${Short} text=${sessionOf(request, uiConfig.value.activity.session_id)} />`;
    default:
      return bytes(request.resp_bytes);
  }
}

/** @param {{text: string}} props */
function Short({ text }) {
  return text
    ? html`<span class="activity-short" title=${plain(text)}>${plain(text)}</span>`
    : html`<span class="faint">–</span>`;
}

/** @param {{id: string, isLive: boolean}} props */
function Cancel({ id, isLive }) {
  const [isBusy, setBusy] = useState(false);
  const cancel = async () => {
    setBusy(true);
    // If it works, the row goes; the button stays busy until then.
    if (!(await cancelRequest(id))) setBusy(false);
  };
  return html`
    <${Button}
      class="activity-cancel"
      busy=${isBusy}
      disabled=${!isLive}
      onClick=${cancel}
      aria-label=${`Cancel request ${id}`}
    >Cancel<//>`;
}

/**
 * Runs while the line is open, and stands from its loss on: what has become of the request since then nobody knows.
 *
 * @param {{request: KnownRequest, isLive: boolean, period: number}} props
 */
function Clock({ request, isLive, period }) {
  const lost = asOf.value ?? Date.now();
  const at = isLive ? monotonic(period).value : performance.now() - (Date.now() - lost);
  return html`<span class="elapsed">${seconds(elapsedMs(request, at))}</span>`;
}

/** @param {{request: KnownRequest, waiting: QueueEntry | undefined}} props */
function StageOf({ request, waiting }) {
  const age = waiting ? monotonic(1000).value - queue.value.receivedAtMs : 0;
  const stage = stageOf(request, waiting, age);
  return html`
    <span class="activity-stage">
      <${Tag} tone=${stage.tone}>${stage.words}<//>
      ${stage.detail && html`<span class="small-text soft">${stage.detail}</span>`}
    </span>
  `;
}
