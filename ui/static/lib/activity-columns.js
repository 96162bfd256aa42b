/**
 * The columns of the activity: what each is called, what it is sorted by, and what it says of a record as text.
 */

import { UNKNOWN, absoluteTime, bytes, count, duration, percent, seconds, speed } from "./format.js";

/** @typedef {import("../types.js").ActivityRecord} Activity */

/**
 * @typedef {object} ActivityColumn
 * @property {string} key
 * @property {string} label
 * @property {string} title  What it means, "" if the label says it.
 * @property {string} sort   The API's name for sorting by it; "" if it cannot.
 * @property {boolean} isNumber  Aligned by its end.
 * @property {boolean} isInitial  Shown before anybody has chosen.
 * @property {(record: Activity) => string} text
 */

/**
 * Whether anything is known of a record's tokens: a request that failed, or an answer that says nothing of them, has
 * 0 in every figure. Source: compatibility specification 6.4.
 *
 * @param {Activity} record
 */
export function tellsTokens(record) {
  return Object.values(record.tokens).some((figure) => figure !== 0);
}

/**
 * @param {Activity} record
 * @param {"input_tokens" | "output_tokens" | "cache_tokens"} member
 */
function tokens(record, member) {
  return tellsTokens(record) ? count(record.tokens[member]) : UNKNOWN;
}

/**
 * A speed; one with ≈ before it was measured here, for want of the server's own figure.
 *
 * @param {Activity} record
 * @param {"prompt_per_second" | "tokens_per_second"} member
 */
function rate(record, member) {
  const text = speed(record.tokens[member]);
  return record.measured && text !== UNKNOWN ? `≈ ${text}` : text;
}

/**
 * Returns the share of drafted tokens that were taken: `70.0% (7/10)`.
 *
 * @param {number} accepted
 * @param {number} drafted
 */
export function drafts(accepted, drafted) {
  if (!(drafted > 0) || accepted < 0) return UNKNOWN;
  return `${percent(accepted / drafted)} (${count(accepted)}/${count(drafted)})`;
}

/** @param {Record<string, string> | undefined} metadata */
function pairs(metadata) {
  return Object.entries(metadata ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/** @typedef {Partial<Omit<ActivityColumn, "key" | "label" | "text">>} More */

/**
 * @param {string} key
 * @param {string} label
 * @param {(record: Activity) => string} text
 * @param {More} [more]
 * @returns {ActivityColumn}
 */
function column(key, label, text, more) {
  return { key, label, text, title: "", sort: "", isNumber: false, isInitial: false, ...more };
}

const INITIAL = { isInitial: true };
const NUMBER = { isNumber: true };

/** @type {readonly ActivityColumn[]} */
export const COLUMNS = Object.freeze([
  column("id", "ID", (record) => String(record.id), { ...INITIAL, sort: "id" }),
  column("time", "Time", (record) => absoluteTime(record.timestamp), {
    ...INITIAL,
    sort: "time",
    title: "When it ended",
  }),
  column("model", "Model", (record) => record.model, { ...INITIAL, sort: "model" }),
  column("method", "Method", (record) => record.method),
  column("path", "Path", (record) => record.req_path, { sort: "req_path" }),
  column("status", "Status", (record) => String(record.resp_status_code), { ...INITIAL, sort: "resp_status_code" }),
  column("content_type", "Content-Type", (record) => record.resp_content_type, { sort: "resp_content_type" }),
  column("error", "Error", (record) => record.error_msg ?? ""),
  column("cached", "Cached", (record) => tokens(record, "cache_tokens"), {
    ...INITIAL,
    ...NUMBER,
    sort: "cached",
    title: "Prompt tokens from cache",
  }),
  column("prompt", "Prompt", (record) => tokens(record, "input_tokens"), {
    ...INITIAL,
    ...NUMBER,
    sort: "prompt",
    title: "New prompt tokens processed",
  }),
  column("generated", "Generated", (record) => tokens(record, "output_tokens"), {
    ...INITIAL,
    ...NUMBER,
    sort: "generated",
    title: "Tokens generated",
  }),
  column("drafted", "Drafted", (record) => drafts(record.tokens.draft_acc_tokens, record.tokens.draft_tokens), {
    ...NUMBER,
    sort: "drafted",
    title: "Share of the tokens proposed by a draft model that were taken",
  }),
  column("prompt_speed", "Prefill", (record) => rate(record, "prompt_per_second"), {
    ...INITIAL,
    ...NUMBER,
    sort: "prompt_speed",
    title: "Speed of reading the prompt; ≈ as measured by Hostler",
  }),
  column("gen_speed", "Decode", (record) => rate(record, "tokens_per_second"), {
    ...INITIAL,
    ...NUMBER,
    sort: "gen_speed",
    title: "Speed of generating; ≈ as measured by Hostler",
  }),
  column("duration", "Duration", (record) => seconds(record.duration_ms), {
    ...INITIAL,
    ...NUMBER,
    sort: "duration",
    title: "From its arrival to its end, waiting and loading included",
  }),
  column("ttft", "First token", (record) => seconds(record.ttft_ms), {
    ...NUMBER,
    sort: "ttft",
    title: "From its arrival to the first token of a stream",
  }),
  column("queued", "Queued", (record) => duration(record.queued_ms), {
    ...NUMBER,
    sort: "queued",
    title: "Waiting for its turn",
  }),
  column("swap", "Swap", (record) => duration(record.swap_ms), {
    ...NUMBER,
    sort: "swap",
    title: "Waiting for models to be unloaded and loaded",
  }),
  column("stop_reason", "Stop reason", (record) => record.stop_reason, {
    title: "Why the model stopped, in its own words",
  }),
  column("session", "Session", (record) => record.session_id),
  column("client", "Client", (record) => record.client, { title: "The address it came from" }),
  column("key", "Key", (record) => record.key_fingerprint, { title: "Fingerprint of the API key: tells keys apart" }),
  column("sent", "Sent", (record) => bytes(record.req_bytes), { ...NUMBER, title: "Length of the request's body" }),
  column("received", "Received", (record) => bytes(record.resp_bytes), {
    ...NUMBER,
    title: "Length of the answer's body",
  }),
  column("capture", "Capture", (record) => (record.has_capture ? "yes" : ""), {
    ...INITIAL,
    title: "Headers and bodies",
  }),
  column("meta", "Meta", (record) => pairs(record.metadata), { title: "How it was dispatched" }),
]);

/** @type {ReadonlyMap<string, ActivityColumn>} */
export const COLUMN = new Map(COLUMNS.map((each) => [each.key, each]));

/** @type {readonly string[]} */
export const INITIAL_COLUMNS = Object.freeze(COLUMNS.filter((each) => each.isInitial).map(({ key }) => key));

/** @type {readonly string[]} */
export const SORTS = Object.freeze(COLUMNS.map(({ sort }) => sort).filter(Boolean));

/**
 * Whether a stored choice of columns is one: an older or newer page may have known others.
 *
 * @param {unknown} keys
 * @returns {keys is string[]}
 */
export function areColumns(keys) {
  return (
    Array.isArray(keys) && keys.length > 0 && new Set(keys).size === keys.length && keys.every((key) => COLUMN.has(key))
  );
}

/** @type {Record<number, string>} */
const STATUSES = {
  400: "the request could not be understood",
  401: "no valid key",
  404: "no such model",
  408: "the request came too slowly",
  413: "the request is too large",
  429: "too many requests at once",
  499: "the client left before the answer began",
  500: "the model could not be started",
  502: "the model's server failed, or the request was cancelled",
  503: "nothing could serve it just then",
  504: "the model's server took too long",
};

/**
 * Returns what a status means here, for a tooltip; "" where nothing needs to be said.
 *
 * @param {Activity} record
 */
export function statusWords(record) {
  return record.error_msg || STATUSES[record.resp_status_code] || "";
}

/**
 * Returns how good an outcome was. A stream that broke has an error, though its status is 200.
 *
 * @param {Activity} record
 * @returns {"good" | "busy" | "bad" | "neutral"}
 */
export function outcome(record) {
  const code = record.resp_status_code;
  if (code === 499) return "busy";
  if (code >= 400 || code === 0) return "bad";
  if (record.error_msg) return "busy";
  return code < 300 ? "good" : "neutral";
}
