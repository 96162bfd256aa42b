// What went wrong, in words: errors come in the shapes of several APIs, and from model servers of all kinds.

import { plain } from "./bidi.js";

const LONGEST = 2000;

/**
 * @param {unknown} document parsed JSON
 * @returns {{message: string, code: string} | null} null: it tells of no error
 */
export function problemIn(document) {
  if (typeof document === "string") return document.trim() ? { message: cut(document), code: "" } : null;
  if (!isObject(document)) return null;
  const { error } = document;
  if (isObject(error)) {
    // OpenAI's {error: {message, type, code}} and Anthropic's {type: "error", error: {type, message}}.
    const inner = text(error.message) || text(error.detail) || text(error.error);
    const code = text(error.code) || text(error.type);
    if (inner || code) return { message: cut(inner || code), code };
  }
  const message = text(error) || text(document.message) || told(document.detail) || text(document.msg);
  if (!message) return null;
  // OpenAI Responses' {type: "error", code, message}.
  return { message: cut(message), code: text(document.code) };
}

/**
 * @param {number} status
 * @param {string} statusText
 * @param {string} body
 * @returns {{message: string, code: string}} what an answer says that is an error
 */
export function problemOf(status, statusText, body) {
  const line = `The server answered ${status}${statusText ? ` ${statusText}` : ""}.`;
  const start = body.trimStart();
  // A page is for browsers' windows, not for a line of text.
  if (!start || start.startsWith("<")) return { message: line, code: "" };
  try {
    return problemIn(JSON.parse(body)) ?? { message: line, code: "" };
  } catch {
    return { message: cut(start.replace(/^llama-swap: /, "").trim()), code: "" };
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

/**
 * FastAPI's `detail`: a text, or a list of what is wrong where.
 * @param {unknown} detail
 */
function told(detail) {
  if (!Array.isArray(detail)) return text(detail);
  return detail
    .filter(isObject)
    .map((entry) => {
      const where = Array.isArray(entry.loc) ? entry.loc.join(".") : "";
      return where ? `${where}: ${text(entry.msg)}` : text(entry.msg);
    })
    .join("; ");
}

/** @param {string} message */
function cut(message) {
  const lines = message.split("\n").map(plain).join("\n");
  return lines.length > LONGEST ? `${lines.slice(0, LONGEST)}…` : lines;
}
