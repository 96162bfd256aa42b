import assert from "node:assert/strict";
import { test } from "node:test";

import { document, pass } from "./browser.mjs";
import { effect } from "../../../ui/static/html.js";
import { monotonic, now } from "../../../ui/static/state/clock.js";

function watched(clock) {
  const seen = [];
  const stop = effect(() => {
    seen.push(clock.value);
  });
  return { seen, stop };
}

test("a clock goes while it is read", () => {
  const { seen, stop } = watched(now(1000));

  for (let second = 0; second < 3; second += 1) pass(1000);
  stop();
  pass(1000);

  assert.deepEqual(seen.map((time) => time - seen[0]), [0, 1000, 2000, 3000]);
});

test("who begins to read a clock that stood sees the right time at once", () => {
  const clock = now(700);
  pass(10_000);

  const { seen, stop } = watched(clock);
  stop();

  assert.deepEqual(seen, [Date.now()]);
});

test("it stands while nobody can see it, and is right when somebody looks", () => {
  const { seen, stop } = watched(monotonic(100));
  const began = seen[0];

  document.show(false);
  pass(5000);
  assert.equal(seen.length, 1);
  document.show(true);
  stop();

  assert.deepEqual(seen.map((time) => time - began), [0, 5000]);
});

test("all who read a period share its clock", () => {
  assert.equal(now(250), now(250));
  assert.notEqual(now(250), now(500));
  assert.notEqual(now(250), monotonic(250));
});
