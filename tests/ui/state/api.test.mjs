import assert from "node:assert/strict";
import { test } from "node:test";

import "./browser.mjs";
import { ApiError, del, get, isAbort, post, put, raw } from "../../../ui/static/state/api.js";

/** Has the server answer, and returns what it was asked. */
function serving(answer) {
  const asked = [];
  globalThis.fetch = async (path, init) => {
    asked.push({ path, ...init });
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return asked;
}

function json(text, status = 200) {
  return new Response(text, { status, headers: { "content-type": "application/json" } });
}

test("JSON is parsed", async () => {
  serving(json('{"a":1}'));

  assert.deepEqual(await get("/x"), { a: 1 });
});

test("what is no JSON is a text", async () => {
  serving(new Response("OK", { headers: { "content-type": "text/plain" } }));

  assert.equal(await post("/unload"), "OK");
});

test("a query is added", async () => {
  const asked = serving(json("{}"));

  await get("/x", { query: { page: 2, model: ["a", "b"], q: "" } });

  assert.equal(asked[0].path, "/x?page=2&model=a&model=b");
});

test("a body is JSON, and said to be", async () => {
  const asked = serving(json("{}"));

  await put("/x", { name: null });

  assert.equal(asked[0].method, "PUT");
  assert.equal(asked[0].body, '{"name":null}');
  assert.equal(asked[0].headers["Content-Type"], "application/json");
});

test("a form goes as it is, its type for the browser to say", async () => {
  const asked = serving(json("{}"));
  const form = new FormData();

  await post("/x", form);

  assert.equal(asked[0].body, form);
  assert.equal("Content-Type" in asked[0].headers, false);
});

test("no body is none", async () => {
  const asked = serving(json("{}"));

  await del("/x");

  assert.equal(asked[0].method, "DELETE");
  assert.equal("body" in asked[0], false);
});

test("an error is told in the server's words", async () => {
  serving(json('{"src":"llama-swap","error":{"message":"model not found","code":"not_found"}}', 404));

  await assert.rejects(get("/x"), { name: "ApiError", status: 404, message: "model not found", code: "not_found" });
});

test("a server that is not there is told in plain words", async () => {
  serving(new TypeError("Failed to fetch"));

  await assert.rejects(get("/x"), (error) => error instanceof ApiError && error.status === 0 && /cannot be reached/.test(error.message));
});

test("what we gave up ourselves is no error of the server", async () => {
  serving(new DOMException("aborted", "AbortError"));

  await assert.rejects(get("/x"), isAbort);
});

test("JSON that is none is told", async () => {
  serving(json("{"));

  await assert.rejects(get("/api/x"), { status: 200, message: /\/api\/x is not the JSON/ });
});

test("a line that breaks in the middle of an answer is told", async () => {
  const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError("network error")) });
  serving(new Response(body, { headers: { "content-type": "application/json" } }));

  await assert.rejects(get("/x"), { status: 0, message: /lost in the middle/ });
});

test("raw gives the answer unread", async () => {
  const answer = new Response("stream");
  serving(answer);

  assert.equal(await raw("/x"), answer);
  assert.equal(answer.bodyUsed, false);
});
