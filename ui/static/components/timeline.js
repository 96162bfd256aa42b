/** @file The residency timeline: a lane for each model that was in memory, with its states and its swaps. */

import { html, useState } from "../html.js";
import { plain } from "../lib/bidi.js";
import { clockTime, duration } from "../lib/format.js";
import { plannersReason, ticks } from "../lib/timeline.js";
import { stylesheet } from "../stylesheet.js";
import { Icon } from "./icon.js";
import { ModelLink } from "./link.js";

void stylesheet("timeline");

/** @typedef {import("../lib/timeline.js").Lane} Lane */
/** @typedef {import("../lib/timeline.js").Segment} Segment */
/** @typedef {import("../lib/timeline.js").Mark} Mark */
/** @typedef {import("../types.js").ResidencyChange} ResidencyChange */

/** @type {Record<string, string>} */
const STATE_WORDS = { starting: "loading", ready: "ready", stopping: "stopping" };

/** Shares of the width below which a segment is drawn wider than it was, so that it can be seen. */
const THINNEST = 0.0022;

/**
 * @param {{
 *   lanes: Lane[], startMs: number, endMs: number, aheadMs?: number,
 *   reasonOf?: (victim: string, change: ResidencyChange) => string, names?: boolean, label: string,
 * }} props  all times by the server's clock, which is ahead of ours by aheadMs; names: whether lanes have them
 */
export function Timeline({ lanes, startMs, endMs, aheadMs = 0, reasonOf = () => "", names = true, label }) {
  const [told, setTold] = useState(/** @type {string | null} */ (null));
  const place = (/** @type {number} */ atMs) => (atMs - startMs) / (endMs - startMs);
  const at = (/** @type {number} */ atMs) => clockTime(atMs - aheadMs);
  const marks = ticks(startMs, endMs, stepFor(endMs - startMs), new Date().getTimezoneOffset());
  /** @param {string} words */
  const tells = (words) => ({
    "aria-label": words,
    title: words,
    onMouseEnter: () => setTold(words),
    onMouseLeave: () => setTold(null),
    onFocus: () => setTold(words),
    onBlur: () => setTold(null),
  });
  return html`
    <div class=${`timeline ${names ? "named" : ""}`} role="group" aria-label=${label}>
      <div class="timeline-lanes">
        ${lanes.map(
          (lane) => html`
            <div class="timeline-lane" key=${lane.model} role="group" aria-label=${plain(lane.model)}>
              ${names && html`<div class="timeline-name clip"><${ModelLink} id=${lane.model} /></div>`}
              <div class="timeline-track">
                ${marks.map((tick) => html`<i class="timeline-grid" key=${tick}
                  style=${{ insetInlineStart: `${place(tick) * 100}%` }}></i>`)}
                ${lane.segments.map((segment) => {
                  const from = place(segment.fromMs);
                  const width = Math.max(place(segment.toMs) - from, THINNEST);
                  return html`
                    <span
                      key=${`${segment.state}${segment.fromMs}`}
                      class=${`timeline-bar ${segment.state} ${segment.isOpen ? "open" : ""}`}
                      style=${{ insetInlineStart: share(Math.min(from, 1 - width)), inlineSize: share(width) }}
                      role="img"
                      ...${tells(segmentWords(lane.model, segment, at))}
                    ></span>
                  `;
                })}
                ${lane.marks.map(
                  (mark) => html`
                    <button
                      type="button"
                      key=${`${mark.kind}${mark.change.id}`}
                      class=${`timeline-mark ${mark.kind}`}
                      style=${{ insetInlineStart: `${place(mark.atMs) * 100}%` }}
                      ...${tells(markWords(lane.model, mark, at, reasonOf))}
                    ><${Icon} name=${mark.kind === "swap" ? "swap" : "warning"} class="small" /></button>
                  `,
                )}
              </div>
            </div>
          `,
        )}
      </div>
      <div class="timeline-axis" aria-hidden="true">
        ${marks.filter((tick) => place(tick) > 0.06 && place(tick) < 0.88).map((tick) => html`<span key=${tick}
          style=${{ insetInlineStart: `${place(tick) * 100}%` }}>${at(tick).slice(0, 5)}</span>`)}
        <span class="timeline-now">now</span>
      </div>
      <p class="timeline-told" aria-hidden="true">
        ${told ?? html`
          <span class="timeline-key"><i class="timeline-bar starting"></i>loading</span>
          <span class="timeline-key"><i class="timeline-bar ready"></i>ready</span>
          <span class="timeline-key"><i class="timeline-bar stopping"></i>stopping</span>
          <span class="timeline-key"><i class="timeline-mark swap"><${Icon} name="swap" class="small" /></i>swap</span>
          <span class="timeline-key"><i class="timeline-mark failed"><${Icon} name="warning"
            class="small" /></i>failure</span>
        `}
      </p>
    </div>
  `;
}

/** @param {number} part of 1 */
function share(part) {
  return `${part * 100}%`;
}

/** @param {number} spanMs */
function stepFor(spanMs) {
  return [60_000, 120_000, 300_000, 600_000].find((step) => spanMs / step <= 8) ?? 900_000;
}

/**
 * @param {string} model
 * @param {Segment} segment
 * @param {(ms: number) => string} at
 */
function segmentWords(model, segment, at) {
  const words = `${plain(model)} ${STATE_WORDS[segment.state] ?? segment.state}`;
  const since = segment.change === null ? "since before" : `from ${at(segment.fromMs)}`;
  const until = segment.isOpen ? "until now" : `to ${at(segment.toMs)}`;
  const took = segment.change === null ? "" : `, ${duration(segment.toMs - segment.fromMs)}`;
  const why = segment.state === "stopping" && segment.change ? `: ${plain(segment.change.why)}` : "";
  return `${words} ${since} ${until}${took}${why}`;
}

/**
 * @param {string} model
 * @param {Mark} mark
 * @param {(ms: number) => string} at
 * @param {(victim: string, change: ResidencyChange) => string} reasonOf
 */
function markWords(model, mark, at, reasonOf) {
  const { change } = mark;
  const more = mark.more > 0 ? `; ${mark.more} more right before` : "";
  const moment = at(Date.parse(change.at));
  if (mark.kind === "failed") return `${moment} ${plain(model)} failed: ${plain(change.why)}${more}`;
  const why = [...new Set(change.victims.map((victim) => reasonOf(victim, change)).filter(Boolean))].join("; ");
  const instead = `${plain(model)} in place of ${change.victims.map(plain).join(", ")}`;
  return `${moment} ${instead}${why ? `: ${plain(why)}` : ""}${more}`;
}

/**
 * Finds the planner's reason for which a victim of a swap had to go.
 * @param {readonly ResidencyChange[]} changes
 * @returns {(victim: string, change: ResidencyChange) => string}
 */
export function reasonsIn(changes) {
  return (victim, change) => {
    const isIt = (/** @type {ResidencyChange} */ each) => each.model === victim && each.room_for === change.model;
    return plannersReason(changes.findLast((each) => each.id < change.id && isIt(each)) ?? null);
  };
}
