/**
 * Documents in the order of their relevance to a question. PURE.
 */

/** @typedef {{ query: string, documents: string[] }} RerankQuestion */
/** @typedef {{ index: number, score: number, share: number }} Ranked - share: of the way from the worst to the best, 0 to 1 */
/** @typedef {{ total: number, prompt: number }} RerankUsage - tokens, -1: not told */

/**
 * @param {string} model
 * @param {RerankQuestion} question documents that are blank are left out
 * @param {number | null} topN null: all
 * @returns {{ body: Record<string, unknown>, places: number[] }} places: of the documents sent, in the question
 */
export function rerankRequest(model, { query, documents }, topN = null) {
  const places = [...documents.keys()].filter((place) => documents[place].trim() !== "");
  const body = { model, query, documents: places.map((place) => documents[place]) };
  return { body: topN === null ? body : { ...body, top_n: topN }, places };
}

/**
 * Returns the scores in an answer, best first.
 *
 * Servers answer `{results: [{index, relevance_score}]}` (llama.cpp, Cohere, Jina), `{data: …}` (vLLM's score), or the list alone
 * with `score` (text-embeddings-inference).
 *
 * @param {unknown} document
 * @param {readonly number[]} places of the documents that were sent
 * @returns {Ranked[]} index: the place in the question
 */
export function rankingIn(document, places) {
  const list = Array.isArray(document) ? document : isObject(document) ? (document.results ?? document.data) : [];
  const scored = (Array.isArray(list) ? list : []).flatMap((each) => {
    if (!isObject(each)) return [];
    const score = each.relevance_score ?? each.score;
    const place = typeof each.index === "number" ? places[each.index] : undefined;
    return typeof score === "number" && Number.isFinite(score) && place !== undefined ? [{ index: place, score }] : [];
  });
  const scores = scored.map(({ score }) => score);
  const areShares = scores.every((score) => score >= 0 && score <= 1);
  const least = areShares ? 0 : Math.min(...scores);
  const most = areShares ? 1 : Math.max(...scores);
  return scored
    .map((each) => ({ ...each, share: most > least ? (each.score - least) / (most - least) : 1 }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
}

/**
 * @param {unknown} document
 * @returns {RerankUsage}
 */
export function rerankUsage(document) {
  const told = isObject(document) ? (isObject(document.usage) ? document.usage : isObject(document.meta) ? document.meta.tokens : null) : null;
  const usage = isObject(told) ? told : {};
  const prompt = number(usage.prompt_tokens ?? usage.input_tokens);
  return { total: number(usage.total_tokens) < 0 ? prompt : number(usage.total_tokens), prompt };
}

/**
 * Returns the question that *text* writes as JSON, or why it is none.
 *
 * @param {string} text
 * @returns {{ question: RerankQuestion | null, error: string }}
 */
export function parseQuestion(text) {
  /** @type {unknown} */
  let document;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return { question: null, error: `This is no JSON: ${/** @type {Error} */ (error).message}` };
  }
  if (!isObject(document)) return { question: null, error: "This must be an object with “query” and “documents”." };
  const { query, documents } = document;
  if (typeof query !== "string") return { question: null, error: "“query” must be a text." };
  if (!Array.isArray(documents)) return { question: null, error: "“documents” must be a list of texts." };
  const texts = documents.map((each) => (isObject(each) ? each.text : each));
  const wrong = texts.findIndex((each) => typeof each !== "string");
  if (wrong >= 0) return { question: null, error: `Document ${wrong + 1} must be a text, or an object with “text”.` };
  return { question: { query, documents: /** @type {string[]} */ (texts) }, error: "" };
}

/** @param {RerankQuestion} question */
export function writeQuestion({ query, documents }) {
  return JSON.stringify({ query, documents: documents.filter((each) => each.trim() !== "") }, null, 2);
}

/**
 * Returns *documents* with *pasted* put in at *place*: each line becomes a document of its own.
 *
 * @param {readonly string[]} documents
 * @param {number} place
 * @param {string} pasted
 */
export function withLines(documents, place, pasted) {
  const lines = pasted.split(/\r?\n/).filter((line) => line.trim() !== "");
  return [...documents.slice(0, place), ...lines, ...documents.slice(place + 1)];
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : -1;
}
