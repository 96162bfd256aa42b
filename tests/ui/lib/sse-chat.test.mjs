import assert from "node:assert/strict";
import test from "node:test";

import { chatOfDocument, chatOfStream, events } from "../../../ui/static/lib/sse-chat.js";

/** @param {object[]} documents */
const stream = (...documents) => documents.map((each) => `data: ${JSON.stringify(each)}\n\n`).join("");

/** @param {object} delta @param {string | null} [finish_reason] @param {number} [index] */
const chunk = (delta, finish_reason = null, index = 0) => ({ choices: [{ index, delta, finish_reason }] });

/** @param {Partial<import("../../../ui/static/lib/sse-chat.js").Said>} said */
const only = (said) => ({ choices: [{ reasoning: "", content: "", tools: [], stop: "", ...said }], error: "" });

test("lines may end in any way, data may have many, and comments say nothing", () => {
  assert.deepEqual(
    events(": hello\r\nevent: a\r\ndata: 1\r\ndata:2\r\n\r\ndata\n\nevent: only a name\n\nid: 7\rdata:  x"),
    [
      { event: "a", data: "1\n2" },
      { event: "", data: "" },
      { event: "", data: " x" },
    ],
  );
});

test("a chat completion is its deltas, reasoning apart from content", () => {
  const text = stream(
    chunk({ role: "assistant", content: null }),
    chunk({ reasoning_content: "Hm" }),
    chunk({ reasoning: "m" }),
    chunk({ content: "Yes" }),
    chunk({ content: "." }, "stop"),
    { choices: [], usage: { prompt_tokens: 1 } },
  );

  assert.deepEqual(chatOfStream(`${text}data: [DONE]\n\n`), only({ reasoning: "Hmm", content: "Yes.", stop: "stop" }));
});

test("a call of a tool is put together from its pieces", () => {
  const piece = (/** @type {object} */ asked) => chunk({ tool_calls: [{ index: 0, function: asked }] });
  const text = stream(
    piece({ name: "weather", arguments: "" }),
    piece({ arguments: '{"in":' }),
    piece({ arguments: '"Rome"}' }),
  );

  assert.deepEqual(chatOfStream(text), only({ tools: [{ name: "weather", arguments: '{"in":"Rome"}' }] }));
});

test("several answers stay apart, in their order", () => {
  const chat = chatOfStream(stream(chunk({ content: "b" }, null, 1), chunk({ content: "a" }, null, 0)));

  assert.deepEqual(
    chat?.choices.map(({ content }) => content),
    ["a", "b"],
  );
});

test("a completion is its texts", () => {
  assert.deepEqual(
    chatOfStream(stream({ choices: [{ text: "one" }] }, { choices: [{ text: " two" }] })),
    only({ content: "one two" }),
  );
});

test("Anthropic's stream has thinking, text, tools and a reason to stop", () => {
  const text = stream(
    { type: "message_start", message: { content: [] } },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Hm" } },
    { type: "ping" },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Yes" } },
    { type: "content_block_start", index: 2, content_block: { type: "tool_use", name: "look", input: {} } },
    { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: "{}" } },
    { type: "message_delta", delta: { stop_reason: "tool_use" } },
    { type: "message_stop" },
  );

  const tools = [{ name: "look", arguments: "{}" }];
  assert.deepEqual(chatOfStream(text), only({ reasoning: "Hm", content: "Yes", tools, stop: "tool_use" }));
});

test("a Responses stream is its deltas, not also the whole at its end", () => {
  const output = [{ type: "message", content: [{ type: "output_text", text: "Yes" }] }];
  const text = stream(
    { type: "response.created", response: { output: [] } },
    { type: "response.reasoning_summary_text.delta", delta: "Hm" },
    { type: "response.output_item.added", output_index: 1, item: { type: "function_call", name: "look" } },
    { type: "response.function_call_arguments.delta", output_index: 1, delta: "{}" },
    { type: "response.output_text.delta", delta: "Yes" },
    { type: "response.output_text.done", text: "Yes" },
    { type: "response.completed", response: { status: "completed", output } },
  );

  const tools = [{ name: "look", arguments: "{}" }];
  assert.deepEqual(chatOfStream(text), only({ reasoning: "Hm", content: "Yes", tools, stop: "completed" }));
});

test("a Responses stream of which only the end is there still says everything", () => {
  const output = [
    { type: "reasoning", summary: [{ type: "summary_text", text: "Hm" }] },
    { type: "message", content: [{ type: "output_text", text: "Yes" }] },
  ];
  const text = stream({ type: "response.completed", response: { status: "completed", output } });

  assert.deepEqual(chatOfStream(text), only({ reasoning: "Hm", content: "Yes", stop: "completed" }));
});

test("llama.cpp's own completion is understood", () => {
  const text = stream({ content: "a", stop: false }, { content: "b", stop: true, stop_type: "eos" });

  assert.deepEqual(chatOfStream(text), only({ content: "ab", stop: "eos" }));
});

test("errors within a stream are told, in each dialect", () => {
  assert.equal(chatOfStream(stream(chunk({ content: "a" }), { error: { message: "lost" } }))?.error, "lost");
  assert.equal(chatOfStream(stream({ type: "error", error: { type: "api_error", message: "lost" } }))?.error, "lost");
  assert.equal(chatOfStream(stream({ type: "error", code: "x", message: "lost" }))?.error, "lost");
  assert.equal(chatOfStream(stream({ error: "lost" }))?.error, "lost");
  assert.equal(
    chatOfStream(
      stream({ type: "response.failed", response: { status: "failed", output: [], error: { message: "lost" } } }),
    )?.error,
    "lost",
  );
});

test("a stream that is cut in the middle of an event says what was before", () => {
  assert.deepEqual(chatOfStream(`${stream(chunk({ content: "a" }))}data: {"choices":[{"del`), only({ content: "a" }));
});

test("whole answers say the same as streams", () => {
  const call = { id: "1", function: { name: "look", arguments: "{}" } };
  const message = { reasoning_content: "Hm", content: "Yes", tool_calls: [call] };
  const tools = [{ name: "look", arguments: "{}" }];
  const said = { reasoning: "Hm", content: "Yes", tools };
  assert.deepEqual(
    chatOfDocument({ choices: [{ index: 0, message, finish_reason: "stop" }] }),
    only({ ...said, stop: "stop" }),
  );

  const blocks = [
    { type: "thinking", thinking: "Hm" },
    { type: "text", text: "Yes" },
    { type: "tool_use", name: "look", input: { a: 1 } },
  ];
  assert.deepEqual(
    chatOfDocument({ type: "message", content: blocks, stop_reason: "end_turn" }),
    only({ ...said, tools: [{ name: "look", arguments: '{"a":1}' }], stop: "end_turn" }),
  );

  const output = [
    { type: "reasoning", content: [{ text: "Hm" }] },
    { type: "message", content: [{ text: "Yes" }] },
    { type: "function_call", id: "1", name: "look", arguments: "{}" },
  ];
  assert.deepEqual(
    chatOfDocument({ object: "response", status: "completed", output }),
    only({ ...said, stop: "completed" }),
  );
});

test("what is no chat is none", () => {
  for (const document of [{ data: [] }, [], null, "text", 7, { content: "no stop" }])
    assert.equal(chatOfDocument(document), null);
  assert.equal(chatOfStream("data: 7\n\ndata: nothing\n\nhello"), null);
});

test("types that are not what they should be are passed over", () => {
  const odd = {
    choices: [null, 7, { index: "x", delta: 9 }, { delta: { content: { a: 1 }, tool_calls: [null, { function: 3 }] } }],
  };
  assert.deepEqual(chatOfStream(stream(odd)), only({ tools: [{ name: "", arguments: "" }] }));
  assert.deepEqual(chatOfDocument({ type: "message", content: [null, { type: "text", text: 5 }] }), only({}));
});
