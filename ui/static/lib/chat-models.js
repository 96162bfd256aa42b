/** Whom to talk to where nobody has chosen. PURE. */

/** @typedef {import("../types.js").Model} Model */
/** @typedef {import("../types.js").Ability} Ability */

/** Who says one of these of itself most likely does nothing else. */
const OTHER_TRADES = /** @type {Ability[]} */ ([
  "audio_speech",
  "audio_transcriptions",
  "image_generation",
  "image_to_image",
  "reranker",
]);

/** Only who talks has these. */
const TALK = /** @type {Ability[]} */ (["function_calling", "vision"]);

/**
 * Returns the ids of the models that are likely to chat: those of this machine first, and among them those that are
 * ready, then those that say so.
 *
 * @param {readonly Model[]} models
 * @returns {string[]}
 */
export function talkers(models) {
  const rank = (/** @type {Model} */ { peerID, state, capabilities }) => {
    if (peerID) return 3;
    if (state === "ready") return 0;
    return TALK.some((ability) => capabilities?.[ability]) ? 1 : 2;
  };
  return models
    .filter(({ unlisted, capabilities }) => !unlisted && !OTHER_TRADES.some((ability) => capabilities?.[ability]))
    .toSorted((a, b) => rank(a) - rank(b))
    .map(({ id }) => id);
}
