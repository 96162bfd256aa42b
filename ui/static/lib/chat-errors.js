/**
 * Why there is no answer, in words, and what can be done. PURE.
 */

/** @typedef {{ title: string, advice: string, hasLog?: boolean }} Words - hasLog: the model's log says more */

/** @type {Record<number, Words>} */
const BY_STATUS = {
  400: {
    title: "The request was not understood",
    advice: "The parameters in the settings may not suit this model's server.",
  },
  401: { title: "A key is needed", advice: "" },
  403: { title: "This is not allowed", advice: "" },
  404: {
    title: "There is no such model",
    advice: "Choose another model, or see whether the active profile has disabled it.",
  },
  413: { title: "This is too much", advice: "Leave out pictures, or begin a new chat." },
  429: { title: "Too many at once", advice: "Wait until one of the others is done." },
  500: { title: "The model could not be started", advice: "", hasLog: true },
  502: { title: "The model's server failed", advice: "", hasLog: true },
  503: { title: "This cannot be served now", advice: "" },
  504: { title: "The model's server was too slow", advice: "", hasLog: true },
};

/**
 * @param {number} status 0: there was no answer at all
 * @returns {Words}
 */
export function wordsOf(status) {
  if (status === 0)
    return { title: "Hostler could not be reached", advice: "It may have been stopped, or the network is gone." };
  return BY_STATUS[status] ?? { title: `The answer was an error (${status})`, advice: "" };
}
