import assert from "node:assert/strict";
import test from "node:test";

import {
  bytesOf,
  header,
  kindOf,
  pictureType,
  pieces,
  shownText,
  textOfBytes,
} from "../../../ui/static/lib/capture-body.js";
import { imagesIn, turnsOf } from "../../../ui/static/lib/capture-conversation.js";
import { pretty, prettyPieces } from "../../../ui/static/lib/capture-json.js";

/** @param {string} text */
const bytes = (text) => new Uint8Array(Buffer.from(text));

/** @param {string} text */
const raw = (text) => new Uint8Array(Buffer.from(text, "latin1"));

const PNG = `${Buffer.from("\x89PNG\r\n\x1a\n", "latin1").toString("base64").slice(0, -1)}${"A".repeat(81)}`;

test("bodies are Base64, and text in UTF-8", () => {
  assert.equal(bytesOf(null), null);
  assert.equal(textOfBytes(/** @type {Uint8Array} */ (bytesOf(Buffer.from("déjà 🎈").toString("base64")))), "déjà 🎈");
});

test("headers are found in any case", () => {
  assert.equal(header({ "Content-Type": "a/b" }, "content-type"), "a/b");
  assert.equal(header(null, "content-type"), "");
});

test("a picture is one by its bytes; SVG, which can hold programs, is text", () => {
  assert.equal(pictureType(raw("\x89PNG\r\n\x1a\n")), "image/png");
  assert.equal(pictureType(raw("\xff\xd8\xff\xe0")), "image/jpeg");
  assert.equal(pictureType(raw("GIF89a")), "image/gif");
  assert.equal(pictureType(raw("RIFF0000WEBP")), "image/webp");
  assert.equal(pictureType(raw("0000ftypavif")), "image/avif");
  assert.equal(kindOf(bytes("<svg onload=alert(1)>"), "image/svg+xml"), "text");
  assert.equal(kindOf(raw("\x89PNG\r\n\x1a\n"), "text/html"), "image");
});

test("kinds of bodies", () => {
  assert.equal(kindOf(null, "application/json"), "empty");
  assert.equal(kindOf(bytes(""), ""), "empty");
  assert.equal(kindOf(bytes("data: 1\n\n"), "text/event-stream; charset=utf-8"), "stream");
  assert.equal(kindOf(bytes("not json"), "application/json"), "json");
  assert.equal(kindOf(bytes(' \n{"a": 1}'), ""), "json");
  assert.equal(kindOf(bytes("hello"), "text/plain"), "text");
  assert.equal(kindOf(raw("ID3\x00"), "audio/mpeg"), "audio");
  assert.equal(kindOf(raw("\x00\x01"), ""), "binary");
  assert.equal(kindOf(raw("abc\xff\xfe"), ""), "binary");
});

test("a character at the end of the look is not taken for something that is no text", () => {
  assert.equal(kindOf(bytes(`${"x".repeat(4095)}é and more`), ""), "text");
});

test("what hides or moves text is shown; what languages are written with stays", () => {
  assert.equal(shownText("a\u202eb\u001b[31mc\r\nd\te\u0000"), "a‹U+202E›b‹U+001B›[31mc\nd\te‹U+0000›");
  for (const fine of ["نمی\u200cخواهم", "👩\u200d💻", "10\u00a0000", "é", "क\u094dष"])
    assert.equal(shownText(fine), fine);
  assert.equal(shownText("\ud800x"), "‹U+D800›x");
});

test("pieces are the whole text, cut at the ends of lines where there are some", () => {
  const text = `${"line\n".repeat(50)}${"x".repeat(90)}`;
  const found = [...pieces(text, 40)];

  assert.equal(found.join(""), text);
  assert.equal(found[0], "line\n".repeat(8));
  assert.ok(found.every((piece) => piece.length <= 41));
});

test("no piece ends within a character", () => {
  for (const piece of pieces("🎈".repeat(20), 7)) assert.ok(piece.isWellFormed?.() ?? !/[\ud800-\udbff]$/.test(piece));
});

test("JSON is indented as JSON.stringify does it", () => {
  const documents = [
    {},
    [],
    { a: 1, b: [1, 2, { c: null }], d: {}, e: [], "f:{": 'x,"}]\\' },
    "text",
    7,
    [[[]]],
    { a: [{}, {}] },
  ];
  for (const document of documents) {
    assert.equal(pretty(JSON.stringify(document)), JSON.stringify(document, null, 2));
    assert.equal(pretty(JSON.stringify(document, null, 7)), JSON.stringify(document, null, 2));
  }
});

test("figures are not rounded and names that come twice are both kept", () => {
  assert.equal(
    pretty('{"a":12345678901234567890.10,"a":1e400}'),
    '{\n  "a": 12345678901234567890.10,\n  "a": 1e400\n}',
  );
});

test("JSON that was cut anywhere is indented as far as it goes", () => {
  const text = JSON.stringify({ a: ['b\\"c', { d: true }], e: "f" });
  for (let end = 0; end <= text.length; end += 1) {
    const found = pretty(text.slice(0, end));
    assert.equal(found.replace(/\s/g, ""), text.slice(0, end).replace(/\s/g, ""));
  }
});

test("what is no JSON ends, too", () => {
  for (const text of ["}}}]", "{{{{", '"', "\\", ":,:,", "a b c"]) assert.equal(typeof pretty(text), "string");
});

test("pieces of JSON make up the whole, and none is much longer than asked for", () => {
  const text = JSON.stringify({
    list: Array.from({ length: 200 }, (_, index) => ({ index, text: "two words" })),
    long: "a b ".repeat(500),
  });
  const found = [...prettyPieces(text, 300)];

  assert.equal(found.join(""), JSON.stringify(JSON.parse(text), null, 2));
  assert.ok(
    found.every((piece) => piece.length <= 700),
    String(Math.max(...found.map((piece) => piece.length))),
  );
});

test("a long text without a space is cut short, one with spaces is not", () => {
  const shown = [...prettyPieces(JSON.stringify({ picture: "A".repeat(5000), prose: "ab ".repeat(2000) }), 1e6)].join(
    "",
  );

  assert.match(shown, /"A{199}… 4\u202f801 more characters"/);
  assert.ok(shown.includes("ab ".repeat(2000)));
});

test("a conversation is found in each API's way to say it", () => {
  const turns = turnsOf({
    messages: [
      { role: "system", content: "Be kind." },
      {
        role: "user",
        content: [
          { type: "text", text: "Look: " },
          { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
        ],
      },
      {
        role: "assistant",
        content: null,
        reasoning_content: "Hm",
        tool_calls: [{ function: { name: "look", arguments: "{}" } }],
      },
      { role: "tool", content: "seen" },
    ],
  });

  assert.deepEqual(
    turns.map(({ role, text }) => [role, text]),
    [
      ["system", "Be kind."],
      ["user", "Look: "],
      ["assistant", ""],
      ["tool", "seen"],
    ],
  );
  assert.deepEqual(turns[1].images, [`data:image/png;base64,${PNG}`]);
  assert.deepEqual(turns[2].tools, [{ name: "look", arguments: "{}" }]);
  assert.equal(turns[2].reasoning, "Hm");
});

test("Anthropic's conversation has its system prompt beside it, and blocks", () => {
  const turns = turnsOf({
    system: [{ type: "text", text: "Be kind." }],
    messages: [
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm" },
          { type: "tool_use", name: "look", input: { a: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", content: "seen" },
          { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } },
        ],
      },
    ],
  });

  assert.equal(turns[0].text, "Be kind.");
  assert.deepEqual(turns[1].tools, [{ name: "look", arguments: '{"a":1}' }]);
  assert.equal(turns[1].reasoning, "Hm");
  assert.equal(turns[2].text, "seen");
  assert.equal(turns[2].images.length, 1);
});

test("Responses have instructions and an input, a text or a list", () => {
  assert.deepEqual(
    turnsOf({ instructions: "Be kind.", input: "Hello" }).map(({ role, text }) => [role, text]),
    [
      ["system", "Be kind."],
      ["user", "Hello"],
    ],
  );
  const turns = turnsOf({
    input: [
      { role: "user", content: [{ type: "input_text", text: "Hello" }] },
      { type: "reasoning", summary: [{ text: "Hm" }] },
      { type: "function_call", name: "look", arguments: "{}" },
      { type: "function_call_output", output: "seen" },
    ],
  });

  assert.deepEqual(
    turns.map(({ role, text }) => [role, text]),
    [
      ["user", "Hello"],
      ["assistant", ""],
      ["assistant", ""],
      ["tool", "seen"],
    ],
  );
});

test("what holds no conversation holds none", () => {
  for (const document of [
    null,
    7,
    [],
    {},
    { input: ["a", "b"] },
    { messages: [1, null] },
    { messages: "x", voice: "a" },
  ]) {
    assert.deepEqual(turnsOf(document), []);
  }
  assert.equal(turnsOf({ prompt: "Go on" })[0].text, "Go on");
});

test("pictures are found anywhere, each once, and nothing else is taken for one", () => {
  const address = `data:image/png;base64,${PNG}`;
  assert.deepEqual(imagesIn({ data: [{ b64_json: PNG }], images: [PNG, address] }), [address]);
  const others = [
    "data:text/html;base64,AAAA",
    `data:image/svg+xml;base64,${PNG}`,
    "javascript:alert(1)",
    "https://a/b.png",
    `data:image/png;base64,${PNG}"><b>`,
  ];
  assert.deepEqual(imagesIn({ others: others.map((each) => each.padEnd(80)), vector: [1, 2, 3] }), []);
});
