import { html } from "../html.js";
import { absoluteTime, relativeTime, seconds } from "../lib/format.js";
import { now } from "../state/clock.js";

const TENTHS_UNTIL_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * How long ago *sinceMs* (epoch) was, running: tenths of a second in the first minute, whole seconds after.
 *
 * @param {{ sinceMs: number }} props
 */
export function Elapsed({ sinceMs }) {
  const slow = now(1000).value;
  const young = slow - sinceMs < TENTHS_UNTIL_MS;
  const elapsed = Math.max(0, (young ? now(100).value : slow) - sinceMs);
  return html`<span class="elapsed">${seconds(elapsed)}</span>`;
}

/**
 * A moment: "3 min ago" for a day, then the date; the tooltip has it in full.
 *
 * @param {{ iso: string }} props
 */
export function Time({ iso }) {
  const full = absoluteTime(iso);
  const current = now(10_000).value;
  const age = current - Date.parse(iso);
  return html`<time datetime=${iso} title=${full}>${age < DAY_MS ? relativeTime(iso, current) : full}</time>`;
}
