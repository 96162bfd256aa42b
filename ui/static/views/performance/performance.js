/** @file The machine over time: accelerators, processors, memory, network, and what each model takes of it. */

import { Button, IconButton } from "../../components/button.js";
import { Chart } from "../../components/chart.js";
import { Empty } from "../../components/empty.js";
import { Select, Switch } from "../../components/field.js";
import { PageHeader } from "../../components/page.js";
import { html, useEffect, useMemo } from "../../html.js";
import { plain } from "../../lib/bidi.js";
import { duration } from "../../lib/format.js";
import { gpuFigures, modelFigures, systemFigures, windowed } from "../../lib/performance.js";
import { monotonic } from "../../state/clock.js";
import { busy, failure, fetchNew, freshAt, history, keepFetching, sources, standing } from "../../state/performance.js";
import { href } from "../../state/router.js";
import { stored } from "../../state/settings.js";
import { lastReload } from "../../state/store.js";

const WINDOWS = [
  { value: "300", label: "5 minutes" },
  { value: "900", label: "15 minutes" },
  { value: "3600", label: "1 hour" },
];
const PERIODS = [
  { value: "0", label: "Off" },
  { value: "5", label: "5 s" },
  { value: "10", label: "10 s" },
  { value: "30", label: "30 s" },
  { value: "60", label: "60 s" },
];

const span = stored("performance.window", "900", (value) => WINDOWS.some((each) => each.value === value));
const period = stored("performance.refresh", "5", (value) => PERIODS.some((each) => each.value === value));
const perCore = stored("performance.perCore", false);

/** @type {Record<string, string>} */
const STATES = {
  new: "not asked yet", ok: "has figures", stale: "fails", absent: "nothing to read here", idle: "not needed",
};

export default function Performance() {
  useEffect(() => keepFetching(Number(period.value)), [period.value]);
  useEffect(() => {
    if (standing.peek() === "off") void fetchNew();
  }, [lastReload.value]);
  return html`
    <div class="performance">
      <${PageHeader}
        title="Performance"
        subtitle=${html`<${Freshness} />`}
        actions=${standing.value === "off" ? "" : html`<${Controls} />`}
      />
      <${Trouble} />
      ${standing.value === "off"
        ? html`<${Off} />`
        : standing.value === "unknown"
          ? !failure.value && html`<p class="faint" role="status">Fetching what has been seen…</p>`
          : html`<${Figures} /><${Sources} />`}
    </div>
  `;
}

function Controls() {
  return html`
    <${Select}
      class="performance-choice"
      label="Window"
      value=${span.value}
      options=${WINDOWS}
      onInput=${(/** @type {string} */ value) => (span.value = value)}
    />
    <${Select}
      class="performance-choice"
      label="Refresh"
      value=${period.value}
      options=${PERIODS}
      onInput=${(/** @type {string} */ value) => (period.value = value)}
    />
    <${IconButton} icon="refresh" label="Refresh now" busy=${busy.value} onClick=${() => void fetchNew()} />
  `;
}

/** Says how old the newest sample is, if that is longer than it should be. */
function Freshness() {
  if (standing.value !== "on") return "What the machine was doing";
  if (freshAt.value === null) return "No sample has been taken yet";
  const ageMs = Math.max(0, monotonic(1000).value - freshAt.value);
  const wanted = Math.max(history.value.everyS, Number(period.value)) * 1000;
  const pace = `A sample every ${history.value.everyS} s`;
  if (period.value === "0") return `${pace}; fetched ${duration(ageMs)} ago, and again when you ask`;
  return ageMs > 3 * wanted + 2000 ? `No new sample for ${duration(ageMs)}` : pace;
}

function Trouble() {
  const failing = sources.value.filter((source) => source.state === "stale");
  return html`
    ${failure.value && html`
      <div class="notice bad row" role="alert">
        <span>
          The samples could not be fetched: ${failure.value}
          ${standing.value === "on" ? " What is shown is from before." : ""}
        </span>
        <${Button} kind="quiet" icon="refresh" onClick=${() => void fetchNew()}>Try again<//>
      </div>
    `}
    ${standing.value === "on" && failing.length > 0 && html`
      <div class="notice busy" role="status">
        ${failing.map((source) => html`
          <p key=${source.name}>
            <strong>${source.name}</strong> fails, and its figures are left out until it is back
            ${source.detail ? `: ${plain(source.detail)}` : "."}
          </p>
        `)}
      </div>
    `}
  `;
}

function Off() {
  return html`
    <${Empty}
      title="The machine is not being watched"
      icon="performance"
      action=${html`<${Button} icon="refresh" busy=${busy.value} onClick=${() => void fetchNew()}>Look again<//>`}
    >
      <p>
        The configuration says <code>performance.disabled: true</code>. Without that, and once
        ${" "}<a href=${href("/configuration")}>the configuration</a> is reloaded, samples are taken.
      </p>
    <//>
  `;
}

function Figures() {
  const seconds = Number(span.value);
  const shown = useMemo(() => windowed(history.value, seconds), [history.value, seconds]);
  const gpus = useMemo(() => gpuFigures(shown), [shown]);
  const machine = useMemo(() => systemFigures(shown, perCore.value), [shown, perCore.value]);
  const models = useMemo(() => modelFigures(shown), [shown]);
  if (!history.value.newest) {
    return html`
      <${Empty} title="No sample has been taken yet" icon="performance">The first comes a second after the start.<//>
    `;
  }
  const to = Date.parse(history.value.newest) / 1000;
  const grid = (/** @type {import("../../lib/performance.js").Figure[]} */ figures) => html`
    <div class="performance-grid">
      ${figures.map((figure) => html`<${Chart} key=${figure.id} figure=${figure} from=${to - seconds} to=${to} />`)}
    </div>
  `;
  return html`
    ${gpus.length > 0 && html`<section><h2 class="performance-part">Accelerators</h2>${grid(gpus)}</section>`}
    <section>
      <div class="spread">
        <h2 class="performance-part">Machine</h2>
        <${Switch}
          label="Each core by itself"
          value=${perCore.value}
          onInput=${(/** @type {boolean} */ value) => (perCore.value = value)}
        />
      </div>
      ${grid(machine)}
    </section>
    ${models.length > 0 && html`<section><h2 class="performance-part">Models</h2>${grid(models)}</section>`}
  `;
}

function Sources() {
  if (!sources.value.length) return null;
  return html`
    <details class="performance-sources">
      <summary>Where the figures come from</summary>
      <ul role="list">
        ${sources.value.map((source) => html`
          <li key=${source.name}>
            <code>${source.name}</code> <span>${STATES[source.state] ?? source.state}</span>
            ${source.detail && html` <span class="faint">${plain(source.detail)}</span>`}
          </li>
        `)}
      </ul>
    </details>
  `;
}
