import assert from "node:assert/strict";
import { test } from "node:test";

import { frame } from "./browser.mjs";
import { KEPT, LogRing } from "../../../ui/static/state/logs.js";

function heard(ring) {
  const told = [];
  ring.subscribe((text, restarted) => told.push([text, restarted]));
  return told;
}

test("however much comes, it is told once a frame", () => {
  const ring = new LogRing();
  const told = heard(ring);
  const before = ring.version.value;

  for (let line = 0; line < 500; line += 1) ring.append("x\n");
  frame();
  frame();

  assert.deepEqual(told, [["x\n".repeat(500), false]]);
  assert.equal(ring.version.value, before + 1);
});

test("no more is kept than the last 100 KiB, from the beginning of a line on", () => {
  const ring = new LogRing();

  for (let number = 0; number < 3000; number += 1) ring.append(`${String(number).padStart(99, "0")}\n`);

  const lines = ring.text().split("\n");
  assert.ok(ring.text().length <= KEPT && ring.text().length > KEPT - 200);
  assert.equal(lines.at(-2), "2999".padStart(99, "0"));
  assert.equal(lines[0].length, 99);
});

test("one piece longer than that is cut, too", () => {
  const ring = new LogRing();

  ring.append("y".repeat(3 * KEPT));

  assert.equal(ring.text().length, KEPT);
});

test("who is told of a gap is told to begin anew", () => {
  const ring = new LogRing();
  const told = heard(ring);

  for (let piece = 0; piece < 4; piece += 1) ring.append(`${"z".repeat(50_000)}\n`);
  frame();

  assert.equal(told.length, 1);
  assert.equal(told[0][1], true);
  assert.ok(ring.text().endsWith(told[0][0]));
});

test("another connection begins with its own history", () => {
  const ring = new LogRing();
  const told = heard(ring);
  ring.append("old\n");
  frame();

  ring.clear();
  ring.append("new\n");
  frame();

  assert.deepEqual(told, [["old\n", false], ["new\n", true]]);
  assert.equal(ring.text(), "new\n");
});

test("who begins to follow is told nothing twice", () => {
  const ring = new LogRing();
  const told = [];
  ring.append("a\n");

  ring.follow((text, restarted) => told.push([text, restarted]));
  ring.append("b\n");
  frame();

  assert.deepEqual(told, [["a\n", true], ["b\n", false]]);
});

test("who has left is told no more", () => {
  const ring = new LogRing();
  const told = [];
  const stop = ring.subscribe((text) => told.push(text));

  stop();
  ring.append("a\n");
  frame();

  assert.deepEqual(told, []);
});

test("nothing is no news", () => {
  const ring = new LogRing();
  const told = heard(ring);

  ring.append("");
  frame();

  assert.deepEqual(told, []);
});
