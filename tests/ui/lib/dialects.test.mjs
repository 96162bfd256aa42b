import assert from "node:assert/strict";
import { test } from "node:test";
import { buildRequest, parseExtra } from "../../../ui/static/lib/dialects.js";

const PICTURE = { url: "data:image/png;base64,AAAA", name: "a.png" };
const QUESTION = {
  model: "llama",
  system: "Be brief.",
  turns: [
    { role: "user", text: "What is this?", pictures: [PICTURE] },
    { role: "assistant", text: "A cat." },
    { role: "user", text: "Sure?" },
  ],
  temperature: 0,
  maxTokens: 64,
  topP: 0.9,
  seed: 7,
  stop: ["END"],
};

test("a chat names its pictures by their data", () => {
  const { path, body } = buildRequest("chat", QUESTION);

  assert.equal(path, "/v1/chat/completions");
  assert.deepEqual(body.messages, [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: PICTURE.url } },
      ],
    },
    { role: "assistant", content: "A cat." },
    { role: "user", content: "Sure?" },
  ]);
  assert.deepEqual([body.temperature, body.max_tokens, body.top_p, body.seed, body.stop], [0, 64, 0.9, 7, ["END"]]);
  assert.deepEqual(body.stream_options, { include_usage: true });
});

test("messages have the system prompt on top and pictures as base64", () => {
  const { path, body } = buildRequest("messages", QUESTION);

  assert.equal(path, "/v1/messages");
  assert.equal(body.system, "Be brief.");
  assert.deepEqual(body.messages[0].content[0], {
    type: "image",
    source: { type: "base64", media_type: "image/png", data: "AAAA" },
  });
  assert.deepEqual([body.max_tokens, body.stop_sequences], [64, ["END"]]);
});

test("messages always say how many tokens at most, because the API asks for it", () => {
  assert.equal(buildRequest("messages", { ...QUESTION, maxTokens: null }).body.max_tokens, 4096);
});

test("responses tell what was put in from what came out", () => {
  const { path, body } = buildRequest("responses", QUESTION);

  assert.equal(path, "/v1/responses");
  assert.equal(body.instructions, "Be brief.");
  assert.deepEqual(
    body.input.map((turn) => turn.content.map((part) => part.type)),
    [["input_text", "input_image"], ["output_text"], ["input_text"]],
  );
  assert.deepEqual([body.max_output_tokens, body.store], [64, false]);
});

test("what has not been chosen is not sent", () => {
  const bare = { model: "llama", turns: [], temperature: null, maxTokens: null, topP: null, seed: null, stop: [] };

  assert.deepEqual(Object.keys(buildRequest("chat", bare).body), ["model", "messages", "stream", "stream_options"]);
  assert.deepEqual(Object.keys(buildRequest("messages", bare).body), ["model", "messages", "max_tokens", "stream"]);
});

test("extra members win over all others, null included", () => {
  const { body } = buildRequest("chat", { ...QUESTION, extra: { temperature: 1.5, stream_options: null } });

  assert.deepEqual([body.temperature, body.stream_options], [1.5, null]);
});

test("extra parameters are an object, or there are words about it", () => {
  assert.deepEqual(parseExtra('{"min_p": 0.1}'), { extra: { min_p: 0.1 }, error: "" });
  assert.deepEqual(parseExtra("  "), { extra: {}, error: "" });
  assert.match(parseExtra("[1]").error, /JSON object/);
  assert.match(parseExtra("{").error, /no JSON/);
});
