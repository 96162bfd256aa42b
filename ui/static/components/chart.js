/**
 * @file Lines over time. The drawing is uPlot's, which is fetched with the first chart; legend, colours and what can
 * be read
 * without seeing the lines are ours.
 */

import { html, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { clockTime } from "../lib/format.js";
import { summary, withUnit } from "../lib/performance.js";
import { mode, palette } from "../state/appearance.js";
import { stylesheet } from "../stylesheet.js";

/** @typedef {import("../lib/performance.js").Figure} Figure */
/** @typedef {import("../lib/performance.js").Series} Series */
/** @typedef {import("../vendor/uplot.js").default} Plot */
/** @typedef {typeof import("../vendor/uplot.js").default} PlotClass */

const HEIGHT_PX = 170;
const DASH = [5, 4];
const SYNC = "time";

void stylesheet("chart");
void stylesheet("../vendor/uplot");

/** @type {Promise<PlotClass> | undefined} */
let library;
const loaded = () => (library ??= import("../vendor/uplot.js").then((module) => module.default));

/**
 * @param {{figure: Figure, from: number, to: number}} props  from, to: epoch seconds that the axis has
 */
export function Chart({ figure, from, to }) {
  const id = useId();
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {Plot | null} */ (null));
  const [pointed, setPointed] = useState(/** @type {number | null} */ (null));
  const [hidden, setHidden] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [failure, setFailure] = useState("");
  const shape = figure.series.map((series) => `${series.label} ${series.colour} ${series.dashed ?? false}`).join("\n");
  const latest = useRef({ figure, from, to });
  latest.current = { figure, from, to };

  useEffect(() => {
    let isGone = false;
    loaded().then((uPlot) => {
      if (isGone || !box.current) return;
      plot.current = drawn(uPlot, box.current, () => latest.current, setPointed);
      for (const [index, series] of latest.current.figure.series.entries()) {
        if (hidden.has(series.label)) plot.current.setSeries(index + 1, { show: false });
      }
    }, () => setFailure("The library that draws charts could not be loaded; the figures are in the table."));
    return () => {
      isGone = true;
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  useLayoutEffect(() => {
    plot.current?.setData(dataOf(figure));
  }, [figure, from, to]);

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const again = () => plot.current?.redraw(false);
    // The colours of the new theme are there once its style has been worked out.
    const frame = requestAnimationFrame(again);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", again);
    return () => {
      cancelAnimationFrame(frame);
      system.removeEventListener("change", again);
    };
  }, [mode.value, palette.value]);

  const last = figure.times.length - 1;
  const place = pointed !== null && pointed <= last ? pointed : last;
  const moment = pointed === null ? undefined : figure.times[place];
  /** @param {string} label */
  const toggle = (label) => {
    const next = new Set(hidden);
    if (!next.delete(label)) next.add(label);
    setHidden(next);
    const index = figure.series.findIndex((series) => series.label === label);
    plot.current?.setSeries(index + 1, { show: !next.has(label) });
  };
  /** @param {KeyboardEvent} event */
  const typed = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !plot.current) return;
    event.preventDefault();
    const next = Math.min(last, Math.max(0, place + step));
    plot.current.setCursor({ left: plot.current.valToPos(figure.times[next] ?? 0, "x"), top: 10 });
    setPointed(next);
  };
  return html`
    <section class="chart" aria-labelledby=${id}>
      <header class="chart-head">
        <h3 class="chart-title" id=${id}>
          ${figure.title}${figure.unit && html` <span class="chart-unit">${figure.unit}</span>`}
        </h3>
        <span class="chart-time">${moment === undefined ? "\u00a0" : clockTime(moment * 1000)}</span>
      </header>
      <div
        class="chart-plot"
        ref=${box}
        role="group"
        tabindex="0"
        aria-label=${`Lines of ${figure.title.toLowerCase()}; arrow keys go through the moments`}
        onKeyDown=${typed}
        onBlur=${() => setPointed(null)}
      ></div>
      ${failure && html`<p class="chart-failure">${failure}</p>`}
      <ul class="chart-legend" role="list">
        ${figure.series.map((series) => html`
          <li key=${series.label}>
            <button
              type="button"
              class="chart-key"
              aria-pressed=${String(!hidden.has(series.label))}
              title=${hidden.has(series.label) ? "Show this line" : "Hide this line"}
              onClick=${() => toggle(series.label)}
            >
              <${Swatch} series=${series} />
              <span class="chart-label">${series.label}</span>
              <span class="chart-value">${withUnit(series.values[place], figure.unit)}</span>
              ${series.detail?.(place) && html`<span class="chart-detail">${series.detail(place)}</span>`}
            </button>
          </li>
        `)}
      </ul>
      <span class="unseen" aria-live="polite">${pointed === null ? "" : spoken(figure, place)}</span>
      <${Summary} figure=${figure} />
    </section>
  `;
}

/** @param {{series: Series}} props */
const Swatch = ({ series }) => html`
  <svg class="chart-swatch" viewBox="0 0 16 8" aria-hidden="true" style=${{ color: `var(--chart-${series.colour})` }}>
    <path d="M0 4h16" stroke="currentColor" stroke-width="2.5" stroke-dasharray=${series.dashed ? "4 3" : undefined} />
  </svg>
`;

/** The same in numbers, for those who cannot or would rather not read lines. @param {{figure: Figure}} props */
function Summary({ figure }) {
  const [open, setOpen] = useState(false);
  const rows = useMemo(
    () => (open ? figure.series.map((series) => ({ series, told: summary(series.values) })) : []),
    [open, figure],
  );
  const toggled = (/** @type {Event} */ event) =>
    setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open);
  const cell = (/** @type {number | null} */ value) => html`<td class="num">${withUnit(value, figure.unit)}</td>`;
  return html`
    <details class="chart-table" onToggle=${toggled}>
      <summary>In numbers</summary>
      <div class="chart-scroll">
        <table>
          <caption class="unseen">${figure.title}</caption>
          <thead>
            <tr>
              <th scope="col">Line</th>
              ${["Now", "Least", "Mean", "Most"].map((word) => html`<th scope="col" class="num">${word}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${rows.map(({ series, told }) => html`
              <tr>
                <th scope="row">${series.label}</th>
                ${[told.now, told.least, told.mean, told.most].map(cell)}
              </tr>
            `)}
          </tbody>
        </table>
      </div>
    </details>
  `;
}

/** @param {Figure} figure @param {number} place */
function spoken(figure, place) {
  const values = figure.series.map((series) => `${series.label} ${withUnit(series.values[place], figure.unit)}`);
  return `${clockTime((figure.times[place] ?? 0) * 1000)}: ${values.join(", ")}`;
}

/** @param {Figure} figure @returns {import("../vendor/uplot.js").default.AlignedData} */
const dataOf = (figure) => [figure.times, ...figure.series.map((series) => series.values)];

/**
 * @param {PlotClass} uPlot @param {HTMLElement} element @param {() => {figure: Figure, from: number, to: number}}
 * current
 * @param {(index: number | null) => void} onPoint @returns {Plot}
 */
function drawn(uPlot, element, current, onPoint) {
  const { figure } = current();
  const ink = () => colourOf(element, "--ink-faint");
  const font = `11px ${getComputedStyle(element).fontFamily}`;
  const grid = { stroke: () => colourOf(element, "--line"), width: 1 };
  const axis = { stroke: ink, font, grid, ticks: { show: false } };
  /** @type {import("../vendor/uplot.js").default.Options} */
  const options = {
    width: element.clientWidth,
    height: HEIGHT_PX,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { size: 7 },
      sync: { key: SYNC, setSeries: false },
    },
    scales: {
      x: { time: true, range: () => [current().from, current().to] },
      y: { range: (_plot, _least, most) => [0, current().figure.most ?? Math.max((most ?? 0) * 1.1, 1)] },
    },
    axes: [
      { ...axis, size: 26, space: 70, values: (_plot, places) => places.map((each) => hour(each)) },
      { ...axis, size: 44, space: 32, values: (_plot, places) => places.map((each) => String(+each.toFixed(3))) },
    ],
    series: [
      {},
      ...figure.series.map((series) => ({
        label: series.label,
        stroke: () => colourOf(element, `--chart-${series.colour}`),
        width: 1.6,
        ...(series.dashed && { dash: DASH }),
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  };
  return new uPlot(options, dataOf(figure), element);
}

/** @param {number} seconds */
const hour = (seconds) => clockTime(seconds * 1000).slice(0, 5);

/**
 * The colour that a custom property means just now: a canvas knows neither properties nor modes.
 * @param {HTMLElement} element
 * @param {string} name
 */
function colourOf(element, name) {
  const before = element.style.color;
  element.style.color = `var(${name})`;
  const found = getComputedStyle(element).color;
  element.style.color = before;
  return found;
}
