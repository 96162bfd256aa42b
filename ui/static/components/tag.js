import { html } from "../html.js";

/** @typedef {import("../html.js").Children} Children */
/** @typedef {"neutral" | "good" | "busy" | "bad" | "info"} Tone */

/** @param {{ tone?: Tone, title?: string, class?: string, children?: Children }} props */
export function Tag({ tone = "neutral", title, class: more, children }) {
  return html`<span class=${`tag ${tone} ${more ?? ""}`} title=${title}>${children}</span>`;
}

/** @type {Record<string, { tone: Tone, words: string }>} */
const STATES = {
  ready: { tone: "good", words: "ready" },
  starting: { tone: "busy", words: "starting" },
  stopping: { tone: "busy", words: "stopping" },
  stopped: { tone: "neutral", words: "stopped" },
  failed: { tone: "bad", words: "failed" },
  shutdown: { tone: "neutral", words: "shut down" },
  "": { tone: "info", words: "peer" },
  unknown: { tone: "neutral", words: "unknown" },
};

/**
 * What the page says of a state, and in which colour; an empty state is a model of a peer.
 *
 * @param {string} state
 */
export const stateLook = (state) => STATES[state] ?? { tone: /** @type {Tone} */ ("neutral"), words: state };

/**
 * A coloured dot. The shape differs by state as well, for who cannot tell the colours apart.
 *
 * @param {{ state: string, title?: string }} props
 */
export function StateDot({ state, title }) {
  const { tone, words } = stateLook(state);
  return html`<span class=${`dot ${tone} ${state}`} role="img" aria-label=${words} title=${title ?? words}></span>`;
}

/** @param {{ state: string }} props */
export function StateText({ state }) {
  const { tone, words } = stateLook(state);
  return html`<span class=${`state-text ${tone}`}>${words}</span>`;
}
