/** What is to be ranked, and the last ranking: it outlives the tab, the question the page. */

import { computed, signal } from "../../html.js";
import { parseQuestion, rankingIn, rerankRequest, rerankUsage, writeQuestion } from "../../lib/rerank.js";
import { ApiError, post } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { Task } from "./task.js";

/** @typedef {import("../../lib/rerank.js").Ranked} Ranked */
/** @typedef {import("../../lib/rerank.js").RerankQuestion} RerankQuestion */
/** @typedef {{ model: string, question: RerankQuestion, ranking: Ranked[], usage: import("../../lib/rerank.js").RerankUsage }} Ranking */

const EXAMPLE = {
  query: "What do cats eat?",
  documents: [
    "Cats are obligate carnivores: they live on meat.",
    "Dogs were tamed some fifteen thousand years ago.",
    "A cat sleeps for twelve to sixteen hours a day.",
    "Kittens are weaned from milk to solid food at eight weeks.",
  ],
};

export const model = stored("playground.rerank-model", "");
export const question = stored("playground.rerank", EXAMPLE, isQuestion);
/** null: the table is shown. What is typed stays as it is, right or wrong. */
export const json = signal(/** @type {string | null} */ (null));
export const task = signal(/** @type {Task<Ranking> | null} */ (null));
/** The last one that came, whatever has been asked since. */
export const ranking = signal(/** @type {Ranking | null} */ (null));

export const jsonError = computed(() => (json.value === null ? "" : parseQuestion(json.value).error));

/** Whether the question has been changed since it was ranked: then scores no longer stand beside it. */
export const isCurrent = computed(
  () => ranking.value !== null && writeQuestion(ranking.value.question) === writeQuestion(question.value),
);

export const refusal = computed(() => {
  if (!model.value) return "Choose a model first.";
  if (jsonError.value) return "The JSON has a mistake in it.";
  if (!question.value.query.trim()) return "Write a query.";
  return question.value.documents.some((each) => each.trim()) ? "" : "Add documents.";
});

/** @param {Partial<RerankQuestion>} changes */
export function change(changes) {
  question.value = { ...question.value, ...changes };
}

/** @param {string} text */
export function changeJson(text) {
  json.value = text;
  const read = parseQuestion(text).question;
  if (read) question.value = read;
}

export function rank() {
  if (refusal.value || task.value?.isRunning) return;
  const asked = { model: model.value, question: question.value };
  const { body, places } = rerankRequest(asked.model, asked.question);
  const running = new Task(asked.model, async ({ signal: stop, headers }) => {
    const document = await post("/v1/rerank", body, { signal: stop, headers });
    const found = rankingIn(document, places);
    if (!found.length) throw new ApiError(0, "The answer has no scores in it.");
    return { ...asked, ranking: found, usage: rerankUsage(document) };
  });
  task.value = running;
  void running.finished.then(() => {
    if (running.result.value) ranking.value = running.result.value;
  });
}

/** @param {any} value */
function isQuestion(value) {
  const { query, documents } = value ?? {};
  return typeof query === "string" && Array.isArray(documents) && documents.every((each) => typeof each === "string");
}
