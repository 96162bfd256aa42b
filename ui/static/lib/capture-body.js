/**
 * Bodies of captures: from Base64 to what can be shown. They hold what strangers have sent, so their type is judged
 * by their bytes where it matters, and what is shown as text can do nothing but be read.
 */

/** @typedef {"empty" | "image" | "audio" | "stream" | "json" | "text" | "binary"} Kind */

/**
 * Returns the bytes that *base64* stands for; null if it stands for none.
 *
 * @param {string | null} base64
 * @returns {Uint8Array<ArrayBuffer> | null}
 */
export function bytesOf(base64) {
  if (base64 === null) return null;
  const { fromBase64 } = /** @type {{fromBase64?: (text: string) => Uint8Array<ArrayBuffer>}} */ (Uint8Array);
  // New, and ten times as fast.
  if (fromBase64) return fromBase64.call(Uint8Array, base64);
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let place = 0; place < binary.length; place += 1) bytes[place] = binary.charCodeAt(place);
  return bytes;
}

/**
 * Returns the value of a header; "" if there is none.
 *
 * @param {Record<string, string> | null} headers
 * @param {string} name  In small letters.
 */
export function header(headers, name) {
  const found = Object.entries(headers ?? {}).find(([each]) => each.toLowerCase() === name);
  return found ? found[1] : "";
}

/**
 * Returns the media type of a picture by how it begins; "" if it is none that browsers show and that is nothing but a
 * picture: SVG is not among them.
 *
 * @param {Uint8Array} bytes
 */
export function pictureType(bytes) {
  const starts = (/** @type {number} */ at, /** @type {string} */ text) =>
    [...text].every((character, place) => bytes[at + place] === character.charCodeAt(0));
  if (starts(0, "\x89PNG\r\n")) return "image/png";
  if (starts(0, "\xff\xd8\xff")) return "image/jpeg";
  if (starts(0, "GIF8")) return "image/gif";
  if (starts(0, "RIFF") && starts(8, "WEBP")) return "image/webp";
  if (starts(4, "ftypavif")) return "image/avif";
  return "";
}

/**
 * Returns what a body is.
 *
 * @param {Uint8Array | null} bytes
 * @param {string} contentType
 * @returns {Kind}
 */
export function kindOf(bytes, contentType) {
  if (!bytes || bytes.length === 0) return "empty";
  const type = contentType.toLowerCase();
  if (pictureType(bytes)) return "image";
  if (/^(audio\/|application\/ogg)/.test(type)) return "audio";
  if (type.includes("text/event-stream")) return "stream";
  if (!isText(bytes)) return "binary";
  const start = bytes.find((byte) => byte > 32) ?? 0;
  if (type.includes("json") || start === 0x7b || start === 0x5b) return "json";
  return "text";
}

/**
 * Whether bytes are text: UTF-8, as far as a look at the first of them tells.
 *
 * @param {Uint8Array} bytes
 */
function isText(bytes) {
  const start = bytes.subarray(0, 4096);
  if (start.some((byte) => byte === 0)) return false;
  try {
    // As part of a stream: the look may end within a character.
    new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the text of a body.
 *
 * @param {Uint8Array} bytes
 */
export function textOfBytes(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

const HIDDEN = new RegExp(
  [
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]", // controls, but for tabs and the ends of lines
    "[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]", // direction
    "[\\u2028\\u2029\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]", // other ends of lines, marks and tags
    "\\p{Cs}", // halves of characters
  ].join("|"),
  "gu",
);

/**
 * Returns *text* of many lines with what would move or hide other text made visible, as `‹U+202E›`. Joiners, odd
 * spaces and marks stay, unlike in names: languages are written with them.
 *
 * @param {string} text
 */
export function shownText(text) {
  return text.replace(/\r\n/g, "\n").replace(HIDDEN, (found) => {
    const number = /** @type {number} */ (found.codePointAt(0));
    return `‹U+${number.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

/**
 * Yields *text* in pieces of about *size* characters, which end at the end of a line where there is one: a page
 * takes some of a long text at a time.
 *
 * @param {string} text
 * @param {number} size
 */
export function* pieces(text, size) {
  let start = 0;
  while (start < text.length) {
    let end = start + size;
    if (end < text.length) {
      // Within the piece alone: in a text of one line the look would go back to its beginning each time.
      const line = text.slice(start, end).lastIndexOf("\n") + 1;
      if (line > size / 2) end = start + line;
      else if (isHalf(text.charCodeAt(end - 1))) end += 1;
    }
    yield text.slice(start, end);
    start = end;
  }
}

/** @param {number} code  Whether it is the first half of a character. */
function isHalf(code) {
  return code >= 0xd800 && code < 0xdc00;
}
