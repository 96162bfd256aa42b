// The other half of tests/endpoints/event_fixtures.py: what the server sends, folded, must be what the server knows.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { elapsedMs, initial, isComplete, parse, reduce, reduceAll } from "../../../ui/static/lib/events.js";

const FOLDER = new URL("../../fixtures/events/", import.meta.url);
const AT = { monotonicMs: 5000, wallMs: 1_700_000_000_000 };

const recordings = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".json"))
  .map((name) => ({ name, ...JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) }));

/** What an EventSource makes of the bytes: the data of each message. */
function messages(stream) {
  return stream.map((frame) => frame.match(/^data:(.*)$/m)[1]);
}

function folded(recording) {
  return messages(recording.stream).map(parse).reduce((state, event) => reduce(state, event, AT), initial());
}

function without(object, name) {
  const { [name]: _, ...rest } = object;
  return rest;
}

test("there are recordings", () => {
  assert.ok(recordings.length >= 8);
});

for (const recording of recordings) {
  test(`${recording.name}: messages are understood as Python understands them`, () => {
    assert.deepEqual(messages(recording.stream).map(parse), recording.events);
  });

  test(`${recording.name}: folded, it is what the server knows`, () => {
    const state = folded(recording);
    const { logs: _, ...expected } = recording.state;

    assert.deepEqual(
      {
        models: state.models,
        uiConfig: state.uiConfig,
        profile: state.profile,
        inflight: [...state.inflight.values()].map((request) => without(request, "receivedAtMs")),
        queue: without(state.queue, "receivedAtMs"),
        lastActivity: state.lastActivity,
        lastReload: state.lastReload && without(state.lastReload, "at"),
      },
      expected,
    );
  });

  test(`${recording.name}: the texts of the logs are whole`, () => {
    const logs = { proxy: "", upstream: "" };
    for (const { type, data } of messages(recording.stream).map(parse)) {
      if (type === "logData") logs[data.source] += data.data;
    }

    assert.deepEqual(logs, recording.state.logs);
  });

  test(`${recording.name}: folded at once, it is the same as one by one`, () => {
    assert.deepEqual(reduceAll(initial(), messages(recording.stream).map(parse), AT), folded(recording));
  });
}

const snapshot = [
  { type: "modelStatus", data: [{ id: "a", state: "ready" }] },
  { type: "uiConfig", data: { activity: { session_id: [] } } },
  { type: "profileChanged", data: { active: null } },
  { type: "inflight", data: { operation: "snapshot" } },
  { type: "queue", data: { queue: [], length: 0, limit: 9, models: {} } },
];

function request(id, more = {}) {
  return { id, elapsed_ms: 100, resp_bytes: 0, ...more };
}

test("nothing is complete before all of the snapshot has come", () => {
  for (const missing of snapshot) {
    assert.equal(isComplete(reduceAll(initial(), snapshot.filter((event) => event !== missing))), false, missing.type);
  }
  assert.equal(isComplete(reduceAll(initial(), snapshot)), true);
});

test("news of other kinds do not make it complete", () => {
  const state = reduceAll(initial(), [
    ...snapshot.slice(0, 4),
    { type: "activity", data: { id: 1 } },
    { type: "reload", data: { ok: true, message: "" } },
  ]);

  assert.equal(isComplete(state), false);
});

test("a state is never changed in place", () => {
  const before = reduceAll(initial(), [...snapshot, { type: "inflight", data: { operation: "upsert", request: request("1") } }]);
  const kept = structuredClone(before);

  reduceAll(before, [
    { type: "inflight", data: { operation: "upsert", request: request("2") } },
    { type: "inflight", data: { operation: "remove", id: "1" } },
    { type: "modelStatus", data: [] },
    { type: "activity", data: { id: 4 } },
  ]);

  assert.deepEqual(before, kept);
});

test("parts that did not change are the same objects", () => {
  const before = reduceAll(initial(), snapshot);

  const after = reduce(before, { type: "activity", data: { id: 1 } });

  for (const part of ["models", "queue", "inflight", "uiConfig", "told"]) assert.equal(after[part], before[part], part);
});

test("nothing is nothing", () => {
  const before = reduceAll(initial(), snapshot);

  assert.equal(reduceAll(before, []), before);
});

test("types of a later server are passed over", () => {
  const before = reduceAll(initial(), snapshot);

  assert.deepEqual(reduce(before, { type: "weather", data: { rain: true } }), before);
});

test("a request that changes keeps its place", () => {
  const state = reduceAll(initial(), [
    { type: "inflight", data: { operation: "snapshot", requests: [request("1"), request("2")] } },
    { type: "inflight", data: { operation: "upsert", request: request("1", { resp_bytes: 5 }) } },
  ]);

  assert.deepEqual([...state.inflight.keys()], ["1", "2"]);
  assert.equal(state.inflight.get("1").resp_bytes, 5);
});

test("a snapshot replaces what was there", () => {
  const state = reduceAll(initial(), [
    { type: "inflight", data: { operation: "upsert", request: request("1") } },
    { type: "inflight", data: { operation: "snapshot", requests: [request("2")] } },
  ]);

  assert.deepEqual([...state.inflight.keys()], ["2"]);
});

test("an older number of the activity does not go back", () => {
  const state = reduceAll(initial(), [
    { type: "activity", data: { id: 9 } },
    { type: "activity", data: { id: 7 } },
  ]);

  assert.equal(state.lastActivity, 9);
});

test("the latest sample of the machine is kept", () => {
  const sample = { enabled: true, gpu_stats: [], sys_stats: [], every_s: 5 };

  assert.equal(reduce(initial(), { type: "performance", data: sample }).performance, sample);
});

test("a reload is known with its time", () => {
  const state = reduce(initial(), { type: "reload", data: { ok: false, message: "line 3" } }, AT);

  assert.deepEqual(state.lastReload, { ok: false, message: "line 3", at: AT.wallMs });
});

test("what takes long is counted from the server's figure on by our own clock", () => {
  const state = reduce(initial(), { type: "inflight", data: { operation: "upsert", request: request("1") } }, AT);

  assert.equal(elapsedMs(state.inflight.get("1"), AT.monotonicMs), 100);
  assert.equal(elapsedMs(state.inflight.get("1"), AT.monotonicMs + 250), 350);
});

test("a clock that was read a moment before does not make it shorter", () => {
  assert.equal(elapsedMs({ elapsed_ms: 100, receivedAtMs: 5000 }, 4990), 100);
});

for (const text of [
  "", "null", "1", "[]", "{", '{"type":"queue"}', '{"type":1,"data":"{}"}', '{"type":"queue","data":{}}',
  '{"type":"queue","data":"{"}', '{"type":"queue","data":"null"}', '{"type":"queue","data":"1"}',
]) {
  test(`${JSON.stringify(text)} is no event`, () => {
    assert.equal(parse(text), null);
  });
}
