import assert from "node:assert/strict";
import { test } from "node:test";

import { plain } from "../../../ui/static/lib/bidi.js";

for (const text of ["", "llama-3.1-8B", "org/model:7b", "naïve café", "日本語", "модель", "מודל", "نموذج", "n\u0303", "🦙", "👩‍💻", "🏳️‍🌈", "👩🏽‍🚀"]) {
  test(`${JSON.stringify(text)} stays as it is`, () => {
    assert.equal(plain(text), text);
  });
}

for (const [text, expected] of [
  ["a\u202egpj.exe", "a‹U+202E›gpj.exe"],
  ["\u2066x\u2069", "‹U+2066›x‹U+2069›"],
  ["zero\u200bwidth", "zero‹U+200B›width"],
  ["join\u200ded", "join‹U+200D›ed"],
  ["\ufeffmark", "‹U+FEFF›mark"],
  ["soft\u00adhyphen", "soft‹U+00AD›hyphen"],
  ["two\nlines\ttab", "two‹U+000A›lines‹U+0009›tab"],
  ["\u001b[31mred", "‹U+001B›[31mred"],
  ["\u0000\u007f\u0085", "‹U+0000›‹U+007F›‹U+0085›"],
  ["no\u00a0break", "no‹U+00A0›break"],
  ["wide\u3000space", "wide‹U+3000›space"],
  ["\u2028\u2029", "‹U+2028›‹U+2029›"],
  ["half\ud800", "half‹U+D800›"],
  ["tag\u{e0041}", "tag‹U+E0041›"],
  ["own\ue000", "own‹U+E000›"],
  ["filler\u3164\u2800", "filler‹U+3164›‹U+2800›"],
]) {
  test(`${JSON.stringify(text)} is shown as ${expected}`, () => {
    assert.equal(plain(text), expected);
  });
}

test("marks do not pile up over other lines", () => {
  assert.equal(plain(`a${"\u0301".repeat(50)}b`), `a${"\u0301".repeat(6)}…b`);
});

test("what is not there is nothing", () => {
  assert.equal(plain(null), "");
  assert.equal(plain(undefined), "");
});

test("said twice, it is the same", () => {
  const once = plain("a\u202eb");

  assert.equal(plain(once), once);
});
