import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream } from "../../../ui/static/lib/event-stream.js";

const STREAM = 'event: ping\r\ndata: {"a": 1}\r\n\r\n: waiting\n\ndata: one\ndata: two\n\nid: 3\ndata:three\n\n';
const EVENTS = [
  { event: "ping", data: '{"a": 1}' },
  { comment: "waiting" },
  { event: "", data: "one\ntwo" },
  { event: "", data: "three" },
];

test("the events are the same wherever the stream is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const stream = new EventStream();
    const found = [...stream.push(STREAM.slice(0, cut)), ...stream.push(STREAM.slice(cut)), ...stream.end()];

    assert.deepEqual(found, EVENTS, `cut at ${cut}`);
  }
});

test("an event of which the empty line is missing comes with the end", () => {
  const stream = new EventStream();

  assert.deepEqual(stream.push("data: [DONE]"), []);
  assert.deepEqual(stream.end(), [{ event: "", data: "[DONE]" }]);
});

test("a document written bare into a stream is an event", () => {
  const stream = new EventStream();

  assert.deepEqual(stream.push('data: a\n\n{"error": {"message": "no"}}\n').at(-1), {
    event: "",
    data: '{"error": {"message": "no"}}',
  });
});

test("a byte order mark is passed over", () => {
  assert.deepEqual(new EventStream().push("\uFEFFdata: a\n\n"), [{ event: "", data: "a" }]);
});
