import assert from "node:assert/strict";
import { test } from "node:test";

import { AnsiReader, LONGEST_LINE, PLAIN } from "../../../ui/static/lib/ansi.js";

const ESC = "\u001b";

/** Everything that *chunks* become, the open line last. */
function read(...chunks) {
  const reader = new AnsiReader();
  const lines = [];
  let open = null;
  for (const chunk of chunks) {
    const found = reader.read(chunk);
    lines.push(...found.lines);
    open = found.open;
  }
  return open ? [...lines, open] : lines;
}

const texts = (...chunks) => read(...chunks).map((line) => line.text);

/** The runs of one line, of each style only what is not usual. */
function runs(...chunks) {
  const [line] = read(...chunks);
  return (line.runs ?? [{ text: line.text, style: PLAIN }]).map(({ text, style }) => [
    text,
    Object.fromEntries(Object.entries(style).filter(([name, value]) => value !== PLAIN[name])),
  ]);
}

test("lines are split, and the last is open until it ends", () => {
  const reader = new AnsiReader();

  const first = reader.read("one\ntwo\nthr");
  const second = reader.read("ee\n");

  assert.deepEqual(first.lines.map((line) => line.text), ["one", "two"]);
  assert.equal(first.open?.text, "thr");
  assert.deepEqual(second.lines.map((line) => [line.id, line.text]), [[2, "three"]]);
  assert.equal(second.open, null);
});

test("a line in the usual style has no runs", () => {
  assert.equal(read("plain\n")[0].runs, null);
});

test("empty lines are lines", () => {
  assert.deepEqual(texts("a\n\nb\n"), ["a", "", "b"]);
});

test("bold, dim, italic, underline, inverse and strike", () => {
  for (const [code, name, end] of [
    [1, "bold", 22], [2, "dim", 22], [3, "italic", 23], [4, "underline", 24], [7, "inverse", 27], [9, "strike", 29],
  ]) {
    assert.deepEqual(runs(`a${ESC}[${code}mb${ESC}[${end}mc`), [["a", {}], ["b", { [name]: true }], ["c", {}]]);
  }
});

test("the sixteen colours", () => {
  assert.deepEqual(runs(`${ESC}[31mr${ESC}[42mg${ESC}[97;100mw${ESC}[39;49mp`), [
    ["r", { fg: 1 }], ["g", { fg: 1, bg: 2 }], ["w", { fg: 15, bg: 8 }], ["p", {}],
  ]);
});

test("256 colours and true colours, with semicolons and with colons", () => {
  assert.deepEqual(runs(`${ESC}[38;5;208mo`), [["o", { fg: 208 }]]);
  assert.deepEqual(runs(`${ESC}[48;2;1;2;255mb`), [["b", { bg: "#0102ff" }]]);
  assert.deepEqual(runs(`${ESC}[38:5:9mo`), [["o", { fg: 9 }]]);
  assert.deepEqual(runs(`${ESC}[38:2::1:2:3mo`), [["o", { fg: "#010203" }]]);
  assert.deepEqual(runs(`${ESC}[38:2:1:2:3mo`), [["o", { fg: "#010203" }]]);
});

test("what follows an extended colour counts on its own", () => {
  assert.deepEqual(runs(`${ESC}[38;5;1;1;48;2;0;0;0;4mx`), [["x", { fg: 1, bold: true, bg: "#000000", underline: true }]]);
});

test("colours out of range are left out", () => {
  assert.deepEqual(runs(`${ESC}[38;5;300mx`), [["x", {}]]);
  assert.deepEqual(runs(`${ESC}[38;2;1;2;900mx`), [["x", {}]]);
  assert.deepEqual(runs(`${ESC}[38;7mx`), [["x", {}]]);
});

test("a style goes on over lines and pieces until it is reset", () => {
  const [one, two, three] = read(`${ESC}[1mone\nt`, `wo\n${ESC}[mthree`);

  assert.equal(one.runs?.[0].style.bold, true);
  assert.equal(two.runs?.[0].style.bold, true);
  assert.equal(three.runs, null);
});

test("a sequence may be cut anywhere", () => {
  const whole = `a${ESC}[1;38;2;255;0;0mred${ESC}]8;;http://x/${ESC}\\link${ESC}]0;title\u0007${ESC}(B.`;
  const expected = read(whole);

  for (let at = 1; at < whole.length; at += 1) {
    assert.deepEqual(read(whole.slice(0, at), whole.slice(at)), expected, `cut at ${at}`);
  }
});

test("other sequences and control characters are dropped", () => {
  assert.deepEqual(texts(`${ESC}[2J${ESC}[1;1Ha${ESC}[?25lb${ESC}7c${ESC}(Bd\u0007\u0000\u007f\u0085e`), ["abcde"]);
  assert.deepEqual(texts(`${ESC}]52;c;c2VjcmV0\u0007x${ESC}Pq#0${ESC}\\y${ESC}_z${ESC}\\.`), ["xy."]);
});

test("a sequence that never ends does not eat the lines after it", () => {
  assert.deepEqual(texts(`a${ESC}]0;title\nb\n`), ["a", "b"]);
  assert.deepEqual(texts(`a${ESC}[31\nb\n`), ["a", "b"]);
  assert.equal(texts(`${ESC}]0;${"x".repeat(10_000)}`, "after\nnext\n").at(-1), "next");
});

test("a carriage return overwrites", () => {
  assert.deepEqual(texts("10 %\r20 %\rdone\n"), ["done"]);
  assert.deepEqual(texts("loading\rok\n"), ["okading"]);
  assert.deepEqual(texts(`loading\r${ESC}[Kok\n`), ["ok"]);
});

test("a carriage return before a line feed is the end of a line", () => {
  assert.deepEqual(texts("one\r\ntwo\r", "\nthree"), ["one", "two", "three"]);
});

test("overwriting keeps the style of what is left", () => {
  assert.deepEqual(runs(`${ESC}[31mabcd\r${ESC}[0mxy`), [["xy", {}], ["cd", { fg: 1 }]]);
});

test("a backspace goes one back, not before the beginning", () => {
  assert.deepEqual(texts("\b\bab\bc\n"), ["ac"]);
});

test("erasing in the line", () => {
  assert.deepEqual(texts(`abcdef\b\b${ESC}[K`), ["abcd"]);
  assert.deepEqual(texts(`abcdef\b\b${ESC}[1K`), ["    ef"]);
  assert.deepEqual(texts(`abcdef${ESC}[2K`), []);
  assert.deepEqual(texts(`abcdef${ESC}[2Kx`), ["      x"]);
});

test("tabs go to the next eighth cell", () => {
  assert.deepEqual(texts("a\tb\n\tc\n"), ["a       b", "        c"]);
});

test("a line without end is broken", () => {
  const lines = texts("x".repeat(2 * LONGEST_LINE + 5));

  assert.deepEqual(lines.map((line) => line.length), [LONGEST_LINE, LONGEST_LINE, 5]);
});

test("the server's word for what is missing is a notice", () => {
  const lines = read("a\n— 1234 bytes dropped —\nsays — 1 bytes dropped — too\n");

  assert.deepEqual(lines.map((line) => line.notice), [false, true, false]);
});

test("equal styles are the same object", () => {
  const [one, two] = read(`${ESC}[31ma${ESC}[0m\n${ESC}[31mb${ESC}[0m\n`);

  assert.equal(one.runs?.[0].style, two.runs?.[0].style);
});

test("characters that turn text around are made visible", () => {
  const [text] = texts("safe\u202Eexe.txt\n");

  assert.ok(!text.includes("\u202E"), text);
});

test("markup is text", () => {
  assert.deepEqual(texts("<img src=x onerror=alert(1)>\n"), ["<img src=x onerror=alert(1)>"]);
});

test("whatever comes, in whatever pieces, it is the same", () => {
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const parts = ["a", "lines ", "\n", "\r", "\b", "\t", ESC, "[", "]", "1", ";", "m", "31m", `${ESC}[`, `${ESC}]`, "\u0007", "K", "é", "\\"];
  for (let round = 0; round < 300; round += 1) {
    const text = Array.from({ length: 40 }, () => parts[random(parts.length)]).join("");
    const chunks = [];
    for (let at = 0; at < text.length; ) {
      const size = 1 + random(5);
      chunks.push(text.slice(at, at + size));
      at += size;
    }
    assert.deepEqual(read(...chunks), read(text), JSON.stringify(text));
  }
});
