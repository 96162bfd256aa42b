import assert from "node:assert/strict";
import test from "node:test";

import {
  areInflightColumns,
  sessionOf,
  stageOf,
  waitWords,
  waitingBy,
} from "../../../ui/static/lib/activity-inflight.js";

/** @typedef {import("../../../ui/static/types.js").InflightRequest} InflightRequest */
/** @typedef {import("../../../ui/static/types.js").QueueEntry} QueueEntry */

/** @param {Partial<InflightRequest>} [some] @returns {InflightRequest} */
const request = (some) => ({
  id: "7",
  timestamp: "2026-01-02T03:04:05Z",
  model: "b",
  req_path: "/v1/messages",
  method: "POST",
  req_headers: {},
  remote_ip: "::1",
  resp_headers: {},
  resp_bytes: 0,
  elapsed_ms: 5,
  ...some,
});

/** @param {Partial<QueueEntry>} [some] @returns {QueueEntry} */
const entry = (some) => ({
  position: 2,
  model: "b",
  ticket: 9,
  request_id: "7",
  waited_ms: 100,
  estimated_ms: null,
  overdue: false,
  held_by: [],
  ...some,
});

/** @param {string} words */
const spaced = (words) => words.replace(/[\u00a0\u202f]/g, " ");

test("a session is the first of the configured headers, in any case", () => {
  const headers = { "X-Litellm-Session-Id": "second", "X-Session-Id": "first" };

  assert.equal(sessionOf(request({ req_headers: headers }), ["X-Session-ID", "X-Litellm-Session-Id"]), "first");
  assert.equal(
    sessionOf(request({ req_headers: { "X-Litellm-Session-Id": "second" } }), ["X-Session-ID", "X-Litellm-Session-Id"]),
    "second",
  );
  assert.equal(sessionOf(request(), ["X-Session-ID"]), "");
});

test("who waits is found by the id of the request; a load by hand is no request", () => {
  const queue = { queue: [entry(), entry({ request_id: null })], length: 2, limit: 10, models: {}, receivedAtMs: 0 };

  assert.deepEqual([...waitingBy(queue).keys()], ["7"]);
});

test("a wait says for whom and how long, and the estimate runs down with the time since it was told", () => {
  const held = [{ model: "a", state: /** @type {const} */ ("ready"), in_flight: 2 }];

  assert.equal(
    spaced(waitWords(entry({ held_by: held, estimated_ms: 15_000 }), 3000)),
    "for a, which serves 2 requests · about 12 s",
  );
});

test("an estimate that nobody knows is none", () => {
  assert.equal(spaced(waitWords(entry(), 0)), "for its model to load · not known yet how long");
});

test("an estimate that has passed is no promise while somebody is still served", () => {
  const held = [{ model: "a", state: /** @type {const} */ ("ready"), in_flight: 1 }];

  assert.match(waitWords(entry({ held_by: held, estimated_ms: 0 }), 0), /longer than usual$/);
  assert.match(waitWords(entry({ estimated_ms: 400 }), 0), /any moment now$/);
});

test("models that stop, and several of them", () => {
  const held = [
    { model: "a", state: /** @type {const} */ ("stopping"), in_flight: 0 },
    { model: "c\u202e", state: /** @type {const} */ ("ready"), in_flight: 0 },
  ];

  assert.match(spaced(waitWords(entry({ held_by: held }), 0)), /^for a to stop; for c‹U\+202E› · /);
});

test("stages of a request", () => {
  assert.deepEqual(stageOf(request({ model: "" }), undefined, 0), { tone: "neutral", words: "Arriving", detail: "" });
  assert.equal(stageOf(request(), undefined, 0).words, "With the model");
  assert.equal(stageOf(request({ resp_headers: { a: "b" } }), undefined, 0).words, "Answer begun");
  assert.equal(stageOf(request({ resp_headers: { a: "b" }, resp_bytes: 1 }), undefined, 0).words, "Answering");
  assert.equal(stageOf(request({ resp_headers: { a: "b" }, resp_bytes: 1 }), entry(), 0).words, "Waiting, #2");
});

test("a choice of columns from storage is checked", () => {
  assert.ok(areInflightColumns(["model", "cancel"]));
  for (const bad of [null, [], ["x"], ["model", "model"]]) assert.ok(!areInflightColumns(bad));
});
