import assert from "node:assert/strict";
import test from "node:test";

import {
  COLUMN,
  COLUMNS,
  INITIAL_COLUMNS,
  SORTS,
  areColumns,
  outcome,
  statusWords,
} from "../../../ui/static/lib/activity-columns.js";
import { phases } from "../../../ui/static/lib/activity-phases.js";
import { NOTHING, record } from "./activity-record.mjs";

/** @param {string} key @param {Parameters<typeof record>} some */
const text = (key, ...some) =>
  COLUMN.get(key)
    ?.text(record(...some))
    .replace(/[\u00a0\u202f]/g, " ");

test("the columns that are shown at first are those of the specification", () => {
  assert.deepEqual(INITIAL_COLUMNS, [
    "id",
    "time",
    "model",
    "status",
    "cached",
    "prompt",
    "generated",
    "prompt_speed",
    "gen_speed",
    "duration",
    "capture",
  ]);
});

test("every column has a key of its own and a label", () => {
  assert.equal(COLUMN.size, COLUMNS.length);
  for (const column of COLUMNS) assert.ok(column.label);
});

test("the server knows every key that is sorted by", () => {
  const known = [
    "id",
    "time",
    "model",
    "req_path",
    "resp_status_code",
    "resp_content_type",
    "cached",
    "prompt",
    "generated",
    "drafted",
    "prompt_speed",
    "gen_speed",
    "duration",
    "ttft",
    "queued",
    "swap",
  ];

  assert.deepEqual(
    SORTS.filter((key) => !known.includes(key)),
    [],
  );
});

test("what is not known is a dash", () => {
  for (const key of ["cached", "drafted", "prompt_speed", "gen_speed", "ttft", "queued", "swap", "sent", "received"]) {
    assert.equal(text(key), "–", key);
  }
});

test("a request that failed has no tokens rather than none", () => {
  for (const key of ["cached", "prompt", "generated", "prompt_speed", "gen_speed"])
    assert.equal(text(key, {}, NOTHING), "–", key);
});

test("an answer that says how many tokens it had can have said none", () => {
  assert.equal(text("generated", {}, { ...NOTHING, input_tokens: 5 }), "0");
});

test("speeds that were measured here are marked", () => {
  const speeds = { prompt_per_second: 10.5, tokens_per_second: -1 };
  assert.equal(text("prompt_speed", { measured: true }, speeds), "≈ 10.50 t/s");
  assert.equal(text("gen_speed", { measured: true }, speeds), "–");
  assert.equal(text("prompt_speed", {}, speeds), "10.50 t/s");
});

test("drafted tokens are a share and its parts", () => {
  assert.equal(text("drafted", {}, { draft_tokens: 9, draft_acc_tokens: 6 }), "67% (6/9)");
  assert.equal(text("drafted", {}, { draft_tokens: 0, draft_acc_tokens: 0 }), "–");
});

test("figures of all other columns", () => {
  const one = record({
    duration_ms: 2230,
    ttft_ms: 812.4,
    queued_ms: 40,
    req_bytes: 2048,
    metadata: { a: "1", b: "2" },
    has_capture: true,
  });
  const all = Object.fromEntries(COLUMNS.map(({ key, text: its }) => [key, its(one).replace(/[\u00a0\u202f]/g, " ")]));

  assert.equal(all.duration, "2.23 s");
  assert.equal(all.ttft, "0.81 s");
  assert.equal(all.queued, "40 ms");
  assert.equal(all.sent, "2.0 KiB");
  assert.equal(all.meta, "a=1, b=2");
  assert.equal(all.capture, "yes");
  assert.equal(all.method, "POST");
});

test("a choice of columns from storage is checked", () => {
  assert.ok(areColumns(["id", "time"]));
  for (const bad of [null, "id", [], ["id", "id"], ["nothing"], [1]]) assert.ok(!areColumns(bad));
});

test("a stream that broke has status 200 and is no success", () => {
  assert.equal(outcome(record({ error_msg: "cut" })), "busy");
  assert.equal(outcome(record()), "good");
  assert.equal(outcome(record({ resp_status_code: 499 })), "busy");
  assert.equal(outcome(record({ resp_status_code: 502 })), "bad");
  assert.equal(outcome(record({ resp_status_code: 0 })), "bad");
  assert.equal(outcome(record({ resp_status_code: 302 })), "neutral");
});

test("a status is told in words, the server's own first", () => {
  assert.equal(statusWords(record({ resp_status_code: 499 })), "the client left before the answer began");
  assert.equal(statusWords(record({ resp_status_code: 404, error_msg: "gone" })), "gone");
  assert.equal(statusWords(record()), "");
});

test("the time of a stream has four phases", () => {
  const stream = record({ duration_ms: 1000, queued_ms: 100, swap_ms: 300, ttft_ms: 450 });
  assert.deepEqual(
    phases(stream).map(({ key, ms }) => [key, ms]),
    [
      ["queued", 100],
      ["swap", 300],
      ["first", 50],
      ["rest", 550],
    ],
  );
});

test("without a first token there is one phase of answering, and what took no time is left out", () => {
  assert.deepEqual(phases(record({ duration_ms: 500, queued_ms: 0, swap_ms: 0.4 })), [
    { key: "rest", label: "Answering", ms: 499.6 },
  ]);
});

test("phases are never negative, though the figures have several sources", () => {
  const odd = record({ duration_ms: 100, queued_ms: 90, swap_ms: 40, ttft_ms: 20 });
  assert.deepEqual(
    phases(odd).map(({ ms }) => ms),
    [90, 40],
  );
});
