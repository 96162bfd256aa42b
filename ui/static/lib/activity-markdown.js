/**
 * Records as Markdown, to be pasted into an issue or a chat: a summary, the table as it is shown, and where it comes
 * from.
 */

import { COLUMN, drafts } from "./activity-columns.js";
import { UNKNOWN, absoluteTime, count, duration, isKnown, speed, sumKnown } from "./format.js";

/** @typedef {import("../types.js").ActivityRecord} Activity */

/**
 * Returns the speed over all records: their tokens divided by the time those took. Averaging the speeds themselves
 * would let a short answer count for as much as a long one.
 *
 * @param {readonly Activity[]} records
 * @param {"input_tokens" | "output_tokens"} tokens
 * @param {"prompt_per_second" | "tokens_per_second"} rate
 * @returns {number}  -1 if no speed is known.
 */
export function weightedSpeed(records, tokens, rate) {
  let sum = 0;
  let took = 0;
  for (const { tokens: its } of records) {
    if (!(its[rate] > 0 && its[tokens] > 0)) continue;
    sum += its[tokens];
    took += its[tokens] / its[rate];
  }
  return took > 0 ? sum / took : -1;
}

/**
 * @param {readonly Activity[]} records  In the order of the table.
 * @param {readonly string[]} keys  Of the columns.
 * @param {{product: string, now: string}} from  What is said in the last line.
 * @returns {string}
 */
export function markdown(records, keys, { product, now }) {
  const columns = keys.flatMap((key) => (key === "capture" ? [] : (COLUMN.get(key) ?? [])));
  const lines = table(["Summary", ""], ["left", "right"], summary(records));
  if (columns.length) {
    const rows = records.map((record) => columns.map(({ text }) => text(record)));
    lines.push(
      "",
      ...table(
        columns.map(({ label }) => label),
        columns.map(({ isNumber }) => (isNumber ? "right" : "left")),
        rows,
      ),
    );
  }
  lines.push("", `*${cell(product)} activity, ${cell(now)}*`);
  return `${lines.join("\n")}\n`;
}

/**
 * @param {readonly Activity[]} records
 * @returns {string[][]}
 */
export function summary(records) {
  const of = (/** @type {keyof Activity["tokens"]} */ member) => sumKnown(records.map(({ tokens }) => tokens[member]));
  const averaged = (/** @type {number} */ sum, /** @type {number} */ rate) =>
    isKnown(sum) && rate > 0 ? `${count(sum)} (${speed(rate)})` : count(sum);
  return [
    ["Range", range(records)],
    ["Requests", count(records.length)],
    ["Duration", duration(sumKnown(records.map((record) => record.duration_ms)))],
    ["Cached", count(of("cache_tokens"))],
    ["Prompt", averaged(of("input_tokens"), weightedSpeed(records, "input_tokens", "prompt_per_second"))],
    ["Generated", averaged(of("output_tokens"), weightedSpeed(records, "output_tokens", "tokens_per_second"))],
    ["Drafted", drafts(of("draft_acc_tokens"), of("draft_tokens"))],
  ];
}

/** @param {readonly Activity[]} records */
function range(records) {
  if (!records.length) return UNKNOWN;
  const ordered = [...records].sort((a, b) => a.id - b.id);
  const [first, last] = [ordered[0], ordered[ordered.length - 1]];
  if (first === last) return `${first.id}, ${absoluteTime(first.timestamp)}`;
  return `${first.id} to ${last.id}, ${absoluteTime(first.timestamp)} to ${absoluteTime(last.timestamp)}`;
}

/**
 * @param {readonly string[]} heads
 * @param {readonly ("left" | "right")[]} aligned
 * @param {readonly (readonly string[])[]} rows
 * @returns {string[]}
 */
function table(heads, aligned, rows) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(" | ")} |`;
  const marks = aligned.map((side) => (side === "right" ? "---:" : "---"));
  return [line(heads.map(cell)), line(marks), ...rows.map((row) => line(row.map(cell)))];
}

/**
 * Returns *text* such that it stays in its cell and is nothing but text there.
 *
 * @param {string} text
 */
function cell(text) {
  return text
    .replace(/[\u00a0\u202f]/g, " ")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
    .replace(/[\\`*_[\]<>&|~]/g, (found) => (found === "|" ? "\\|" : (ENTITIES[found] ?? `\\${found}`)));
}

/** @type {Record<string, string>} */
const ENTITIES = { "<": "&lt;", ">": "&gt;", "&": "&amp;" };
