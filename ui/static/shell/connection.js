import { computed, html } from "../html.js";
import { connection, problem } from "../state/store.js";

const LOOKS = /** @type {const} */ ({
  open: { tone: "good", words: "connected" },
  connecting: { tone: "busy", words: "connecting" },
  lost: { tone: "bad", words: "lost" },
});

/** What the event stream does, in words. */
export const connectionWords = computed(() => {
  const why = connection.value === "open" ? "" : problem.value?.message;
  return `Event stream: ${LOOKS[connection.value].words}${why ? ` (${why})` : ""}`;
});

/** The dot that says whether the page still hears of the server. */
export function ConnectionDot() {
  const words = connectionWords.value;
  const { tone } = LOOKS[connection.value];
  return html`<span class=${`dot ${tone}`} role="img" aria-label=${words} title=${words}></span>`;
}
