import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { answered, answers, document, happen, pass, sources } from "./browser.mjs";
import { Line } from "../../../ui/static/state/connection.js";

let told;
let line;
let stop;

beforeEach(() => {
  sources.length = 0;
  answers.clear();
  told = [];
  line = new Line("/api/events", { opened: () => told.push("opened"), message: (text) => told.push(text) });
  stop = line.start();
});

afterEach(() => stop());

function newest() {
  return sources.at(-1);
}

test("it is tried again after 1, 2, 4, 5, 5 seconds, each time by another source", () => {
  const waits = [];
  for (let failure = 0; failure < 5; failure += 1) {
    const { length } = sources;
    newest().fail();
    assert.ok(sources[length - 1].closed, "the browser would reconnect by itself");
    let waited = 0;
    while (sources.length === length) {
      pass(500);
      waited += 500;
    }
    waits.push(waited);
  }

  assert.deepEqual(waits, [1000, 2000, 4000, 5000, 5000]);
});

test("a line that is open again begins with short waits", () => {
  newest().fail();
  pass(1000);
  newest().fail();
  pass(2000);
  newest().open();
  line.settled();

  newest().fail();

  assert.equal(line.retryAt.value, Date.now() + 1000);
});

test("it is only open when somebody says that all is known", () => {
  newest().open();
  newest().get("x");

  assert.equal(line.state.value, "connecting");

  line.settled();

  assert.equal(line.state.value, "open");
  assert.deepEqual(told, ["opened", "x"]);
});

test("when the network is back, it is tried at once", () => {
  newest().fail();

  happen("online");

  assert.equal(sources.length, 2);
  assert.equal(line.state.value, "connecting");
  assert.equal(line.retryAt.value, null);
  pass(5000);
  assert.equal(sources.length, 2);
});

test("when somebody looks, it is tried at once", () => {
  document.show(false);
  newest().fail();

  document.show(true);

  assert.equal(sources.length, 2);
});

test("a line that is open is left alone by both", () => {
  newest().open();
  line.settled();

  happen("online");
  document.show(true);

  assert.equal(sources.length, 1);
});

test("late news of a source that was given up are nothing", () => {
  const old = newest();
  old.fail();
  pass(1000);

  old.onerror();

  assert.equal(line.state.value, "connecting");
});

test("silence where samples come is a line that is dead", () => {
  newest().open();
  line.settled();
  line.everyMs = 5000;

  pass(25_000);
  assert.equal(line.state.value, "open");
  pass(10_000);

  assert.ok(sources[0].closed);
});

test("silence where none come is silence", () => {
  newest().open();
  line.settled();

  pass(600_000);

  assert.equal(line.state.value, "open");
});

test("a line that opens and never tells how things stand is given up", () => {
  newest().open();

  pass(36_000);

  assert.ok(sources[0].closed);
});

for (const [name, answer, status, words] of [
  ["a key that is missing is told", new Response('{"error":{"message":"unauthorized"}}', { status: 401 }), 401, /^A key is needed: unauthorized/],
  ["a server that is gone is told", null, 0, /cannot be reached/],
  ["a server that answers, but has ended the stream, is told", new Response("{}", { status: 200 }), 200, /ended/],
  ["an error's words are told", new Response("over there", { status: 502 }), 502, /over there/],
]) {
  test(name, async () => {
    if (answer) answers.set("/api/version", answer);
    newest().fail();
    await answered();

    assert.equal(line.problem.value.status, status);
    assert.match(line.problem.value.message, words);
  });
}

test("a page that was put aside and comes back has a line again", () => {
  happen("pagehide");
  assert.ok(sources[0].closed);

  happen("pageshow", { persisted: true });

  assert.equal(sources.length, 2);
});

test("a line that is ended is never tried again", () => {
  newest().fail();

  stop();
  pass(60_000);
  happen("online");

  assert.equal(sources.length, 1);
});
