/** @file The last hour: the timeline, and the same as a list to be read. */

import { html, useEffect, useMemo } from "../../html.js";
import { Button } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { Icon } from "../../components/icon.js";
import { ModelLink } from "../../components/link.js";
import { Timeline, reasonsIn } from "../../components/timeline.js";
import { clockTime, plural } from "../../lib/format.js";
import { lanes, story } from "../../lib/timeline.js";
import { now } from "../../state/clock.js";
import { stored } from "../../state/settings.js";
import { connection, models } from "../../state/store.js";
import { HOUR_MS, followResidency, refresh, residency, residencyTrouble } from "./residency.js";

/** @typedef {import("../../lib/timeline.js").Episode} Episode */

/** The shortest span that is drawn: right after a start the first seconds should not be a speck at the edge. */
const SHORTEST_MS = 300_000;

const isTold = stored("models-story", false);

/** @param {{model?: string}} props  only this one */
export function History({ model }) {
  useEffect(followResidency, []);
  const known = residency.value;
  if (known === null) {
    return residencyTrouble.value === null
      ? html`<p class="faint models-none">Asking for the last hour…</p>`
      : html`<p class="models-none">The last hour is not known: ${residencyTrouble.value} <${Button} kind="quiet"
        onClick=${refresh}>Try again<//></p>`;
  }
  return html`<${Drawn} known=${known} model=${model} />`;
}

/** @param {{known: import("./residency.js").Known, model?: string}} props */
function Drawn({ known, model }) {
  // Without a connection time stands still: what is drawn is how it was.
  const period = Date.now() + known.aheadMs - known.sinceMs > HOUR_MS / 4 ? 5_000 : 1_000;
  const clock = connection.value === "open" ? now(period).value : now(period).peek();
  const newest = known.changes.at(-1);
  // What has just happened is drawn at once, though the slow clock has not got there yet.
  const endMs = Math.max(clock + known.aheadMs, newest ? Date.parse(newest.at) : 0);
  const isMeant = (/** @type {string} */ id) => model === undefined || id === model;
  const changes = useMemo(() => known.changes.filter((each) => isMeant(each.model)), [known, model]);
  const firstMs = Math.max(known.sinceMs, endMs - HOUR_MS);
  const startMs = Math.min(firstMs, endMs - SHORTEST_MS);
  const mine = models.value.filter((each) => each.peerID === "" && isMeant(each.id));
  const states = new Map(mine.map((each) => [each.id, each.state]));
  const drawn = lanes(changes, { startMs: firstMs, endMs }, states);
  const episodes = useMemo(
    () => story(known.changes).filter((each) => isMeant(each.model) || each.victims.some(isMeant)),
    [known, model],
  );
  if (drawn.length === 0) {
    const isYoung = endMs - known.sinceMs < HOUR_MS - 1000;
    const span = isYoung ? `since ${clockTime(known.sinceMs - known.aheadMs)}` : "in the last hour";
    const who = model === undefined ? "No model was" : "It was not";
    return html`<p class="faint models-none">${who} loaded ${span}.</p>`;
  }
  return html`
    <${Timeline}
      lanes=${drawn} startMs=${startMs} endMs=${endMs} aheadMs=${known.aheadMs}
      reasonOf=${reasonsIn(known.changes)} names=${model === undefined}
      label=${`${model === undefined ? "Which models were" : "When it was"} in memory in the last hour`}
    />
    <${Story} episodes=${episodes} aheadMs=${known.aheadMs} />
  `;
}

/** @param {{episodes: Episode[], aheadMs: number}} props */
function Story({ episodes, aheadMs }) {
  if (episodes.length === 0) return null;
  /** @param {Event} event */
  const toggled = (event) => {
    isTold.value = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
  };
  return html`
    <details class="models-story" open=${isTold.value}
      onToggle=${toggled}>
      <summary>${plural(episodes.length, "change")}, in words</summary>
      ${isTold.value && html`
        <ol tabindex="0" aria-label="Changes, newest first">
          ${episodes.slice(0, 300).map(
            (each) => html`
              <li key=${each.id} class=${each.kind}>
                <time datetime=${each.at}>${clockTime(Date.parse(each.at) - aheadMs)}</time>
                <${Icon} name=${iconOf(each)} class="small" />
                <span><${ModelLink} id=${each.model} /> ${each.text}${each.why && html`<span
                  class="faint">: ${each.why}</span>`}</span>
              </li>
            `,
          )}
        </ol>
      `}
    </details>
  `;
}

/** @param {Episode} episode */
function iconOf({ kind, victims }) {
  if (kind === "load") return victims.length > 0 ? "swap" : "play";
  return kind === "failure" ? "warning" : "stop";
}

export function HistoryCard() {
  return html`<${Card} title="In memory, last hour" collapsible storageKey="models-history"><${History} /><//>`;
}
