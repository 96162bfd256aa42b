import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { pass } from "./browser.mjs";
import { dismiss, stay, toast, toasts } from "../../../ui/static/state/toasts.js";

function shown() {
  return toasts.value.map(({ text }) => text);
}

beforeEach(() => {
  for (const { id } of toasts.value) dismiss(id);
});

test("news go by themselves, failures later", () => {
  toast("done", { tone: "good" });
  toast("failed", { tone: "bad" });

  pass(6_000);
  assert.deepEqual(shown(), ["failed"]);
  pass(20_000);

  assert.deepEqual(shown(), []);
});

test("the same said again is counted, and stays from then on", () => {
  toast("failed");
  pass(4_000);

  toast("failed");
  pass(4_000);

  assert.deepEqual(toasts.value.map(({ text, times }) => [text, times]), [["failed", 2]]);
});

test("no more than four are shown, the newest", () => {
  for (const text of ["a", "b", "c", "d", "e"]) toast(text);

  assert.deepEqual(shown(), ["b", "c", "d", "e"]);
});

test("one that is read stays", () => {
  const id = toast("read me");
  stay(id, Infinity);

  pass(600_000);
  assert.deepEqual(shown(), ["read me"]);
  stay(id);
  pass(5_000);

  assert.deepEqual(shown(), []);
});

test("one that is dismissed is gone", () => {
  dismiss(toast("a"));

  assert.deepEqual(shown(), []);
});
