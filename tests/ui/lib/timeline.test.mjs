import assert from "node:assert/strict";
import test from "node:test";
import { lanes, lastLoadMs, story, ticks } from "../../../ui/static/lib/timeline.js";

const T0 = Date.parse("2026-01-02T03:00:00Z");
let id = 0;

/** A change *second* seconds after T0. */
const change = (second, model, state, was, more = {}) => ({
  id: ++id, at: new Date(T0 + second * 1000).toISOString(), model, state, was, why: "why", cause: null, room_for: null,
  victims: [], lasted_ms: null, ...more,
});

/** llama is swapped for qwen. */
const swap = () => [
  change(0, "llama", "starting", "stopped", { why: "nothing else runs" }),
  change(1, "llama", "ready", "starting", { lasted_ms: 1000 }),
  change(10, "llama", "stopping", "ready", { cause: "evicted", room_for: "qwen", why: "makes room for qwen: one at a time" }),
  change(11, "llama", "stopped", "stopping", { lasted_ms: 1000 }),
  change(11, "qwen", "starting", "stopped", { victims: ["llama"], why: "llama made room" }),
  change(13, "qwen", "ready", "starting", { lasted_ms: 2000 }),
];

const window = { startMs: T0 - 10_000, endMs: T0 + 20_000 };

/** Segments as "state from-to", in seconds after T0. */
const drawn = (lane) => lane.segments.map((each) => `${each.state} ${(each.fromMs - T0) / 1000}-${(each.toMs - T0) / 1000}`);

test("a swap is two lanes, and a mark where the one came for the other", () => {
  const [llama, qwen] = lanes(swap(), window, new Map([["llama", "stopped"], ["qwen", "ready"]]));

  assert.deepEqual(drawn(llama), ["starting 0-1", "ready 1-10", "stopping 10-11"]);
  assert.deepEqual(drawn(qwen), ["starting 11-13", "ready 13-20"]);
  assert.deepEqual(qwen.segments.map((each) => each.isOpen), [false, true]);
  assert.deepEqual(qwen.marks.map((mark) => [mark.kind, (mark.atMs - T0) / 1000]), [["swap", 11]]);
});

test("a model without changes that is in memory was there all the time", () => {
  const [lane] = lanes([], window, new Map([["a", "ready"], ["b", "stopped"]]));

  assert.equal(lane.model, "a");
  assert.deepEqual(drawn(lane), ["ready -10-20"]);
  assert.equal(lane.segments[0].change, null);
});

test("what a model was before its first change is drawn from the window's start", () => {
  const [lane] = lanes([change(5, "a", "stopping", "ready")], window, new Map());

  assert.deepEqual(drawn(lane), ["ready -10-5", "stopping 5-20"]);
});

test("changes before the window only say what was", () => {
  const [lane] = lanes([change(-30, "a", "starting", "stopped", { victims: ["b"] }), change(-20, "a", "ready", "starting")], window, new Map());

  assert.deepEqual(drawn(lane), ["ready -10-20"]);
  assert.deepEqual(lane.marks, []);
});

test("a clock that is ahead does not draw beyond the window", () => {
  const [lane] = lanes([change(1, "a", "ready", "starting"), change(25, "a", "stopping", "ready")], window, new Map());

  assert.deepEqual(drawn(lane), ["starting -10-1", "ready 1-20"]);
});

test("a failure is a mark", () => {
  const changes = [change(0, "a", "starting", "stopped"), change(2, "a", "failed", "starting", { cause: "failed" })];
  const [lane] = lanes(changes, window, new Map());

  assert.deepEqual(drawn(lane), ["starting 0-2"]);
  assert.deepEqual(lane.marks.map((mark) => mark.kind), ["failed"]);
});

test("of changes that nobody could tell apart a few bars are drawn, which cover the same time", () => {
  const changes = [];
  for (let second = 0; second < 300; second += 1) {
    changes.push(change(second, "a", "starting", "stopped", { victims: ["b"] }));
    changes.push(change(second + 0.2, "a", "ready", "starting"));
    changes.push(change(second + 0.9, "a", "stopping", "ready"));
    changes.push(change(second + 0.95, "a", "stopped", "stopping"));
  }
  const [lane] = lanes(changes, { startMs: T0 - 3_000_000, endMs: T0 + 600_000 }, new Map());

  assert.equal(lane.segments.length, 1);
  assert.equal(lane.segments[0].state, "ready");
  assert.equal(lane.segments[0].fromMs, T0);
  assert.equal(lane.segments[0].toMs, T0 + 299_950);
  assert.equal(lane.marks.length, 10);
  assert.equal(lane.marks.reduce((sum, mark) => sum + mark.more, 0), 290);
});

test("long ones beside many short ones stay what they are", () => {
  const changes = [];
  for (let second = 0; second < 300; second += 1) {
    changes.push(change(second, "a", "starting", "stopped"), change(second + 0.5, "a", "stopped", "starting"));
  }
  changes.push(change(300, "a", "starting", "stopped"), change(360, "a", "ready", "starting"));
  const [lane] = lanes(changes, { startMs: T0 - 3_000_000, endMs: T0 + 600_000 }, new Map());

  assert.deepEqual(drawn(lane), ["starting 0-299.5", "starting 300-360", "ready 360-600"]);
});

test("lanes are by name, numbers as numbers", () => {
  const found = lanes([], window, new Map([["m10", "ready"], ["m2", "ready"]]));

  assert.deepEqual(found.map((lane) => lane.model), ["m2", "m10"]);
});

test("ticks are at round times of the reader's day", () => {
  assert.deepEqual(ticks(T0 + 1, T0 + 1_200_000), [T0 + 600_000, T0 + 1_200_000]);
  assert.deepEqual(ticks(T0, T0 + 600_000, 600_000, -5), [T0 + 300_000]);
});

const words = (changes) => story(changes).map((each) => `${each.model} ${each.text}: ${each.why}`);

test("a swap is one story, with the planner's reason", () => {
  assert.deepEqual(words(swap()), [
    "qwen loaded in 2.0\u00a0s, in place of llama: one at a time",
    "llama loaded in 1.0\u00a0s: nothing else runs",
  ]);
});

test("a swap that was given up is told with who went for nothing", () => {
  assert.deepEqual(words(swap().slice(0, 4)), [
    "llama made room for qwen: one at a time",
    "llama loaded in 1.0\u00a0s: nothing else runs",
  ]);
});

test("a load under way is told", () => {
  assert.deepEqual(words(swap().slice(0, 5))[0], "qwen is loading, in place of llama: one at a time");
});

test("a failed start, a crash, a model that was idle and one unloaded by hand", () => {
  const failed = [
    change(0, "a", "starting", "stopped"),
    change(1, "a", "stopping", "starting", { cause: "failed", why: "exited with code 3", lasted_ms: 1000 }),
    change(1, "a", "failed", "stopping", { cause: "failed", why: "exited with code 3" }),
  ];
  const crashed = [
    change(2, "b", "ready", "starting", { lasted_ms: 500, why: "ready" }),
    change(3, "b", "stopping", "ready", { cause: "failed", why: "ended by SIGKILL" }),
    change(3, "b", "failed", "stopping", { cause: "failed", why: "ended by SIGKILL" }),
  ];
  const idle = [change(4, "c", "stopping", "ready", { cause: "idle", why: "idle for its ttl of 5 s" }), change(5, "c", "stopped", "stopping")];
  const byHand = [change(6, "d", "stopping", "ready", { cause: "unloaded", why: "unloaded on request" })];

  assert.deepEqual(words(failed), ["a failed to start after 1.0\u00a0s: exited with code 3"]);
  assert.deepEqual(words(crashed), ["b ended by itself: ended by SIGKILL", "b loaded in 500\u00a0ms: ready"]);
  assert.deepEqual(words(idle), ["c was unloaded: idle for its ttl of 5 s"]);
  assert.deepEqual(words(byHand), ["d was unloaded: on request"]);
});

test("a command that cannot be run, and a load that was stopped", () => {
  const start = change(0, "a", "starting", "stopped");

  assert.deepEqual(words([start, change(0, "a", "failed", "starting", { cause: "failed", why: "no such command", lasted_ms: 3 })]), [
    "a failed to start after 3\u00a0ms: no such command",
  ]);
  assert.deepEqual(words([start, change(1, "a", "stopping", "starting", { cause: "unloaded", why: "unloaded on request" })]), [
    "a was stopped while it loaded: unloaded on request",
  ]);
});

test("a model is loaded again after it has failed", () => {
  const changes = [
    change(0, "a", "starting", "stopped"),
    change(1, "a", "failed", "starting", { cause: "failed", lasted_ms: 10 }),
    change(2, "a", "starting", "stopped"),
    change(3, "a", "ready", "starting", { lasted_ms: 1000 }),
  ];

  assert.deepEqual(story(changes).map((each) => each.kind), ["load", "failure"]);
});

test("names with something hidden in them are shown as they are", () => {
  const changes = [change(0, "a", "starting", "stopped", { victims: ["x\u202ey"] })];

  assert.equal(story(changes)[0].text, "is loading, in place of x‹U+202E›y");
});

test("how long the newest load took", () => {
  assert.equal(lastLoadMs(swap(), "qwen"), 2000);
  assert.equal(lastLoadMs(swap(), "other"), null);
});
