import assert from "node:assert/strict";
import test from "node:test";

import { markdown, summary, weightedSpeed } from "../../../ui/static/lib/activity-markdown.js";
import { NOTHING, record } from "./activity-record.mjs";

const from = { product: "Hostler 1.0", now: "2026-01-02 03:04:05" };

/** @param {Parameters<typeof summary>[0]} records */
const told = (records) =>
  Object.fromEntries(summary(records).map(([name, value]) => [name, value.replace(/[\u00a0\u202f]/g, " ")]));

test("a speed over all is the tokens of all by the time of all", () => {
  const long = record({}, { output_tokens: 900, tokens_per_second: 30 });
  const short = record({}, { output_tokens: 10, tokens_per_second: 100 });

  assert.equal(weightedSpeed([long, short], "output_tokens", "tokens_per_second"), 910 / 30.1);
});

test("what is not known neither slows nor counts", () => {
  const known = record({}, { output_tokens: 100, tokens_per_second: 50, cache_tokens: 7 });
  const records = [known, record(), record({}, NOTHING)];

  assert.equal(weightedSpeed(records, "output_tokens", "tokens_per_second"), 50);
  assert.equal(weightedSpeed([record()], "output_tokens", "tokens_per_second"), -1);
  assert.equal(told(records).Cached, "7");
  assert.equal(told(records).Generated, "120 (50.00 t/s)");
  assert.equal(told(records).Prompt, "20");
  assert.equal(told([record({}, { cache_tokens: -1 })]).Cached, "–");
});

test("the range goes from the least to the greatest id, however the table is sorted", () => {
  assert.match(told([record({ id: 9 }), record({ id: 3 }), record({ id: 5 })]).Range, /^3 to 9, /);
  assert.match(told([record({ id: 4 })]).Range, /^4, 20/);
  assert.equal(told([]).Range, "–");
});

test("the table has the columns that are shown, without the captures, and says where it is from", () => {
  const lines = markdown([record({ id: 12, has_capture: true })], ["model", "capture", "id", "generated"], from).split(
    "\n",
  );

  assert.deepEqual(lines.slice(-6), [
    "| Model | ID | Generated |",
    "| --- | --- | ---: |",
    "| llama | 12 | 20 |",
    "",
    "*Hostler 1.0 activity, 2026-01-02 03:04:05*",
    "",
  ]);
});

test("without other columns there is the summary alone", () => {
  assert.equal(markdown([record()], ["capture"], from).match(/---/g)?.length, 2);
});

test("names stay in their cells and are nothing but text", () => {
  const text = markdown([record({ model: "a|b\n| c <img src=x> *d* `e` [f](g)\u001b\\" })], ["model"], from);

  assert.ok(text.includes("| a\\|b \\| c &lt;img src=x&gt; \\*d\\* \\`e\\` \\[f\\](g) \\\\ |"), text);
});
