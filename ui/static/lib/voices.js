/**
 * The voices of a text-to-speech server. PURE.
 */

import { fileWords } from "./images.js";

/** What is offered of a server that does not say: OpenAI's, which most servers know. */
export const DEFAULT_VOICES = [
  "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
];

/**
 * Returns the voices in an answer of `/v1/audio/voices`, which servers give in several shapes, each voice once.
 *
 * @param {unknown} document an array, or `voices` with one, of texts or of objects with `id`, `voice_id` or `name`
 * @returns {string[]} empty: it tells of none
 */
export function voicesIn(document) {
  const list = Array.isArray(document) ? document : isObject(document) && Array.isArray(document.voices) ? document.voices : [];
  const names = list.map((each) => (isObject(each) ? (each.id ?? each.voice_id ?? each.name) : each));
  return [...new Set(names.filter((name) => typeof name === "string" && name !== ""))];
}

/**
 * Returns the voice to go on with when the voices have changed.
 *
 * @param {readonly string[]} voices
 * @param {string} chosen
 */
export function voiceAmong(voices, chosen) {
  return voices.includes(chosen) ? chosen : (voices[0] ?? "");
}

/**
 * @param {string} text what is said
 * @param {string} type the sound's media type; servers that answer in something else than they were asked for are not rare
 * @returns {string} a name for the file
 */
export function soundName(text, type) {
  const ending = /wav/.test(type) ? "wav" : /ogg|opus/.test(type) ? "ogg" : /flac/.test(type) ? "flac" : "mp3";
  return `${fileWords(text) || "speech"}.${ending}`;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
