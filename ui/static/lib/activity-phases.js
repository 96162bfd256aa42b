/** Where the time of a request has gone. */

/** @typedef {import("../types.js").ActivityRecord} Activity */
/** @typedef {{key: "queued" | "swap" | "first" | "rest", label: string, ms: number}} Phase */

/**
 * Returns the phases of a request in their order, those that took no time left out. Without a time to the first token,
 * reading and answering are one.
 *
 * @param {Activity} record
 * @returns {Phase[]}
 */
export function phases(record) {
  const queued = Math.max(record.queued_ms, 0);
  const swap = Math.max(record.swap_ms, 0);
  const isStream = record.ttft_ms >= 0;
  const first = isStream ? Math.max(record.ttft_ms - queued - swap, 0) : 0;
  const rest = Math.max(record.duration_ms - queued - swap - first, 0);
  /** @type {Phase[]} */
  const all = [
    { key: "queued", label: "Waiting for its turn", ms: queued },
    { key: "swap", label: "Waiting for the model to load", ms: swap },
    { key: "first", label: "Until the first token", ms: first },
    { key: "rest", label: isStream ? "Generating" : "Answering", ms: rest },
  ];
  return all.filter(({ ms }) => ms >= 1);
}
