// The HTTP API: what it answers, or an ApiError that says in words what went wrong.

import { problemOf } from "../lib/problem.js";
import { queryString } from "../lib/query.js";

/** @typedef {import("../lib/query.js").Scalar} Scalar */

/**
 * @typedef {object} Options
 * @property {AbortSignal} [signal] an aborted call raises an AbortError, not an ApiError
 * @property {Record<string, Scalar | Scalar[]>} [query]
 * @property {Record<string, string>} [headers]
 */

/** An answer that is an error, or none at all. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: there was no answer
   * @param {string} message the server's words
   * @param {string} [code]
   */
  constructor(status, message, code = "") {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

export const UNREACHABLE = "Hostler cannot be reached. Is it running, and is the network up?";

/**
 * Whether a call was given up by us: nothing to tell of.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * @param {unknown} error
 * @returns {string} words for it
 */
export function wordsFor(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} JSON, or the text of what is none
 */
export function get(path, options) {
  return call("GET", path, undefined, options);
}

/**
 * @param {string} path
 * @param {unknown} [body] JSON; a FormData or Blob goes as it is; undefined: none
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export function post(path, body, options) {
  return call("POST", path, body, options);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export function put(path, body, options) {
  return call("PUT", path, body, options);
}

/**
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export function del(path, options) {
  return call("DELETE", path, undefined, options);
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} one that is no error; its body is the caller's to read
 */
export async function raw(path, init = {}) {
  const response = await answer(path, init);
  if (response.ok) return response;
  throw await failure(response);
}

/**
 * @param {Response} response one that is an error; is read to its end
 * @returns {Promise<ApiError>}
 */
export async function failure(response) {
  const body = await response.text().catch(() => "");
  const { message, code } = problemOf(response.status, response.statusText, body);
  return new ApiError(response.status, message, code);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {Options} [options]
 */
async function call(method, path, body, { signal, query, headers } = {}) {
  const asIs = body instanceof FormData || body instanceof Blob || body instanceof URLSearchParams;
  /** @type {RequestInit} */
  const init = { method, headers: { Accept: "application/json", ...headers } };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.body = asIs ? body : JSON.stringify(body);
    if (!asIs) init.headers = { "Content-Type": "application/json", ...init.headers };
  }
  const response = await raw(path + queryString(query), init);
  const type = response.headers.get("content-type") ?? "";
  const text = await read(response);
  if (!/[/+]json\b/i.test(type)) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(response.status, `The answer of ${path} is not the JSON that it says it is.`);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} init
 */
async function answer(path, init) {
  try {
    return await fetch(path, init);
  } catch (error) {
    throw isAbort(error) ? error : new ApiError(0, UNREACHABLE);
  }
}

/** @param {Response} response */
async function read(response) {
  try {
    return await response.text();
  } catch (error) {
    throw isAbort(error) ? error : new ApiError(0, "The line was lost in the middle of the answer.");
  }
}
