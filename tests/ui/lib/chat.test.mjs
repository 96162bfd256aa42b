import assert from "node:assert/strict";
import { test } from "node:test";
import { before, spoken, surplus, titleOf } from "../../../ui/static/lib/chat-conversation.js";
import { wordsOf } from "../../../ui/static/lib/chat-errors.js";
import { generationSpeed, milliseconds } from "../../../ui/static/lib/chat-figures.js";
import { talkers } from "../../../ui/static/lib/chat-models.js";
import { conversationOf, dialectOf } from "../../../ui/static/lib/chat-replay.js";
import { explain } from "../../../ui/static/lib/chat-waiting.js";
import { lengths, marked, stretches } from "../../../ui/static/lib/compare-lanes.js";

const asked = (id, text, pictures = []) => ({ id, role: "user", text, pictures });
const answered = (id, content) => ({ id, role: "assistant", answer: { content } });

test("a conversation is called after its first question", () => {
  assert.equal(titleOf([]), "New chat");
  assert.equal(titleOf([asked("1", "  Why is\nthe sky blue?  ")]), "Why is the sky blue?");
  assert.equal(titleOf([asked("1", "", [{ url: "data:," }])]), "A picture");
  assert.match(titleOf([asked("1", "word ".repeat(40))]), /^(word )+…$/);
  assert.equal(titleOf([asked("1", "x".repeat(80))]).length, 62);
});

test("a model is told question and answer in turn, without answers that never came", () => {
  const turns = [asked("1", "a"), answered("2", ""), asked("3", "b"), answered("4", "B"), asked("5", "c")];

  assert.deepEqual(
    spoken(turns).map(({ role, text }) => [role, text]),
    [
      ["user", "b"],
      ["assistant", "B"],
      ["user", "c"],
    ],
  );
});

test("what comes before a turn", () => {
  const turns = [asked("1", "a"), answered("2", "A"), asked("3", "b")];

  assert.deepEqual(
    before(turns, "3").map(({ id }) => id),
    ["1", "2"],
  );
  assert.deepEqual(
    before(turns, "9").map(({ id }) => id),
    ["1", "2", "3"],
  );
});

test("the oldest conversations go first, the newest never", () => {
  const kept = [1, 2, 3].map((n) => ({ id: String(n), title: "", updatedAt: n, bytes: 100 }));

  assert.deepEqual(surplus(kept, { count: 2, bytes: 1000 }), ["1"]);
  assert.deepEqual(surplus(kept, { count: 9, bytes: 150 }), ["2", "1"]);
  assert.deepEqual(surplus(kept, { count: 9, bytes: 10 }), ["2", "1"]);
  assert.deepEqual(surplus(kept, { count: 9, bytes: 300 }), []);
});

const MEASURED = {
  totalMs: 3000,
  firstMs: 1000,
  lastMs: 3000,
  queuedMs: -1,
  swapMs: -1,
  usage: { input: 5, output: 41, cached: -1 },
  timings: { promptPerSecond: -1, perSecond: -1 },
};

test("a speed is the server's, or measured, or not known", () => {
  assert.deepEqual(generationSpeed(MEASURED), { perSecond: 20, isMeasured: true });
  assert.deepEqual(generationSpeed({ ...MEASURED, timings: { promptPerSecond: 1, perSecond: 33 } }), {
    perSecond: 33,
    isMeasured: false,
  });
  assert.equal(generationSpeed({ ...MEASURED, usage: { ...MEASURED.usage, output: -1 } }).perSecond, -1);
  assert.equal(generationSpeed({ ...MEASURED, lastMs: 1001 }).perSecond, -1);
  assert.equal(generationSpeed({ ...MEASURED, firstMs: -1 }).perSecond, -1);
});

test("a header that is missing or no number is not known", () => {
  assert.deepEqual(["12", "0", null, "", "x", "-3"].map(milliseconds), [12, 0, -1, -1, -1, -1]);
});

test("every failure has words", () => {
  for (const status of [0, 400, 404, 429, 500, 502, 503, 504, 418]) assert.ok(wordsOf(status).title, String(status));
});

const MODELS = [
  { id: "llama", name: "Llama", state: "ready", peerID: "", aliases: ["gpt"] },
  { id: "qwen", name: "", state: "stopped", peerID: "" },
  { id: "far/big", name: "", state: "", peerID: "far" },
];
const REQUEST = { id: "7", model: "qwen", req_headers: { "X-Request-Id": "mine" } };
const WAITING = {
  position: 1,
  model: "qwen",
  ticket: 1,
  request_id: "7",
  waited_ms: 5,
  estimated_ms: 4000,
  overdue: false,
  held_by: [{ model: "llama", state: "ready", in_flight: 2 }],
};
const NOTHING = { queue: [], length: 0, limit: 10, models: {} };
const circumstances = (changes) => ({
  model: "qwen",
  requestId: "mine",
  queue: NOTHING,
  inflight: [REQUEST],
  models: MODELS,
  isConnected: true,
  loading: "",
  ...changes,
});

test("who waits is told its place, who is in the way, and for how long", () => {
  const told = explain(circumstances({ queue: { ...NOTHING, queue: [WAITING] } }));

  assert.equal(told.stage, "queued");
  assert.equal(told.title, "Next in line for qwen");
  assert.deepEqual(told.details, ["Llama has to go first; it still answers 2 requests."]);
  assert.equal(told.estimatedMs, 4000);
});

test("places are counted in words", () => {
  const place = (position) =>
    explain(circumstances({ queue: { ...NOTHING, queue: [{ ...WAITING, position }] } })).title;

  assert.deepEqual(
    [2, 3, 4, 11, 12, 21, 112].map((n) => place(n).split(" ")[0]),
    ["2nd", "3rd", "4th", "11th", "12th", "21st", "112th"],
  );
});

test("a model that is loaded is said to be, with its estimate or that there is none", () => {
  const queue = (estimated_ms) => ({
    ...NOTHING,
    models: { qwen: { state: "starting", in_flight: 0, waiting: 0, estimated_ms } },
  });

  assert.deepEqual(explain(circumstances({ queue: queue(9000) })), {
    stage: "loading",
    title: "qwen is being loaded",
    details: [],
    estimatedMs: 9000,
  });
  assert.match(explain(circumstances({ queue: queue(null) })).details[0], /not known yet/);
});

test("a model that is ready reads the question; a peer's is only known by name", () => {
  assert.equal(
    explain(circumstances({ inflight: [{ ...REQUEST, model: "llama" }] })).title,
    "Llama reads the question",
  );
  assert.equal(
    explain(circumstances({ inflight: [{ ...REQUEST, model: "far/big" }] })).title,
    "Waiting for far/big of far",
  );
});

test("a model that is not loaded reads nothing, even before the queue tells of the request", () => {
  const models = [{ id: "llama", name: "Llama", description: "", state: "stopped", unlisted: false, peerID: "" }];
  const told = explain(circumstances({ models, inflight: [{ ...REQUEST, model: "llama" }] }));

  assert.deepEqual([told.stage, told.title], ["queued", "In line for Llama"]);
});

test("somebody else's request explains nothing of ours", () => {
  const told = explain(circumstances({ inflight: [{ ...REQUEST, req_headers: {} }], loading: "waiting for b" }));

  assert.deepEqual([told.stage, told.details], ["sent", ["Waiting for b."]]);
});

test("without a connection nothing is claimed of the queue", () => {
  const told = explain(circumstances({ queue: { ...NOTHING, queue: [WAITING] }, isConnected: false }));

  assert.deepEqual([told.stage, told.estimatedMs], ["unknown", null]);
});

test("stages follow one another, and the first began when it was sent", () => {
  let marks = marked([], "queued", 120, 0);
  marks = marked(marks, "queued", 200, 0);
  marks = marked(marks, "loading", 1000, 0);
  marks = marked(marks, "answering", 3000, 0);

  assert.deepEqual(lengths(stretches(marks, 4000)), [
    { stage: "queued", ms: 1000 },
    { stage: "loading", ms: 2000 },
    { stage: "answering", ms: 1000 },
  ]);
});

test("an answer of which nothing was known before has been read in between", () => {
  assert.deepEqual(marked([{ stage: "turn", fromMs: 0 }], "answering", 900, 500), [
    { stage: "turn", fromMs: 0 },
    { stage: "reading", fromMs: 500 },
    { stage: "answering", fromMs: 900 },
  ]);
});

test("whom to talk to: ours that are ready, that say they talk, ours, others'; nobody who does something else", () => {
  const whisper = { id: "whisper", state: "ready", peerID: "", capabilities: { audio_transcriptions: true } };
  const hidden = { id: "hidden", state: "ready", peerID: "", unlisted: true };

  const seer = { id: "seer", state: "stopped", peerID: "", capabilities: { vision: true } };

  assert.deepEqual(talkers([whisper, hidden, MODELS[2], MODELS[1], seer, MODELS[0]]), [
    "llama",
    "seer",
    "qwen",
    "far/big",
  ]);
});

const capture = (req_path, body, more = {}) => ({
  req_path,
  req_body: Buffer.from(JSON.stringify(body)).toString("base64"),
  ...more,
});
const PICTURE = "data:image/png;base64,AAAA";

test("a captured chat is taken apart, and what has no field goes along as it is", () => {
  const replayed = conversationOf(
    capture("/v1/chat/completions", {
      model: "llama",
      stream: false,
      temperature: 0.2,
      max_tokens: 9,
      stop: ["a", "b"],
      min_p: 0.1,
      tools: [{ type: "function" }],
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hällo" },
        { role: "assistant", content: "Yes?" },
        {
          role: "user",
          content: [
            { type: "text", text: "This?" },
            { type: "image_url", image_url: { url: PICTURE } },
          ],
        },
      ],
    }),
  );

  assert.equal(replayed.model, "llama");
  assert.deepEqual(
    replayed.turns.map((turn) => turn.text ?? turn.answer.content),
    ["Hällo", "Yes?"],
  );
  assert.deepEqual(replayed.question, { text: "This?", pictures: [{ url: PICTURE }] });
  const { extra, ...settings } = replayed.settings;
  assert.deepEqual(settings, {
    dialect: "chat",
    system: "Be brief.",
    temperature: 0.2,
    maxTokens: 9,
    topP: null,
    seed: null,
    stop: "a\nb",
  });
  assert.deepEqual(JSON.parse(extra), { min_p: 0.1, tools: [{ type: "function" }] });
});

test("messages and responses are replayed by their own API", () => {
  const source = { type: "base64", media_type: "image/png", data: "AAAA" };
  const messages = conversationOf(
    capture("/v1/messages", {
      model: "m",
      system: [{ type: "text", text: "Be brief." }],
      stop_sequences: ["x"],
      messages: [
        {
          role: "user",
          content: [
            { type: "image", source },
            { type: "text", text: "This?" },
          ],
        },
      ],
    }),
  );
  const responses = conversationOf(
    capture("/v1/responses?a=b", { model: "m", instructions: "Be brief.", input: "Hello", max_output_tokens: 3 }),
  );

  assert.deepEqual(
    [messages.settings.dialect, messages.settings.system, messages.settings.stop],
    ["messages", "Be brief.", "x"],
  );
  assert.deepEqual(messages.question, { text: "This?", pictures: [{ url: PICTURE }] });
  assert.deepEqual(
    [responses.settings.dialect, responses.settings.system, responses.settings.maxTokens],
    ["responses", "Be brief.", 3],
  );
  assert.equal(responses.question.text, "Hello");
});

test("a completion's prompt is a question", () => {
  assert.equal(conversationOf(capture("/v1/completions", { model: "m", prompt: "Once" })).question.text, "Once");
});

test("what cannot be replayed says why", () => {
  assert.match(conversationOf(capture("/v1/embeddings", {})).reason, /no chat/);
  assert.match(conversationOf(capture("/v1/chat/completions", {}, { req_truncated: true })).reason, /too long/);
  assert.match(conversationOf({ req_path: "/v1/messages", req_body: null }).reason, /not kept/);
});

test("which API a path belongs to", () => {
  const paths = [
    "/v1/chat/completions",
    "/v/messages",
    "/v1/responses",
    "/completion",
    "/v1/messages/count_tokens",
    "/v1/rerank",
  ];

  assert.deepEqual(paths.map(dialectOf), ["chat", "messages", "responses", "chat", null, null]);
});
