import assert from "node:assert/strict";
import { test } from "node:test";

import { filterOf, isSimple, levelOf, LogLines, rowsOf } from "../../../ui/static/lib/log-lines.js";

const line = (text, id = 0) => ({ id, text, runs: null, notice: false });
const lines = (from, to) => Array.from({ length: to - from }, (_each, index) => line(`line ${from + index}`, from + index));
const texts = (ring) => ring.lines.map((each) => each.text);

test("the oldest lines go when there is too much text", () => {
  const ring = new LogLines(14);

  ring.push([line("one"), line("two"), line("three")]);
  ring.push([line("four")]);

  assert.deepEqual(texts(ring), ["three", "four"]);
  assert.equal(ring.gone, 2);
  assert.equal(ring.come, 4);
});

test("the newest line stays, however long it is", () => {
  const ring = new LogLines(5);

  ring.push([line("short"), line("longer than all of it")]);

  assert.deepEqual(texts(ring), ["longer than all of it"]);
});

test("what is being read stays while it is held", () => {
  const ring = new LogLines(40);
  ring.push(lines(0, 5));
  ring.hold();

  ring.push(lines(5, 30));

  assert.deepEqual(texts(ring).slice(0, 5), ["line 0", "line 1", "line 2", "line 3", "line 4"]);
  assert.equal(texts(ring)[5], "— 20 lines left out while you were reading —");
  assert.equal(ring.lines[5].notice, true);
  assert.deepEqual(texts(ring).slice(6), ["line 25", "line 26", "line 27", "line 28", "line 29"]);
  assert.equal(ring.gone, 0);
});

test("the notice counts on, and there is one of it", () => {
  const ring = new LogLines(40);
  ring.push(lines(0, 2));
  ring.hold();
  for (let at = 2; at < 50; at += 1) ring.push(lines(at, at + 1));

  const notices = ring.lines.filter((each) => each.notice);

  assert.equal(notices.length, 1);
  const shown = ring.lines.length - 1;
  assert.equal(notices[0].text, `— ${50 - shown} lines left out while you were reading —`);
});

test("released, it is as short as ever", () => {
  const ring = new LogLines(40);
  ring.push(lines(0, 5));
  ring.hold();
  ring.push(lines(5, 9));
  assert.equal(ring.lines.length, 9);

  ring.release();

  assert.deepEqual(texts(ring), ["line 4", "line 5", "line 6", "line 7", "line 8"]);
  assert.equal(ring.isHeld, false);
});

test("cleared, it is empty, held or not", () => {
  const ring = new LogLines();
  ring.push(lines(0, 3));
  ring.hold();
  ring.clear();
  ring.push(lines(3, 4));

  assert.deepEqual(texts(ring), ["line 3"]);
  assert.equal(ring.text(), "line 3\n");
});

test("a filter does not care for case", () => {
  assert.ok(filterOf("ERR(or)?$")?.test("an error"));
});

test("no pattern is no filter", () => {
  assert.equal(filterOf(""), null);
});

test("a pattern that is none is told in words", () => {
  assert.throws(() => filterOf("(a"), { name: "SyntaxError", message: /^Not a regular expression: .*group/i });
  assert.throws(() => filterOf("a".repeat(1001)), { message: "A filter has at most 1000 characters." });
});

test("rows are counted as a terminal breaks lines", () => {
  assert.equal(rowsOf("", 10), 1);
  assert.equal(rowsOf("0123456789", 10), 1);
  assert.equal(rowsOf("0123456789.", 10), 2);
  assert.equal(rowsOf("0123", 0), 4);
});

test("text whose width is not sure is not simple", () => {
  assert.ok(isSimple("[INFO] ~ready"));
  assert.ok(!isSimple("naïve 日本 😀"));
});

test("levels of our own lines", () => {
  assert.equal(levelOf("[WARN] careful"), "warn");
  assert.equal(levelOf("2026-11-22T10:00:00Z [ERROR] broken"), "error");
  assert.equal(levelOf("2026/11/22 10:00:00 [INFO] fine"), "info");
  assert.equal(levelOf("says [WARN] in the middle of something"), null);
  assert.equal(levelOf("[PANIC] no"), null);
});
