/**
 * @file Tests lines against a regular expression, in a thread of its own: there are patterns that take for ever, and a
 * thread can be ended. Gets `{pattern, lines: [text, …]}` and answers `[index, …]` of those that match.
 */

import { filterOf } from "./log-lines.js";

self.onmessage = (/** @type {MessageEvent<{pattern: string, lines: string[]}>} */ event) => {
  const { pattern, lines } = event.data;
  const regex = filterOf(pattern);
  /** @type {number[]} */
  const matching = [];
  lines.forEach((line, index) => {
    if (!regex || regex.test(line)) matching.push(index);
  });
  self.postMessage(matching);
};
