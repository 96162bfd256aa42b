// Figures and times as they are shown. What is not known (-1, NaN, null) is a dash, never a number.

export const UNKNOWN = "–";

/** Between a number's groups and before its unit: narrow, and no line breaks there. */
const NARROW = "\u202f";
const SPACE = "\u00a0";

/**
 * Whether a figure of the API is one: it says -1 for what it does not know.
 * @param {number | null | undefined} value
 * @returns {value is number}
 */
export function isKnown(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/**
 * @param {number | null | undefined} value
 * @returns {string} a whole number in groups of three: "12 345"
 */
export function count(value) {
  if (!isKnown(value)) return UNKNOWN;
  return Math.round(value).toLocaleString("en-US", { useGrouping: true }).replaceAll(",", NARROW);
}

/**
 * @param {number | null | undefined} ms
 * @returns {string} as precise as somebody who waits wants it: "8 ms", "3.1 s", "2 min 05 s", "3 h 07 min", "4 d 2 h"
 */
export function duration(ms) {
  if (!isKnown(ms)) return UNKNOWN;
  if (ms < 999.5) return `${Math.round(ms)}${SPACE}ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)}${SPACE}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}${SPACE}s`;
  if (seconds < 3600) return pair(seconds, 60, "min", "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return pair(minutes, 60, "h", "min");
  return pair(Math.round(minutes / 60), 24, "d", "h", 1);
}

/**
 * @param {number} value
 * @param {number} size of the larger unit in smaller ones
 * @param {string} large
 * @param {string} small
 * @param {number} [digits] of the smaller one
 */
function pair(value, size, large, small, digits = 2) {
  const rest = String(value % size).padStart(digits, "0");
  return `${Math.floor(value / size)}${SPACE}${large}${SPACE}${rest}${SPACE}${small}`;
}

/**
 * @param {number | null | undefined} ms
 * @returns {string} for columns, where figures should line up: "3.14 s"
 */
export function seconds(ms) {
  return isKnown(ms) ? `${grouped(ms / 1000, 2)}${SPACE}s` : UNKNOWN;
}

/**
 * @param {number | null | undefined} tokensPerSecond 0 is as unknown as -1: nothing was generated at that speed
 * @returns {string} "41.70 t/s"
 */
export function speed(tokensPerSecond) {
  if (!isKnown(tokensPerSecond) || tokensPerSecond === 0) return UNKNOWN;
  return `${grouped(tokensPerSecond, 2)}${SPACE}t/s`;
}

/**
 * @param {number} value
 * @param {number} decimals
 */
function grouped(value, decimals) {
  const format = { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: true };
  return value.toLocaleString("en-US", format).replaceAll(",", NARROW);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * @param {number | null | undefined} value
 * @returns {string} in units of 1024: "512 B", "4.6 KiB", "312 MiB"
 */
export function bytes(value) {
  if (!isKnown(value)) return UNKNOWN;
  let size = value;
  let unit = 0;
  // From what would be shown as 1024 on: 1023.9 KiB is 1.0 MiB.
  while (size >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const shown = unit === 0 || size >= 99.95 ? String(Math.round(size)) : size.toFixed(1);
  return `${shown}${SPACE}${BYTE_UNITS[unit]}`;
}

/**
 * @param {number | null | undefined} share of 1
 * @returns {string} "42%"; under ten with a decimal
 */
export function percent(share) {
  if (!isKnown(share)) return UNKNOWN;
  const value = share * 100;
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(1)}%`;
}

/**
 * @param {Iterable<number | null | undefined>} values
 * @returns {number} the sum of those that are known; -1 if none is
 */
export function sumKnown(values) {
  let sum = -1;
  for (const value of values) {
    if (isKnown(value)) sum = (sum < 0 ? 0 : sum) + value;
  }
  return sum;
}

const DAY_MS = 86_400_000;

/**
 * How long ago something was; from a day on, when.
 * @param {string | number | null | undefined} time RFC 3339, or epoch ms
 * @param {number} nowMs epoch ms; the clock that wrote *time* may be a little ahead of it
 * @returns {string}
 */
export function relativeTime(time, nowMs) {
  const at = epoch(time);
  if (Number.isNaN(at)) return UNKNOWN;
  const age = nowMs - at;
  if (Math.abs(age) >= DAY_MS) return absoluteTime(at);
  if (Math.abs(age) < 5_000) return "just now";
  const words = largest(Math.abs(age));
  return age > 0 ? `${words} ago` : `in ${words}`;
}

/** @param {number} ms */
function largest(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}${SPACE}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}${SPACE}min` : `${Math.floor(minutes / 60)}${SPACE}h`;
}

/**
 * @param {string | number | null | undefined} time RFC 3339, or epoch ms
 * @returns {string} in the reader's time zone: "2026-11-22 15:31:27"
 */
export function absoluteTime(time) {
  const at = epoch(time);
  if (Number.isNaN(at)) return UNKNOWN;
  const date = new Date(at);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join("-");
  return `${day} ${clockTime(at)}`;
}

/**
 * @param {string | number | null | undefined} time RFC 3339, or epoch ms
 * @returns {string} in the reader's time zone: "15:31:27"
 */
export function clockTime(time) {
  const at = epoch(time);
  if (Number.isNaN(at)) return UNKNOWN;
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
}

/** @param {number} value */
function twoDigits(value) {
  return String(value).padStart(2, "0");
}

/** @param {string | number | null | undefined} time */
function epoch(time) {
  return time === null || time === undefined || time === "" ? NaN : new Date(time).getTime();
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 * @returns {string} "1 model", "2 models"
 */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)}${SPACE}${number === 1 ? one : many}`;
}
