import assert from "node:assert/strict";
import { test } from "node:test";

import {
  absoluteTime, bytes, clockTime, count, duration, isKnown, percent, plural, relativeTime, seconds, speed, sumKnown,
} from "../../../ui/static/lib/format.js";

/** The spaces between figures and units, which do not break lines, as ordinary ones. */
function spaced(text) {
  return text.replace(/[\u00a0\u202f]/g, " ");
}

function table(name, show, rows) {
  for (const [value, expected] of rows) {
    test(`${name}(${typeof value === "string" ? JSON.stringify(value) : value}) is ${expected}`, () => {
      assert.equal(spaced(show(value)), expected);
    });
  }
}

for (const [name, show] of Object.entries({ count, duration, seconds, speed, bytes, percent })) {
  table(name, show, [[-1, "–"], [NaN, "–"], [null, "–"], [undefined, "–"], [Infinity, "–"], ["12", "–"]]);
}

table("count", count, [[0, "0"], [999, "999"], [1000, "1 000"], [12345.6, "12 346"], [1234567, "1 234 567"]]);

table("duration", duration, [
  [0, "0 ms"], [0.4, "0 ms"], [8.4, "8 ms"], [999, "999 ms"], [999.6, "1.0 s"], [1000, "1.0 s"], [3140, "3.1 s"],
  [9949, "9.9 s"], [9950, "10 s"], [59_499, "59 s"], [59_500, "1 min 00 s"], [125_000, "2 min 05 s"],
  [3_599_499, "59 min 59 s"], [3_600_000, "1 h 00 min"], [11_220_000, "3 h 07 min"],
  [86_399_000, "1 d 0 h"], [353_000_000, "4 d 2 h"],
]);

table("seconds", seconds, [[0, "0.00 s"], [5, "0.01 s"], [3141.5, "3.14 s"], [1_234_567, "1 234.57 s"]]);

table("speed", speed, [[41.7, "41.70 t/s"], [0, "–"], [12345.678, "12 345.68 t/s"]]);

table("bytes", bytes, [
  [0, "0 B"], [512, "512 B"], [1023, "1023 B"], [1024, "1.0 KiB"], [4711, "4.6 KiB"], [102_400, "100 KiB"],
  [1_048_064, "1.0 MiB"], [1_048_575, "1.0 MiB"], [85_520_809_984, "79.6 GiB"], [2 ** 60, "1024 PiB"],
]);

table("percent", percent, [[0, "0%"], [0.004, "0.4%"], [0.042, "4.2%"], [0.0996, "10%"], [0.42, "42%"], [1, "100%"]]);

test("a figure is known unless it says that it is not", () => {
  assert.deepEqual([0, 1, -1, NaN, null, undefined].map(isKnown), [true, true, false, false, false, false]);
});

test("figures that are not known are never summed", () => {
  assert.equal(sumKnown([3, -1, null, 4, NaN]), 7);
});

test("a sum of nothing known is not known", () => {
  assert.equal(sumKnown([-1, null]), -1);
  assert.equal(sumKnown([]), -1);
});

test("zero is known", () => {
  assert.equal(sumKnown([-1, 0]), 0);
});

const NOW = Date.parse("2026-11-22T12:00:00Z");

for (const [ago, expected] of [
  [0, "just now"], [4_999, "just now"], [-4_000, "just now"], [12_000, "12 s ago"], [60_000, "1 min ago"],
  [3_599_000, "59 min ago"], [7_300_000, "2 h ago"], [86_399_999, "23 h ago"], [-120_000, "in 2 min"],
]) {
  test(`${ago} ms ago is "${expected}"`, () => {
    assert.equal(spaced(relativeTime(new Date(NOW - ago).toISOString(), NOW)), expected);
  });
}

test("from a day on it is said when", () => {
  assert.equal(relativeTime(NOW - 86_400_000, NOW), absoluteTime(NOW - 86_400_000));
});

test("a time is shown in the reader's zone", () => {
  const local = new Date(2026, 0, 2, 3, 4, 5);

  assert.equal(absoluteTime(local.toISOString()), "2026-01-02 03:04:05");
  assert.equal(clockTime(local.getTime()), "03:04:05");
});

test("nanoseconds are understood", () => {
  assert.equal(absoluteTime("2026-01-02T03:04:05.678901234Z"), absoluteTime("2026-01-02T03:04:05Z"));
});

test("what is no time is a dash", () => {
  for (const time of [null, undefined, "", "yesterday"]) {
    assert.deepEqual([relativeTime(time, NOW), absoluteTime(time), clockTime(time)], ["–", "–", "–"]);
  }
});

test("one is one, and others are many", () => {
  assert.deepEqual([0, 1, 2, 1200].map((n) => spaced(plural(n, "model"))), ["0 models", "1 model", "2 models", "1 200 models"]);
  assert.equal(spaced(plural(2, "query", "queries")), "2 queries");
});
