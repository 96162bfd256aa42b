import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerReader } from "../../../ui/static/lib/answer.js";
import { chatOfDocument, chatOfStream } from "../../../ui/static/lib/sse-chat.js";

const event = (document) => `event: ${document.type ?? "message"}\ndata: ${JSON.stringify(document)}\n\n`;
const chunk = (delta, finish_reason = null) => ({ choices: [{ index: 0, delta, finish_reason }] });
const call = (index, id, name, text) => ({ index, id, function: { name, arguments: text } });

/** An answer with thoughts, text and two calls, as each API streams it. */
const STREAMS = {
  chat: [
    chunk({ role: "assistant", content: null }),
    chunk({ reasoning_content: "Hm." }),
    chunk({ content: "Yes." }),
    chunk({ tool_calls: [call(0, "a", "look", "")] }),
    chunk({ tool_calls: [call(0, undefined, undefined, "{}")] }),
    chunk({ tool_calls: [call(1, "b", "hear", "[]")] }),
    chunk({}, "done"),
  ],
  messages: [
    { type: "message_start", message: { content: [] } },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "Hm." } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Yes." } },
    { type: "content_block_start", index: 2, content_block: { type: "tool_use", id: "a", name: "look", input: {} } },
    { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: "{}" } },
    { type: "content_block_start", index: 3, content_block: { type: "tool_use", id: "b", name: "hear" } },
    { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: "[]" } },
    { type: "message_delta", delta: { stop_reason: "done" } },
    { type: "message_stop" },
  ],
  responses: [
    { type: "response.reasoning_summary_text.delta", delta: "Hm." },
    { type: "response.output_text.delta", output_index: 1, delta: "Yes." },
    { type: "response.output_item.added", output_index: 2, item: { type: "function_call", id: "a", name: "look" } },
    { type: "response.function_call_arguments.delta", output_index: 2, delta: "{}" },
    { type: "response.output_item.added", output_index: 3, item: { type: "function_call", id: "b", name: "hear" } },
    { type: "response.function_call_arguments.delta", output_index: 3, delta: "[]" },
    { type: "response.completed", response: { status: "done", output: [{ type: "message", content: "Yes." }] } },
  ],
};

const TOOLS = [
  { name: "look", arguments: "{}" },
  { name: "hear", arguments: "[]" },
];
const SAID = { reasoning: "Hm.", content: "Yes.", tools: TOOLS, stop: "done" };

/** What the chat shows, in the words of a capture. */
const shown = ({ reasoning, content, toolCalls, stopReason }) => ({
  reasoning,
  content,
  tools: toolCalls.map(({ name, arguments: text }) => ({ name, arguments: text })),
  stop: stopReason,
});

for (const [api, documents] of Object.entries(STREAMS)) {
  test(`the chat and the capture of it read the same in a stream of ${api}`, () => {
    const text = documents.map(event).join("");
    const answer = new AnswerReader();
    answer.push(text);
    answer.end();

    assert.deepEqual(shown(answer), SAID);
    assert.equal(answer.complete, true);
    assert.deepEqual(chatOfStream(text), { choices: [SAID], error: "" });
  });
}

test("several calls of a whole answer stay apart, in the chat and in the capture of it", () => {
  const calls = [call(undefined, "a", "look", "{}"), call(undefined, "b", "hear", "[]")];
  const message = { reasoning_content: "Hm.", content: "Yes.", tool_calls: calls };
  const document = { choices: [{ index: 0, message, finish_reason: "done" }] };
  const answer = new AnswerReader();
  answer.whole(JSON.stringify(document));

  assert.deepEqual(shown(answer), SAID);
  assert.deepEqual(chatOfDocument(document), { choices: [SAID], error: "" });
});
