import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerReader } from "../../../ui/static/lib/answer.js";

/** Returns what is read of *stream*, given in pieces of *size* characters. */
function read(stream, size = stream.length) {
  const answer = new AnswerReader();
  for (let start = 0; start < stream.length; start += size) answer.push(stream.slice(start, start + size));
  answer.end();
  return answer;
}

const event = (document) => `data: ${JSON.stringify(document)}\n\n`;
const named = (document) => `event: ${document.type}\n${event(document)}`;
const delta = (words) => event({ choices: [{ index: 0, delta: words }] });

const CHAT =
  delta({ role: "assistant", content: null }) +
  delta({ reasoning_content: "Hm, " }) +
  delta({ reasoning: "well." }) +
  delta({ content: "Hello" }) +
  delta({ content: " Wörld" }) +
  event({ choices: [{ delta: {}, finish_reason: "stop" }] }) +
  event({
    model: "llama",
    choices: [],
    usage: { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } },
    timings: { prompt_per_second: 100, predicted_per_second: 20.5 },
  }) +
  "data: [DONE]\n\n";

test("a chat is read wherever it is cut", () => {
  for (const size of [1, 2, 3, 7, 50, CHAT.length]) {
    const answer = read(CHAT, size);

    assert.equal(answer.content, "Hello Wörld");
    assert.equal(answer.reasoning, "Hm, well.");
    assert.deepEqual(answer.usage, { input: 9, output: 5, cached: 4 });
    assert.deepEqual(answer.timings, { promptPerSecond: 100, perSecond: 20.5 });
    assert.deepEqual([answer.complete, answer.stopReason, answer.model, answer.error], [true, "stop", "llama", ""]);
  }
});

test("messages: thoughts, text, a tool and the usage of both ends", () => {
  const answer = read(
    named({ type: "message_start", message: { model: "m", usage: { input_tokens: 11, output_tokens: 1 } } }) +
      named({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } }) +
      named({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Hm." } }) +
      named({ type: "content_block_start", index: 1, content_block: { type: "text", text: "" } }) +
      named({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Yes." } }) +
      named({
        type: "content_block_start",
        index: 2,
        content_block: { type: "tool_use", id: "t", name: "look", input: {} },
      }) +
      named({ type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"a"' } }) +
      named({ type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: ":1}" } }) +
      named({ type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 8 } }) +
      named({ type: "message_stop" }),
    5,
  );

  assert.deepEqual([answer.reasoning, answer.content], ["Hm.", "Yes."]);
  assert.deepEqual(answer.toolCalls, [{ id: "2", name: "look", arguments: '{"a":1}' }]);
  assert.deepEqual(answer.usage, { input: 11, output: 8, cached: -1 });
  assert.deepEqual([answer.complete, answer.stopReason], [true, "tool_use"]);
});

test("responses: thoughts, text and the usage at the end", () => {
  const usage = { input_tokens: 3, input_tokens_details: { cached_tokens: 1 }, output_tokens: 2 };
  const answer = read(
    named({ type: "response.created", response: { model: "m", usage: null, error: null } }) +
      named({ type: "response.reasoning_text.delta", delta: "Hm." }) +
      named({ type: "response.output_text.delta", delta: "Yes" }) +
      named({ type: "response.output_text.delta", delta: "." }) +
      named({ type: "response.completed", response: { status: "completed", usage, error: null } }),
  );

  assert.deepEqual([answer.reasoning, answer.content, answer.model], ["Hm.", "Yes.", "m"]);
  assert.deepEqual(answer.usage, { input: 3, output: 2, cached: 1 });
  assert.deepEqual([answer.complete, answer.stopReason, answer.error], [true, "completed", ""]);
});

test("a chat's tool calls are put together from their pieces", () => {
  const piece = (index, call) => delta({ tool_calls: [{ index, ...call }] });
  const answer = read(
    piece(0, { id: "x", function: { name: "a", arguments: "" } }) +
      piece(0, { function: { arguments: "{}" } }) +
      piece(1, { id: "y", function: { name: "b", arguments: "[]" } }),
  );

  assert.deepEqual(
    answer.toolCalls.map((call) => [call.name, call.arguments]),
    [
      ["a", "{}"],
      ["b", "[]"],
    ],
  );
});

const LOADING =
  delta({ reasoning_content: "━━━━━\nllama-swap loading model: qwen\n" }) +
  delta({ reasoning_content: "." }) +
  delta({ reasoning_content: "\nQueue position: #2 \nwaiting for b; about 12 s " });
const LOADED = delta({ reasoning_content: "." }) + delta({ reasoning_content: "\nDone! (3.14s)\n━━━━━\n \n" });

test("the text of a loading model is a status and no thought", () => {
  const answer = new AnswerReader();
  answer.push(LOADING);

  assert.deepEqual([answer.loading, answer.reasoning, answer.hasBegun], ["waiting for b; about 12 s", "", false]);

  answer.push(LOADED + delta({ reasoning_content: "Hm." }) + delta({ content: "Yes." }));

  assert.deepEqual([answer.loading, answer.reasoning, answer.content], ["", "Hm.", "Yes."]);
});

test("llama-swap's loading text, five characters at a time, is told from thoughts, too", () => {
  const text = "━━━━━\nllama-swap loading model: qwen\n.. \nDone! (0.10s)\n━━━━━\n \nI think ━━━━━ so.";
  for (const size of [1, 2, 5, 6]) {
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g"));

    assert.equal(
      read(pieces.map((piece) => delta({ reasoning_content: piece })).join("")).reasoning,
      "I think ━━━━━ so.",
    );
  }
});

test("thoughts that begin with a piece of the marker are thoughts", () => {
  assert.equal(
    read(delta({ reasoning_content: "━━" }) + delta({ reasoning_content: " so" })).reasoning,
    "━━ so",
  );
  assert.equal(read(delta({ reasoning_content: "━━" })).reasoning, "━━");
});

test("pings with a status, and comments, say what is waited for", () => {
  const messages = new AnswerReader();
  messages.push(named({ type: "ping", status: "loading qwen" }));
  const responses = new AnswerReader();
  responses.push(": waiting for b; about 12 s\n\n");

  assert.equal(messages.loading, "loading qwen");
  assert.equal(responses.loading, "waiting for b; about 12 s");
});

test("errors in a stream, in each API's words", () => {
  const error = { message: "gone", type: "server_error" };

  assert.equal(read(delta({ content: "a" }) + event({ src: "llama-swap", error })).error, "gone");
  assert.equal(read(`${LOADING}${JSON.stringify({ error })}`).error, "gone");
  assert.equal(read(named({ type: "error", error })).error, "gone");
  assert.equal(read(named({ type: "error", message: "gone", code: "x" })).error, "gone");
  assert.equal(read(named({ type: "response.failed", response: { error } })).error, "gone");
});

test("thoughts between tags at the beginning are no part of the answer", () => {
  const stream =
    delta({ content: "<thi" }) +
    delta({ content: "nk>\nHm.</th" }) +
    delta({ content: "ink>\n\n" }) +
    delta({ content: "Yes." });
  const answer = read(stream);

  assert.deepEqual([answer.reasoning, answer.content], ["Hm.", "Yes."]);
});

test("tags in the middle of an answer are text", () => {
  assert.equal(read(delta({ content: "The tag <think> opens." })).content, "The tag <think> opens.");
  assert.equal(read(delta({ content: "<th" })).content, "<th");
});

test("a stream without its end is not complete", () => {
  assert.equal(read(delta({ content: "Hel" })).complete, false);
});

test("an answer in one piece is read in each API", () => {
  const whole = (document) => {
    const answer = new AnswerReader();
    answer.whole(JSON.stringify(document));
    return [answer.reasoning, answer.content, answer.stopReason, answer.complete];
  };

  assert.deepEqual(
    whole({ choices: [{ message: { content: "Yes.", reasoning_content: "Hm." }, finish_reason: "stop" }] }),
    ["Hm.", "Yes.", "stop", true],
  );
  assert.deepEqual(
    whole({
      type: "message",
      content: [
        { type: "thinking", thinking: "Hm." },
        { type: "text", text: "Yes." },
      ],
      stop_reason: "end_turn",
    }),
    ["Hm.", "Yes.", "end_turn", true],
  );
  assert.deepEqual(
    whole({
      object: "response",
      status: "completed",
      output: [
        { type: "reasoning", summary: [{ text: "Hm." }] },
        { type: "message", content: [{ type: "output_text", text: "Yes." }] },
      ],
    }),
    ["Hm.", "Yes.", "completed", true],
  );
});

test("documents of the wrong shape are passed over", () => {
  const odd = [
    null,
    1,
    [],
    { choices: 5 },
    { choices: [null] },
    { choices: [{ delta: { content: 7, tool_calls: [3] } }] },
    { usage: "x" },
  ];
  const answer = read(odd.map(event).join("") + "data: {broken\n\n" + delta({ content: "Yes." }));

  assert.deepEqual([answer.content, answer.error], ["Yes.", ""]);
});
