import assert from "node:assert/strict";
import { test } from "node:test";

import { problemIn, problemOf } from "../../../ui/static/lib/problem.js";

for (const [whose, document, expected] of [
  ["OpenAI's", { src: "llama-swap", error: { message: "no router", type: "invalid_request_error", param: null, code: "not_found" } }, ["no router", "not_found"]],
  ["Anthropic's", { type: "error", error: { type: "overloaded_error", message: "too many wait" } }, ["too many wait", "overloaded_error"]],
  ["OpenAI Responses'", { type: "error", code: "server_error", message: "it ended", param: null, sequence_number: 0 }, ["it ended", "server_error"]],
  ["llama.cpp's, its code a number", { error: { code: 503, message: "Loading model", type: "unavailable_error" } }, ["Loading model", "503"]],
  ["a text alone", { error: "it is broken" }, ["it is broken", ""]],
  ["FastAPI's", { detail: "Not Found" }, ["Not Found", ""]],
  ["FastAPI's list", { detail: [{ loc: ["body", "model"], msg: "field required" }, { msg: "bad" }] }, ["body.model: field required; bad", ""]],
  ["our short one", { msg: "no" }, ["no", ""]],
  ["an error that only has a type", { error: { type: "api_error" } }, ["api_error", "api_error"]],
]) {
  test(`${whose} error is understood`, () => {
    assert.deepEqual(problemIn(document), { message: expected[0], code: expected[1] });
  });
}

for (const document of [null, 3, true, [], {}, "", " ", { error: null }, { error: {} }, { choices: [] }, { detail: [] }]) {
  test(`${JSON.stringify(document)} tells of no error`, () => {
    assert.equal(problemIn(document), null);
  });
}

test("an answer without words is told by its status", () => {
  assert.equal(problemOf(502, "Bad Gateway", "").message, "The server answered 502 Bad Gateway.");
  assert.equal(problemOf(502, "", "{}").message, "The server answered 502.");
});

test("a page is not shown as an error's words", () => {
  assert.equal(problemOf(404, "Not Found", "<!doctype html><h1>x</h1>").message, "The server answered 404 Not Found.");
});

test("a text is shown as it is", () => {
  assert.equal(problemOf(404, "Not Found", "llama-swap: no router for requested model\n").message, "no router for requested model");
  assert.equal(problemOf(500, "", "{broken").message, "{broken");
});

test("the server's words are taken out of its JSON", () => {
  assert.deepEqual(problemOf(429, "", '{"error":{"message":"wait","code":"concurrency_limit"}}'), {
    message: "wait",
    code: "concurrency_limit",
  });
});

test("lines stay lines, and what is hidden is shown", () => {
  assert.equal(problemIn("a\u202e\nb").message, "a‹U+202E›\nb");
});

test("a book is cut", () => {
  assert.equal(problemIn("x".repeat(5000)).message.length, 2001);
});
