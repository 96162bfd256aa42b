/** A load test as a picture: a lane for each request, and below which models were in memory meanwhile. */

import { html } from "../../html.js";
import { plain } from "../../lib/bidi.js";
import { duration } from "../../lib/format.js";
import { PHASES, segments, stretches, story, ticks } from "../../lib/load-test.js";
import { modelNamed } from "../../lib/names.js";
import { monotonic } from "../../state/clock.js";
import { models } from "../../state/store.js";
import { hueOf } from "./load-hue.js";
import { isRunning, memory, requests } from "./load-run.js";

/** @typedef {import("../../lib/load-test.js").Lane} Lane */
/** @typedef {{ from: number, spanMs: number }} Scale */

/** Room to the right of what is under way, so that the scale does not change with every look. */
const HEADROOM = 1.15;
const LEAST_SPAN_MS = 1000;

export function LoadLanes() {
  const nowMs = isRunning.value ? monotonic(100).value : performance.now();
  const lanes = requests.value.map((request) => request.lane());
  const names = lanes.map((lane) => lane.model);
  const from = Math.min(...lanes.map((lane) => lane.sentAt));
  const to = Math.max(...lanes.map((lane) => (lane.endedAt < 0 ? nowMs : lane.endedAt)));
  const scale = { from, spanMs: spanOf(to - from, isRunning.value) };
  const marks = ticks(scale.spanMs, 6);
  const inUse = new Set(lanes.flatMap((lane) => segments(lane, nowMs).map((segment) => segment.phase)));
  const legend = PHASES.filter((phase) => inUse.has(phase.id));
  return html`
    <div class="lanes" style=${{ "--lanes": lanes.length }}>
      <ul class="lanes-legend">
        ${legend.map(
          ({ id, label, title }) => html`
            <li key=${id} title=${title}><span class=${`lane-part ${id}`} aria-hidden="true"></span>${label}</li>
          `,
        )}
      </ul>
      <div class="lanes-plot">
        <div class="lanes-axis" aria-hidden="true">
          ${marks.map(
            (at) => html`<span key=${at} style=${{ left: share(at, scale.spanMs) }}>${at === 0 ? "0" : duration(at)}</span>`,
          )}
        </div>
        <ol class="lanes-list" aria-label="Requests">
          ${lanes.map((lane, index) => {
            const hue = hueOf(names, lane.model);
            return html`<${LaneRow} key=${index} ...${{ lane, index, scale, marks, nowMs, hue }} />`;
          })}
        </ol>
        <${Memory} ...${{ scale, marks, names, until: to }} />
      </div>
    </div>
  `;
}

/**
 * The axis grows by steps while it runs: a picture that shrinks all the time cannot be read.
 *
 * @param {number} lengthMs
 * @param {boolean} isGrowing
 */
function spanOf(lengthMs, isGrowing) {
  if (!isGrowing) return Math.max(lengthMs, 1);
  const least = Math.max(lengthMs * HEADROOM, LEAST_SPAN_MS);
  const step = 10 ** Math.floor(Math.log10(least)) / 2;
  return Math.ceil(least / step) * step;
}

/**
 * @param {number} ms
 * @param {number} spanMs
 */
const share = (ms, spanMs) => `${Math.min(100, (ms / spanMs) * 100).toFixed(3)}%`;

/** @param {{ marks: readonly number[], scale: Scale }} props */
const Grid = ({ marks, scale }) =>
  html`${marks.map((at) => html`<i class="lane-mark" key=${at} style=${{ left: share(at, scale.spanMs) }}></i>`)}`;

/** @param {{ lane: Lane, index: number, scale: Scale, marks: readonly number[], nowMs: number, hue: number }} props */
function LaneRow({ lane, index, scale, marks, nowMs, hue }) {
  const parts = segments(lane, nowMs);
  const end = parts.at(-1)?.to ?? lane.sentAt;
  const name = plain(lane.model);
  const words = { running: "is under way", done: "done", failed: "failed", stopped: "stopped" }[lane.state];
  return html`
    <li
      class=${`lane load-hue-${hue} ${lane.state}`}
      aria-label=${`${index + 1}, ${name}, ${words}: ${story(lane, nowMs)}`}
    >
      <span
        class="lane-name"
        title=${name}
        aria-hidden="true"
      >
        <span class="load-chip"></span><span class="clip">${name}</span>
      </span>
      <span class="lane-track" aria-hidden="true">
        <${Grid} marks=${marks} scale=${scale} />
        ${parts.map(({ phase, from, to }) => {
          const label = PHASES.find((each) => each.id === phase)?.label;
          const style = { left: share(from - scale.from, scale.spanMs), width: share(to - from, scale.spanMs) };
          const title = `${label}: ${duration(to - from)}`;
          return html`<span key=${phase} class=${`lane-part ${phase}`} title=${title} style=${style}></span>`;
        })}
        ${lane.state === "failed" &&
        html`
          <span class="lane-end" style=${{ left: share(end - scale.from, scale.spanMs) }}>✕</span>
        `}
      </span>
      <span class="lane-time" aria-hidden="true">${lane.state === "running" ? "" : duration(end - lane.sentAt)}</span>
    </li>
  `;
}

/** @param {{ scale: Scale, marks: readonly number[], names: string[], until: number }} props */
function Memory({ scale, marks, names, until }) {
  const ids = names.map((name) => modelNamed(models.value, name)?.id ?? name);
  const rows = [...memory.value]
    .map(([id, changes]) => ({ id, parts: stretches(changes, scale.from, until) }))
    .filter((row) => row.parts.length > 0);
  if (!rows.length) return null;
  return html`
    <p class="lanes-title">In memory</p>
    <ol class="lanes-list" aria-label="Models in memory">
      ${rows.map(
        ({ id, parts }) => html`
          <li key=${id} class=${`lane load-hue-${hueOf(ids, id)}`} aria-label=${`${plain(id)}: ${told(parts)}`}>
            <span
              class="lane-name"
              title=${plain(id)}
              aria-hidden="true"
            >
              <span class="load-chip"></span><span class="clip">${plain(id)}</span>
            </span>
            <span class="lane-track" aria-hidden="true">
              <${Grid} marks=${marks} scale=${scale} />
              ${parts.map(({ state, from, to }) => {
                const style = { left: share(from - scale.from, scale.spanMs), width: share(to - from, scale.spanMs) };
                const title = `${state}: ${duration(to - from)}`;
                return html`<span key=${from} class=${`lane-stay ${state}`} title=${title} style=${style}></span>`;
              })}
            </span>
            <span class="lane-time"></span>
          </li>
        `,
      )}
    </ol>
  `;
}

/** @param {{ state: string, from: number, to: number }[]} parts */
function told(parts) {
  return parts.map(({ state, from, to }) => `${state} for ${duration(to - from)}`).join(", ");
}
