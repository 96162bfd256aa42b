import assert from "node:assert/strict";
import test from "node:test";

import { bars, percentiles, place, ticks } from "../../../ui/static/lib/histogram.js";

const spread = { bins: [1, 0, 3], min: 10, max: 40, binSize: 10, p50: 30, p95: 39, p99: 40 };
const same = { bins: [7], min: 5, max: 5, binSize: 0, p50: 5, p95: 5, p99: 5 };

test("bars join each other and end at the greatest value", () => {
  assert.deepEqual(bars(spread), [
    { from: 10, to: 20, count: 1, share: 0.25 },
    { from: 20, to: 30, count: 0, share: 0 },
    { from: 30, to: 40, count: 3, share: 0.75 },
  ]);
});

test("values that are all the same are one bar", () => {
  assert.deepEqual(bars(same), [{ from: 5, to: 5, count: 7, share: 1 }]);
});

test("an empty histogram has shares of nothing", () => {
  assert.equal(bars({ ...same, bins: [0] })[0]?.share, 0);
});

test("ticks are three round numbers from 0 to a top that is not below the highest bar", () => {
  assert.deepEqual(ticks(17), [0, 10, 20]);
  assert.deepEqual(ticks(100), [0, 50, 100]);
  assert.deepEqual(ticks(101), [0, 100, 200]);
  assert.deepEqual(ticks(950), [0, 500, 1000]);
  assert.deepEqual(ticks(2), [0, 1, 2]);
  assert.deepEqual(ticks(5), [0, 3, 6]);
});

test("there is no tick at half a request", () => {
  assert.deepEqual(ticks(1), [0, 1]);
  assert.deepEqual(ticks(0), [0, 1]);
});

test("a place is a share of the width and stays within it", () => {
  assert.equal(place(spread, 25), 0.5);
  assert.equal(place(spread, 50), 1);
  assert.equal(place(spread, 0), 0);
  assert.equal(place(same, 5), 0.5);
});

test("percentiles that fall together have one line", () => {
  assert.deepEqual(percentiles(same), [{ name: "p50, p95, p99", value: 5, place: 0.5 }]);
  assert.deepEqual(
    percentiles(spread).map(({ name }) => name),
    ["p50", "p95", "p99"],
  );
});
