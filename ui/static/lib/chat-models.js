/** Whom to talk to where nobody has chosen. PURE. */

/** @typedef {import("../types.js").Model} Model */
/** @typedef {import("../types.js").Ability} Ability */

/** Who says one of these of itself most likely does nothing else. */
const OTHER_TRADES = /** @type {Ability[]} */ (["audio_speech", "audio_transcriptions", "image_generation", "image_to_image", "reranker"]);

/**
 * Returns the ids of the models that are likely to chat: those of this machine first, and among them those that are ready.
 *
 * @param {readonly Model[]} models
 * @returns {string[]}
 */
export function talkers(models) {
  const rank = (/** @type {Model} */ { peerID, state }) => (peerID ? 2 : state === "ready" ? 0 : 1);
  return models
    .filter(({ unlisted, capabilities }) => !unlisted && !OTHER_TRADES.some((ability) => capabilities?.[ability]))
    .toSorted((a, b) => rank(a) - rank(b))
    .map(({ id }) => id);
}
