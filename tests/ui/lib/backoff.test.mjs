import assert from "node:assert/strict";
import { test } from "node:test";

import { isTooSilent, retryAfterMs } from "../../../ui/static/lib/backoff.js";

test("the line is tried again after 1, 2, 4, then 5 seconds each time", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 100].map(retryAfterMs), [1000, 2000, 4000, 5000, 5000, 5000]);
});

test("no count is nonsense", () => {
  assert.deepEqual([0, -3, 1.7].map(retryAfterMs), [1000, 1000, 1000]);
});

test("where samples come, silence is death", () => {
  assert.equal(isTooSilent(29_000, 5_000), false);
  assert.equal(isTooSilent(31_000, 5_000), true);
});

test("where samples come seldom, silence may be longer", () => {
  assert.equal(isTooSilent(200_000, 60_000), false);
  assert.equal(isTooSilent(241_000, 60_000), true);
});

test("where none come, silence says nothing", () => {
  assert.equal(isTooSilent(1e9, null), false);
});
