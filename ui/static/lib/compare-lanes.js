/** What two models did with one question, as stretches of time side by side. PURE. */

/** @typedef {"turn" | "queued" | "loading" | "reading" | "thinking" | "answering"} Stage */
/** @typedef {{ stage: Stage, fromMs: number }} Mark - when a stage began, from the question on */
/** @typedef {{ stage: Stage, fromMs: number, toMs: number }} Stretch */

/** What a stage is called. */
export const STAGES = /** @type {Record<Stage, string>} */ ({
  turn: "waits for its turn",
  queued: "queued",
  loading: "loads",
  reading: "reads",
  thinking: "thinks",
  answering: "answers",
});

/**
 * Returns *marks* with one more, if it is news.
 *
 * What a request does is only known some time after it was sent: its first stage began when it was sent. One that is
 * answered before anything was known of it has been read in between.
 *
 * @param {readonly Mark[]} marks
 * @param {Stage} stage
 * @param {number} nowMs
 * @param {number} sentMs
 * @returns {readonly Mark[]}
 */
export function marked(marks, stage, nowMs, sentMs) {
  const last = marks.at(-1)?.stage;
  if (last === stage) return marks;
  if (last !== undefined && last !== "turn") return [...marks, { stage, fromMs: nowMs }];
  const isSpeaking = stage === "thinking" || stage === "answering";
  return isSpeaking
    ? [...marks, { stage: "reading", fromMs: sentMs }, { stage, fromMs: nowMs }]
    : [...marks, { stage, fromMs: sentMs }];
}

/**
 * Returns the stretches that *marks* stand for, each until the next begins.
 *
 * @param {readonly Mark[]} marks
 * @param {number} endMs
 * @returns {Stretch[]}
 */
export function stretches(marks, endMs) {
  return marks.map(({ stage, fromMs }, index) => ({
    stage,
    fromMs,
    toMs: Math.max(marks[index + 1]?.fromMs ?? endMs, fromMs),
  }));
}

/**
 * Returns the stages of *all* that last long enough to be told of, in their order, with their lengths.
 *
 * @param {readonly Stretch[]} all
 * @returns {{ stage: Stage, ms: number }[]}
 */
export function lengths(all) {
  /** @type {Map<Stage, number>} */
  const sums = new Map();
  for (const { stage, fromMs, toMs } of all) sums.set(stage, (sums.get(stage) ?? 0) + toMs - fromMs);
  return [...sums].filter(([, ms]) => ms >= 10).map(([stage, ms]) => ({ stage, ms }));
}
