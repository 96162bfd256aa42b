import assert from "node:assert/strict";
import { test } from "node:test";

import { fuzzy, ranked } from "../../../ui/static/lib/search.js";

const TITLES = ["Load Llama 3.1 8B", "Unload Llama 3.1 70B", "Load Qwen coder", "Logs", "Activity", "Unload all models"];

function found(query, titles = TITLES) {
  return ranked(query, titles, (title) => title).map(({ entry }) => entry);
}

test("nothing typed finds everything in its order", () => {
  assert.deepEqual(found(" "), TITLES);
});

test("letters in their order are enough", () => {
  assert.deepEqual(found("ldqw"), ["Load Qwen coder"]);
});

test("letters in another order are not", () => {
  assert.equal(fuzzy("da", "ad"), null);
  assert.deepEqual(found("xyz"), []);
});

test("case does not matter, nor do spaces", () => {
  assert.deepEqual(found("LOAD qwen"), ["Load Qwen coder"]);
});

test("the beginning of a word is better than its middle", () => {
  assert.equal(found("load")[0], "Load Qwen coder");
  assert.deepEqual(found("load").slice(-2).map((title) => title.split(" ")[0]), ["Unload", "Unload"]);
});

test("initials find words", () => {
  assert.equal(found("uam")[0], "Unload all models");
});

test("what is found is marked where it is", () => {
  assert.deepEqual(fuzzy("lo", "Unload").places, [2, 3]);
  assert.deepEqual(fuzzy("lq", "Load Qwen").places, [0, 5]);
});

test("the beginning of a word is taken only if the rest still follows", () => {
  assert.deepEqual(fuzzy("abc", "xab c a").places, [1, 2, 4]);
});

test("a text whose lower case is longer is found, though nothing is marked", () => {
  assert.deepEqual(fuzzy("i", "İx").places, []);
  assert.notEqual(fuzzy("x", "İx"), null);
});

test("letters of any alphabet are letters", () => {
  assert.notEqual(fuzzy("модел", "Модель"), null);
  assert.notEqual(fuzzy("🦙", "a 🦙"), null);
});

test("letters that stand together are better than scattered ones", () => {
  assert.deepEqual(found("lam", ["l-xaxm", "xlamx"]), ["xlamx", "l-xaxm"]);
});
