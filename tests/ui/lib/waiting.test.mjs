import assert from "node:assert/strict";
import test from "node:test";
import { estimateWords, listed, loadProgress, turns, waitingWords } from "../../../ui/static/lib/waiting.js";

const entry = (more = {}) => ({
  position: 1, model: "qwen", ticket: 1, request_id: "1", waited_ms: 5, estimated_ms: null, overdue: false, held_by: [], ...more,
});
const held = (model, state, in_flight = 0) => ({ model, state, in_flight });
const plain = (text) => text.replaceAll("\u00a0", " ");
const words = (more, models = {}) => plain(waitingWords(entry(more), models));

test("a busy model has to finish first", () => {
  assert.equal(words({ held_by: [held("llama", "ready", 2)] }), "waits for llama to finish 2 requests, then qwen loads");
  assert.equal(words({ held_by: [held("llama", "ready", 1)] }), "waits for llama to finish 1 request, then qwen loads");
});

test("each of those that have to go is named with what it does", () => {
  const by = [held("a", "ready"), held("b", "stopping"), held("c", "starting")];

  assert.equal(words({ held_by: by }), "waits for a to make room, b to stop and c to finish loading, then qwen loads");
});

test("who is overdue is told that newcomers wait behind it", () => {
  assert.equal(
    words({ held_by: [held("llama", "ready", 1)], overdue: true }),
    "waits for llama to finish 1 request, then qwen loads; newcomers to llama wait behind it",
  );
});

test("without anybody in the way it is the model itself that is waited for", () => {
  const state = (its) => ({ qwen: { state: its, in_flight: 0, waiting: 1, estimated_ms: null } });

  assert.equal(words({}, state("starting")), "waits while qwen loads");
  assert.equal(words({}, state("stopping")), "waits for qwen to stop, then it loads again");
  assert.equal(words({}, state("ready")), "is about to be served");
  assert.equal(words({}, state("stopped")), "waits for its turn, then qwen loads");
  assert.equal(words({}), "waits for its turn, then qwen loads");
});

test("models are called as the page calls them", () => {
  assert.equal(waitingWords(entry({ held_by: [held("llama", "stopping")] }), {}, (id) => id.toUpperCase()), "waits for LLAMA to stop, then QWEN loads");
  assert.equal(waitingWords(entry({ model: "a\u202eb" }), {}), "waits for its turn, then a‹U+202E›b loads");
});

test("an estimate that there is not is said so", () => {
  assert.equal(estimateWords(null), "how long is not known yet");
  assert.equal(plain(estimateWords(12_000)), "about 12 s more");
});

test("a load is told with how long it usually takes, and never as over", () => {
  assert.deepEqual(loadProgress(3140, null), { text: "loading for 3.1\u00a0s", share: null });
  assert.equal(loadProgress(3140, 0).share, null);
  assert.deepEqual(loadProgress(500, 2000), { text: "loading for 500\u00a0ms, usually 2.0\u00a0s", share: 0.25 });
  assert.equal(loadProgress(9000, 2000).share, 0.97);
  assert.equal(loadProgress(-5, 2000).text, "loading for 0\u00a0ms, usually 2.0\u00a0s");
});

test("who comes after another model waits for its turn, too", () => {
  assert.equal(
    waitingWords(entry({ model: "c", held_by: [held("a", "stopping")] }), {}, undefined, ["b"]),
    "waits for b to have its turn and a to stop, then c loads",
  );
});

test("the queue is told by models, each with those before it", () => {
  const queue = ["b", "b", "c", "a"].map((model, index) => entry({ model, position: index + 1 }));

  assert.deepEqual(
    turns(queue).map(({ model, entries, ahead }) => [model, entries.map((each) => each.position), ahead]),
    [["b", [1, 2], []], ["c", [3], ["b"]], ["a", [4], ["b", "c"]]],
  );
});

test("lists in words", () => {
  assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(listed), ["", "a", "a and b", "a, b and c"]);
});
