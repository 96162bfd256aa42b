/** What each request of a load test has said, or why it says nothing. */

import { html, useEffect, useRef } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Tag } from "../../components/tag.js";
import { plain } from "../../lib/bidi.js";
import { count, duration, isKnown } from "../../lib/format.js";
import { story } from "../../lib/load-test.js";
import { monotonic } from "../../state/clock.js";
import { hueOf } from "./load-hue.js";
import { again, requests } from "./load-run.js";
import { explanation } from "./waiting.js";

/** @typedef {import("./load-run.js").LoadRequest} LoadRequest */
/** @typedef {import("../../components/tag.js").Tone} Tone */

export function LoadCards() {
  const names = requests.value.map((each) => each.model);
  return html`
    <ol class="load-cards">
      ${requests.value.map(
        (request, index) => html`
          <li key=${request.asking.requestId}>
            <${LoadCard} ...${{ request, index, hue: hueOf(names, request.model) }} />
          </li>
        `,
      )}
    </ol>
  `;
}

/** @param {{ request: LoadRequest, index: number, hue: number }} props */
function LoadCard({ request, index, hue }) {
  const { asking } = request;
  const state = asking.state.value;
  const { tone, words } = look(request);
  return html`
    <article class=${`load-card load-hue-${hue}`} aria-label=${`Request ${index + 1} to ${plain(request.model)}`}>
      <header>
        <span class="faint num">${index + 1}</span>
        <span class="load-chip" aria-hidden="true"></span>
        <bdi class="clip load-card-name" title=${plain(request.model)}>${plain(request.model)}</bdi>
        <${Tag} tone=${tone}>${words}<//>
        <${Timer} request=${request} />
        ${asking.isRunning
          ? html`<${IconButton} icon="stop" label=${`Stop request ${index + 1}`} onClick=${() => asking.stop()} />`
          : html`<${IconButton} icon="refresh" label=${`Send request ${index + 1} again`} onClick=${() => again(request)} />`}
      </header>
      ${state === "waiting" && html`<${Reasons} request=${request} />`}
      ${state === "failed" &&
      html`
        <div class="load-card-failure" role="alert">
          <p>${asking.failure.value?.message}</p>
          <${Button} kind="quiet" icon="refresh" onClick=${() => again(request)}>Try again<//>
        </div>
      `}
      <${Words} request=${request} />
      ${!asking.isRunning && html`<${Summary} request=${request} />`}
    </article>
  `;
}

/**
 * @param {LoadRequest} request
 * @returns {{ tone: Tone, words: string }}
 */
function look({ asking }) {
  switch (asking.state.value) {
    case "done":
      return { tone: "good", words: "done" };
    case "failed":
      return { tone: "bad", words: "failed" };
    case "stopped":
      return { tone: "neutral", words: "stopped" };
    case "answering":
      return { tone: "info", words: asking.content.value ? "answering" : "reasoning" };
    case "waiting": {
      const { stage } = explanation(asking);
      if (stage === "loading") return { tone: "busy", words: "loading" };
      if (stage === "reading") return { tone: "info", words: "prompt" };
      return { tone: "neutral", words: stage === "sent" ? "sent" : "waiting" };
    }
  }
}

/** @param {{ request: LoadRequest }} props */
function Timer({ request: { asking } }) {
  const nowMs = asking.isRunning ? monotonic(100).value : 0;
  const tookMs = asking.isRunning ? Math.max(nowMs - asking.sentAt, 0) : asking.measured().totalMs;
  return html`<span class="load-card-time num">${duration(tookMs)}</span>`;
}

/** @param {{ request: LoadRequest }} props */
function Reasons({ request: { asking } }) {
  const { title, details, stage } = explanation(asking);
  const loading = asking.loading.value;
  // Hostler does not know of it after this long: then it has not left the browser.
  const isHeld = stage === "sent" && monotonic(500).value - asking.sentAt > 500;
  return html`
    <div class="load-card-reasons">
      <p>${isHeld ? "Held back by the browser: it keeps at most six connections to one server." : title}</p>
      ${details.map((detail) => html`<p class="soft" key=${detail}>${detail}</p>`)}
      ${loading && html`<p class="soft">${loading}</p>`}
    </div>
  `;
}

/** @param {{ request: LoadRequest }} props */
function Words({ request: { asking } }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const content = asking.content.value;
  const reasoning = asking.reasoning.value;
  useEffect(() => {
    // The newest words stay in sight while they come.
    if (asking.isRunning && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [content, reasoning]);
  if (!content && !reasoning) return null;
  return html`
    <div class="load-card-words" ref=${box} tabindex="0" role="group" aria-label="Answer">
      ${reasoning && html`<p class="load-card-thoughts"><span class="unseen">Reasoning: </span>${reasoning}</p>`}
      ${content && html`<p>${content}</p>`}
    </div>
  `;
}

/** @param {{ request: LoadRequest }} props */
function Summary({ request }) {
  const lane = request.lane();
  return html`
    <footer class="faint small-text">
      ${story(lane, lane.endedAt)}${isKnown(lane.tokens) && html` · ${count(lane.tokens)} tokens`}
    </footer>
  `;
}
