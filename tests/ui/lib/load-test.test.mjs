import assert from "node:assert/strict";
import { test } from "node:test";

import { covered, moved, noted, segments, spent, spread, story, stretches, ticks, totals } from "../../../ui/static/lib/load-test.js";

const lane = (more = {}) => ({
  model: "m", state: "running", sentAt: 1000, arrivedAt: -1, seen: [], queuedMs: -1, swapMs: -1, firstAt: -1, contentAt: -1,
  endedAt: -1, tokens: -1, ...more,
});
const done = (more = {}) =>
  lane({ state: "done", arrivedAt: 1000, queuedMs: 300, swapMs: 500, firstAt: 2000, contentAt: 2000, endedAt: 3000, tokens: 10, ...more });
const phases = (found) => found.map(({ phase, from, to }) => [phase, from, to]);

test("headers tell where the time before the first word has gone", () => {
  assert.deepEqual(phases(segments(done(), 9999)), [
    ["waiting", 1000, 1300],
    ["loading", 1300, 1800],
    ["reading", 1800, 2000],
    ["streaming", 2000, 3000],
  ]);
});

test("thoughts come before the answer", () => {
  assert.deepEqual(phases(segments(done({ contentAt: 2600 }), 0)).slice(-2), [
    ["reasoning", 2000, 2600],
    ["streaming", 2600, 3000],
  ]);
  assert.deepEqual(phases(segments(done({ contentAt: -1 }), 0)).slice(-1), [["reasoning", 2000, 3000]]);
});

test("without headers it is what was seen of the queue", () => {
  const seen = [
    { phase: "waiting", at: 1010 },
    { phase: "loading", at: 1400 },
    { phase: "reading", at: 1900 },
    { phase: "reading", at: 2500 },
  ];

  assert.deepEqual(phases(segments(lane({ seen, firstAt: 2200, contentAt: 2200 }), 2400)), [
    ["waiting", 1000, 1400],
    ["loading", 1400, 1900],
    ["reading", 1900, 2200],
    ["streaming", 2200, 2400],
  ]);
});

test("a lane that has only just been sent waits", () => {
  assert.deepEqual(phases(segments(lane(), 1200)), [["waiting", 1000, 1200]]);
  assert.deepEqual(segments(lane(), 900), []);
});

test("what the browser holds back is not blamed on the queue", () => {
  assert.deepEqual(phases(segments(done({ arrivedAt: 1400, firstAt: 2400, contentAt: 2400 }), 0)).slice(0, 2), [
    ["held", 1000, 1400],
    ["waiting", 1400, 1700],
  ]);
  assert.deepEqual(phases(segments(lane({ seen: [{ phase: "held", at: 1000 }] }), 1500)), [["held", 1000, 1500]]);
  assert.equal(segments(done({ arrivedAt: 1250 }), 0)[0].phase, "waiting");
});

test("headers that claim more than there was are cut at the first word", () => {
  const found = segments(done({ queuedMs: 5000 }), 0);

  assert.deepEqual(phases(found), [
    ["waiting", 1000, 2000],
    ["streaming", 2000, 3000],
  ]);
});

test("a lane that is stopped ends where it was", () => {
  assert.deepEqual(phases(segments(lane({ state: "stopped", endedAt: 1500 }), 9999)), [["waiting", 1000, 1500]]);
});

test("only changes of what is seen are noted", () => {
  const once = noted([], "waiting", 5);

  assert.deepEqual(once, [{ phase: "waiting", at: 5 }]);
  assert.equal(noted(once, "waiting", 6), once);
  assert.equal(noted(once, "loading", 7).length, 2);
});

test("times in the phases add up to the whole", () => {
  const times = spent(done({ contentAt: 2600 }), 0);

  assert.deepEqual(times, { held: 0, waiting: 300, loading: 500, reading: 200, reasoning: 600, streaming: 400 });
});

test("totals count states, and speeds are of the whole time", () => {
  const all = [
    done(),
    done({ sentAt: 1000, endedAt: 5000, tokens: 30, queuedMs: 0, swapMs: 0 }),
    lane({ state: "failed", endedAt: 1100 }),
    lane({ state: "stopped", endedAt: 1200 }),
  ];
  const found = totals(all, 9999);

  assert.deepEqual([found.count, found.running, found.done, found.failed, found.stopped], [4, 0, 2, 1, 1]);
  assert.equal(found.wallMs, 4000);
  assert.equal(found.requestsPerSecond, 0.5);
  assert.equal(found.tokens, 40);
  assert.equal(found.tokensPerSecond, 10);
  assert.deepEqual(found.first, { p50: 1000, p95: 1000, max: 1000 });
  assert.deepEqual(found.waited, { p50: 400, p95: 760, max: 800 });
  assert.equal(found.loadingMs, 500);
  assert.equal(found.swapped, 1);
});

test("while it runs, the time goes on", () => {
  const found = totals([lane()], 3000);

  assert.equal(found.running, 1);
  assert.equal(found.wallMs, 2000);
  assert.equal(found.tokens, -1);
  assert.equal(found.tokensPerSecond, -1);
  assert.equal(found.first.p50, -1);
});

test("nothing comes to nothing", () => {
  const found = totals([], 5);

  assert.deepEqual([found.count, found.wallMs, found.requestsPerSecond, found.waited.max], [0, 0, -1, -1]);
});

test("the time to the first word counts from the arrival at Hostler", () => {
  assert.equal(totals([done({ arrivedAt: 1500 })], 0).first.p50, 500);
  assert.equal(totals([done({ arrivedAt: -1 })], 0).first.p50, 1000);
});

test("percentiles are interpolated", () => {
  assert.deepEqual(spread([40, 10, 20, 30]), { p50: 25, p95: 38.5, max: 40 });
  assert.deepEqual(spread([7]), { p50: 7, p95: 7, max: 7 });
});

test("time that several cover counts once", () => {
  assert.equal(covered([{ from: 0, to: 10 }, { from: 5, to: 8 }, { from: 9, to: 12 }, { from: 20, to: 21 }]), 13);
  assert.equal(covered([]), 0);
});

test("an axis is marked at round moments", () => {
  assert.deepEqual(ticks(10_000, 5), [0, 2000, 4000, 6000, 8000, 10_000]);
  assert.deepEqual(ticks(830, 4), [0, 500]);
  assert.deepEqual(ticks(0, 5), [0]);
});

test("a lane can be told in words", () => {
  assert.equal(story(done(), 0).replace(/\u00a0/g, " "), "300 ms in the queue, 500 ms while models were swapped, 200 ms reading the prompt, 1.0 s answering");
  assert.equal(story(lane(), 1000), "nothing yet");
  assert.match(story(done({ arrivedAt: 1400, firstAt: 2400, contentAt: 2600, endedAt: 3000 }), 0), /in the browser.*reasoning/);
});

test("places in the list are changed, and impossible moves are none", () => {
  assert.deepEqual(moved(["a", "b", "c"], 0, 2), ["b", "c", "a"]);
  assert.deepEqual(moved(["a", "b", "c"], 2, 0), ["c", "a", "b"]);
  assert.deepEqual(moved(["a"], 0, 1), ["a"]);
  assert.deepEqual(moved(["a"], -1, 0), ["a"]);
});

test("a model is in memory from one change of its state to the next", () => {
  const changes = [
    { state: "stopped", at: 0 },
    { state: "starting", at: 100 },
    { state: "ready", at: 300 },
    { state: "stopping", at: 500 },
    { state: "stopped", at: 600 },
    { state: "starting", at: 900 },
  ];

  assert.deepEqual(stretches(changes, 200, 1000), [
    { state: "starting", from: 200, to: 300 },
    { state: "ready", from: 300, to: 500 },
    { state: "stopping", from: 500, to: 600 },
    { state: "starting", from: 900, to: 1000 },
  ]);
  assert.deepEqual(stretches([{ state: "ready", at: -50 }], 0, 10), [{ state: "ready", from: 0, to: 10 }]);
});
