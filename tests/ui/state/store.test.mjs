// The page's whole knowledge, from the stream that the server has sent (tests/fixtures/events) to the signals.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { answered, answers, frame, pass, sources } from "./browser.mjs";
import { logs } from "../../../ui/static/state/logs.js";
import * as store from "../../../ui/static/state/store.js";

/** The data of each message of a recording. */
function stream(name) {
  const file = new URL(`../../fixtures/events/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).stream.map((text) => text.match(/^data:(.*)$/m)[1]);
}

function json(document) {
  return new Response(JSON.stringify(document), { headers: { "content-type": "application/json" } });
}

function newest() {
  return sources.at(-1);
}

answers.set("/api/profiles", json({ active: null, profiles: [{ id: "night", description: "", pins: {} }] }));
answers.set("/api/version", json({ version: "1.2.3", commit: "c", build_date: "d" }));
answers.set("/v1/models", json({ data: [{ id: "fast", meta: { llamaswap: { type: "selector", targets: ["llama"] } } }] }));

// One page, one life: each test goes on where the one before has ended.

test("before anything is told, nothing is known", () => {
  store.connect();

  assert.equal(sources.length, 1);
  assert.equal(store.connection.value, "connecting");
  assert.equal(store.known.value, false);
  assert.equal(store.asOf.value, null);
});

test("half of a snapshot is not shown", () => {
  newest().open();
  for (const message of stream("connect").slice(0, -1)) newest().get(message);
  frame();

  assert.deepEqual(store.models.value, []);
  assert.equal(store.connection.value, "connecting");
});

test("the whole of it is, at once", () => {
  newest().get(stream("connect").at(-1));
  frame();

  assert.equal(store.connection.value, "open");
  assert.equal(store.known.value, true);
  assert.deepEqual(store.models.value.map(({ id, state }) => [id, state]), [["llama", "ready"], ["whisper", "stopped"], ["far/big", ""]]);
  assert.deepEqual([...store.inflight.value.keys()], ["1"]);
  assert.equal(store.queue.value.length, 2);
});

test("logs go past the fold", () => {
  assert.equal(logs.proxy.text(), "[INFO] Hostler listens on http://127.0.0.1:8080\n");
  assert.equal(logs.upstream.text(), "\u001b[32mloading\u001b[0m <model> & more\n");
});

test("what events do not tell is fetched", async () => {
  await answered();

  assert.deepEqual(store.profiles.value.map(({ id }) => id), ["night"]);
  assert.deepEqual(store.selectors.value.map(({ id }) => id), ["fast"]);
  assert.equal(store.version.value.version, "1.2.3");
});

test("only the part that changes is told of", () => {
  const told = [];
  for (const part of ["models", "queue", "inflight", "profile", "uiConfig", "lastActivity"]) {
    store[part].subscribe(() => told.push(part));
  }
  told.length = 0;

  newest().get(JSON.stringify({ type: "activity", data: '{"id":3}' }));
  frame();

  assert.deepEqual(told, ["lastActivity"]);
});

test("many events are folded once a frame", () => {
  let times = 0;
  const stop = store.inflight.subscribe(() => (times += 1));
  times = 0;

  for (let id = 10; id < 60; id += 1) {
    const request = JSON.stringify({ operation: "upsert", request: { id: String(id), elapsed_ms: 1 } });
    newest().get(JSON.stringify({ type: "inflight", data: request }));
  }
  frame();
  stop();

  assert.equal(times, 1);
  assert.equal(store.inflight.value.size, 51);
});

test("a hidden tab, which draws no frames, is kept up to date", () => {
  newest().get(JSON.stringify({ type: "activity", data: '{"id":4}' }));

  pass(250);

  assert.equal(store.lastActivity.value, 4);
});

test("nonsense is passed over", () => {
  newest().get("nonsense");
  newest().get('{"type":"logData","data":"{\\"source\\":\\"__proto__\\",\\"data\\":\\"x\\"}"}');
  frame();

  assert.equal(store.connection.value, "open");
});

test("when the line is lost, what was known stays, and it is said of when it is", () => {
  const heardAt = Date.now();
  newest().get(JSON.stringify({ type: "activity", data: '{"id":5}' }));
  frame();
  pass(3000);

  newest().fail();

  assert.equal(store.connection.value, "lost");
  assert.equal(store.retryAt.value, Date.now() + 1000);
  assert.equal(store.asOf.value, heardAt);
  assert.equal(store.models.value.length, 3);
});

test("another connection begins anew, and shows it only when it is whole", () => {
  const before = store.models.value;
  pass(1000);
  newest().open();
  const messages = stream("reload");
  newest().get(messages[0]);
  frame();

  assert.equal(store.models.value, before);
  assert.equal(store.connection.value, "connecting");
  assert.notEqual(store.asOf.value, null);
  assert.equal(logs.proxy.text(), "");

  for (const message of messages.slice(1)) newest().get(message);
  frame();

  assert.equal(store.connection.value, "open");
  assert.equal(store.asOf.value, null);
  assert.deepEqual(store.models.value.map(({ id }) => id), ["llama", "whisper", "new", "far/big"]);
  assert.equal(store.inflight.value.size, 0, "requests of the connection before are gone");
  assert.equal(store.connections.value, 2);
});

test("a reload is told of, and what it may have changed fetched again", async () => {
  answers.set("/api/profiles", json({ active: null, profiles: [] }));
  newest().get(JSON.stringify({ type: "reload", data: '{"ok":true,"message":"removed night"}' }));
  frame();
  await answered();

  assert.deepEqual(store.profiles.value, []);
  assert.equal(store.lastReload.value.message, "removed night");
});

test("a fetch that fails leaves what was known", async (t) => {
  const warned = t.mock.method(console, "warn", () => {});
  answers.delete("/v1/models");
  newest().get(JSON.stringify({ type: "uiConfig", data: '{"activity":{"session_id":[]}}' }));
  frame();
  await answered();

  assert.deepEqual(store.selectors.value.map(({ id }) => id), ["fast"]);
  assert.equal(warned.mock.callCount(), 1);
});

test("after a resync it goes on from what is told anew", () => {
  newest().get(JSON.stringify({ type: "resync", data: '{"missed":13,"types":["activity","inflight"]}' }));
  const requests = JSON.stringify({ operation: "snapshot", requests: [{ id: "9", elapsed_ms: 5 }] });
  newest().get(JSON.stringify({ type: "inflight", data: requests }));
  frame();

  assert.deepEqual([...store.inflight.value.keys()], ["9"]);
  assert.equal(store.connection.value, "open");
});

