import assert from "node:assert/strict";
import { test } from "node:test";

import { parseQuestion, rankingIn, rerankRequest, rerankUsage, withLines, writeQuestion } from "../../../ui/static/lib/rerank.js";

const question = { query: "cats", documents: ["Dogs bark.", " ", "Cats sleep."] };

test("blank documents are not sent, and the others keep their places", () => {
  assert.deepEqual(rerankRequest("m", question), {
    body: { model: "m", query: "cats", documents: ["Dogs bark.", "Cats sleep."] },
    places: [0, 2],
  });
  assert.equal(rerankRequest("m", question, 1).body.top_n, 1);
});

test("the best comes first, under its place in the question", () => {
  const answer = { results: [{ index: 0, relevance_score: 0.25 }, { index: 1, relevance_score: 0.75 }] };

  assert.deepEqual(rankingIn(answer, [0, 2]), [
    { index: 2, score: 0.75, share: 0.75 },
    { index: 0, score: 0.25, share: 0.25 },
  ]);
});

test("scores that are no shares of one are put between the worst and the best", () => {
  const answer = [{ index: 0, score: -8 }, { index: 1, score: 4 }, { index: 2, score: -2 }];

  assert.deepEqual(rankingIn(answer, [0, 1, 2]).map((each) => each.share), [1, 0.5, 0]);
  assert.deepEqual(rankingIn([{ index: 0, score: 7 }], [0]), [{ index: 0, score: 7, share: 1 }]);
});

test("equal scores keep the order of the question", () => {
  const answer = { data: [{ index: 1, score: 0.5 }, { index: 0, score: 0.5 }] };

  assert.deepEqual(rankingIn(answer, [0, 1]).map((each) => each.index), [0, 1]);
});

test("what is no score of a document that was sent is left out", () => {
  const odd = [{ index: 7, score: 1 }, { index: 0 }, { score: 1 }, null, { index: 0, score: "1" }, { index: 0, score: NaN }];

  assert.deepEqual(rankingIn({ results: odd }, [0]), []);
  assert.deepEqual(rankingIn(null, [0]), []);
  assert.deepEqual(rankingIn({ results: "none" }, [0]), []);
});

test("tokens are told in the words of several servers, or not at all", () => {
  assert.deepEqual(rerankUsage({ usage: { prompt_tokens: 3, total_tokens: 5 } }), { total: 5, prompt: 3 });
  assert.deepEqual(rerankUsage({ meta: { tokens: { input_tokens: 4 } } }), { total: 4, prompt: 4 });
  assert.deepEqual(rerankUsage({}), { total: -1, prompt: -1 });
  assert.deepEqual(rerankUsage([]), { total: -1, prompt: -1 });
});

test("a question is written as JSON and read again", () => {
  assert.deepEqual(parseQuestion(writeQuestion(question)).question, { query: "cats", documents: ["Dogs bark.", "Cats sleep."] });
  assert.deepEqual(parseQuestion('{"query": "q", "documents": [{"text": "a"}, "b"]}').question?.documents, ["a", "b"]);
});

test("what is wrong with a question in JSON is said", () => {
  assert.match(parseQuestion("{").error, /no JSON/);
  assert.match(parseQuestion("[]").error, /object/);
  assert.match(parseQuestion('{"documents": []}').error, /“query”/);
  assert.match(parseQuestion('{"query": "q"}').error, /“documents”/);
  assert.match(parseQuestion('{"query": "q", "documents": ["a", 1]}').error, /Document 2/);
});

test("lines pasted at once become documents", () => {
  assert.deepEqual(withLines(["a", "", "b"], 1, "x\r\ny\n\n"), ["a", "x", "y", "b"]);
});
