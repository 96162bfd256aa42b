import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULT_VOICES, soundName, voiceAmong, voicesIn } from "../../../ui/static/lib/voices.js";

test("voices are read from every shape that servers give them in", () => {
  assert.deepEqual(voicesIn(["a", "b", "a", ""]), ["a", "b"]);
  assert.deepEqual(voicesIn({ voices: ["a"] }), ["a"]);
  assert.deepEqual(voicesIn({ voices: [{ id: "a", name: "Anna" }, { voice_id: "b" }, { name: "c" }] }), ["a", "b", "c"]);
});

test("what tells of no voices has none", () => {
  for (const document of [null, "text", 3, {}, { voices: "a" }, [null, {}, 1, { id: 2 }]]) assert.deepEqual(voicesIn(document), []);
});

test("a voice stays chosen as long as there is one of that name", () => {
  assert.equal(voiceAmong(["a", "b"], "b"), "b");
  assert.equal(voiceAmong(["a", "b"], "c"), "a");
  assert.equal(voiceAmong([], "c"), "");
  assert.equal(voiceAmong(DEFAULT_VOICES, ""), "alloy");
});

test("a sound is called by what is said, and ends as what it is", () => {
  assert.equal(soundName("Hello, world!", "audio/mpeg"), "hello-world.mp3");
  assert.equal(soundName("…", "audio/x-wav"), "speech.wav");
  assert.equal(soundName("a", "audio/ogg"), "a.ogg");
  assert.equal(soundName("a", "audio/flac"), "a.flac");
  assert.equal(soundName("a", ""), "a.mp3");
});
