/** What the requests of a load test come to together. */

import { html } from "../../html.js";
import { Icon } from "../../components/icon.js";
import { count, duration, isKnown, percent, speed, UNKNOWN } from "../../lib/format.js";
import { segments, totals } from "../../lib/load-test.js";
import { monotonic } from "../../state/clock.js";
import { isRunning, requests } from "./load-run.js";

/** That browsers keep to one server over HTTP/1.1. */
const CONNECTIONS = 6;

export function LoadTotals() {
  const nowMs = isRunning.value ? monotonic(500).value : performance.now();
  const lanes = requests.value.map((request) => request.lane());
  const found = totals(lanes, nowMs);
  // Fewer than the browser's connections, less the one that brings the page its news, it cannot have held back.
  const held = lanes.length < CONNECTIONS ? 0 : lanes.filter((lane) => segments(lane, nowMs)[0]?.phase === "held").length;
  const ended = [
    found.done ? `${found.done} done` : "",
    found.running ? `${found.running} under way` : "",
    found.failed ? `${found.failed} failed` : "",
    found.stopped ? `${found.stopped} stopped` : "",
  ].filter(Boolean);
  return html`
    <dl class="load-totals">
      <${Figure} name="Requests" value=${count(found.count)} more=${ended.join(", ")} />
      <${Figure} name="Whole time" value=${duration(found.wallMs)} more=${isRunning.value ? "so far" : ""} />
      <${Figure} name="Requests a second" value=${found.done ? found.requestsPerSecond.toFixed(2) : UNKNOWN} />
      <${Figure}
        name="Generated"
        value=${isKnown(found.tokensPerSecond) ? speed(found.tokensPerSecond) : UNKNOWN}
        more=${isKnown(found.tokens) ? `${count(found.tokens)} tokens, all together` : found.done ? "the servers do not tell" : ""}
      />
      <${Figure}
        name="First word after"
        value=${duration(found.first.p50)}
        more=${isKnown(found.first.p95) && `median; 95 of 100 within ${duration(found.first.p95)}`}
      />
      <${Figure}
        name="Waited"
        value=${duration(found.waited.p50)}
        more=${isKnown(found.waited.p95) && `median; 95 of 100 at most ${duration(found.waited.p95)}`}
      />
      <${Figure}
        name="Swapping"
        value=${found.wallMs > 0 ? percent(found.loadingMs / found.wallMs) : UNKNOWN}
        more=${`of the time; ${found.swapped} of ${found.count} waited for it`}
      />
    </dl>
    ${held > 0 &&
    html`
      <p class="notice info">
        <${Icon} name="info" />
        <span class="notice-words">
          ${held === 1 ? "A request" : `${held} requests`} waited in this browser, which keeps at most six connections to one server, the page's
          own among them. What Hostler does with more at once, only another program can show.
        </span>
      </p>
    `}
  `;
}

/** @param {{ name: string, value: string, more?: string | false }} props */
function Figure({ name, value, more }) {
  return html`<div><dt>${name}</dt><dd>${value}</dd>${more && html`<dd class="load-more">${more}</dd>`}</div>`;
}
