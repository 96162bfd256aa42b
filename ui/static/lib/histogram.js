/**
 * A histogram of the statistics as what a chart draws. Source of its form: compatibility specification 3.10.
 */

/** @typedef {import("../types.js").Histogram} Histogram */

/**
 * @typedef {object} Bar
 * @property {number} from  The least value in it.
 * @property {number} to    The first value beyond it; in the last one, the greatest.
 * @property {number} count
 * @property {number} share  Of all values, 0 to 1.
 */

/**
 * Returns the bars from left to right.
 *
 * @param {Histogram} histogram
 * @returns {Bar[]}
 */
export function bars(histogram) {
  const total = histogram.bins.reduce((sum, count) => sum + count, 0) || 1;
  return histogram.bins.map((count, index) => ({
    from: histogram.min + index * histogram.binSize,
    to: index === histogram.bins.length - 1 ? histogram.max : histogram.min + (index + 1) * histogram.binSize,
    count,
    share: count / total,
  }));
}

/**
 * Returns the marks of the vertical axis: 0, a top that is not below *most*, and the middle if that is a whole
 * number of things. Tops are round, so that the scale of a histogram that grows does not change with every value.
 *
 * @param {number} most  The highest bar.
 * @returns {number[]}
 */
export function ticks(most) {
  const top = roundUp(Math.max(most, 1));
  return top % 2 === 0 ? [0, top / 2, top] : [0, top];
}

/**
 * Returns where *value* is between the least and the greatest value, 0 to 1; in the middle if all are the same.
 *
 * @param {Histogram} histogram
 * @param {number} value
 */
export function place(histogram, value) {
  const width = histogram.max - histogram.min;
  return width > 0 ? Math.min(Math.max((value - histogram.min) / width, 0), 1) : 0.5;
}

/**
 * Returns the percentiles that a chart marks, those that fall together joined under one name.
 *
 * @param {Histogram} histogram
 * @returns {{name: string, value: number, place: number}[]}
 */
export function percentiles(histogram) {
  /** @type {{name: string, value: number, place: number}[]} */
  const found = [];
  for (const name of /** @type {const} */ (["p50", "p95", "p99"])) {
    const value = histogram[name];
    const last = found[found.length - 1];
    if (last && last.value === value) last.name += `, ${name}`;
    else found.push({ name, value, place: place(histogram, value) });
  }
  return found;
}

/** @param {number} value  At least 1. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = power === 1 ? [1, 2, 4, 6, 8] : [1, 2, 4, 5, 6, 8];
  return (steps.find((step) => value <= step * power) ?? 10) * power;
}
