import assert from "node:assert/strict";
import { test } from "node:test";

import { modelPath, parseQuery, queryString, segment, unsegment, upstreamPath, withParam } from "../../../ui/static/lib/query.js";

test("nothing to ask is no query", () => {
  assert.deepEqual([undefined, {}, { a: null, b: "", c: undefined, d: [] }].map(queryString), ["", "", ""]);
});

test("lists repeat their name, and zero and false are values", () => {
  assert.equal(queryString({ model: ["a b", "c&d"], page: 0, all: false }), "?model=a+b&model=c%26d&page=0&all=false");
});

test("a query is read as it was written", () => {
  assert.deepEqual({ ...parseQuery("?q=a%20b+c&q=second&empty=") }, { q: "a b c", empty: "" });
});

test("names of the language's own are only names", () => {
  const query = parseQuery("?__proto__=x&constructor=y");

  assert.deepEqual(Object.entries(query), [["__proto__", "x"], ["constructor", "y"]]);
  assert.equal({}.x, undefined);
});

test("one parameter changes, the others stay where they are", () => {
  assert.equal(withParam("?a=1&b=2&c=3", "b", "x y"), "?a=1&b=x+y&c=3");
  assert.equal(withParam("?a=1&b=2", "a", null), "?b=2");
  assert.equal(withParam("?a=1", "a", null), "");
  assert.equal(withParam("", "a", ""), "?a=");
});

for (const id of [
  "llama", "org/model:7b", "a//b", "../..", ".", "..", "...", "a b", "ü/€/日本", "50%", "%2F", "a?b#c", "a\\b", "‮evil", "+", "~",
]) {
  test(`a model called ${JSON.stringify(id)} has an address of its own`, () => {
    const { pathname } = new URL(`/ui${modelPath(id)}`, "http://127.0.0.1");
    const segments = pathname.slice(1).split("/").map(unsegment);

    assert.deepEqual(segments, ["ui", "models", id]);
  });
}

test("half a character is no reason to fail", () => {
  assert.equal(unsegment(segment("a\ud800b")), "a\ufffdb");
});

test("what is not encoded as it should be is taken as it is", () => {
  assert.equal(unsegment("50%"), "50%");
  assert.equal(unsegment("%ff"), "%ff");
});

test("a model's own pages are below its name, ComfyUI's at their own place", () => {
  assert.equal(upstreamPath("a/b"), "/upstream/a%2Fb/");
  assert.equal(upstreamPath("comfyui_auto"), "/comfyui/");
});
