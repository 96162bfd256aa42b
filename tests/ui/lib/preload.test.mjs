import assert from "node:assert/strict";
import { test } from "node:test";

import { listed, needed } from "../../../ui/preload.mjs";

test("index.html has the browser fetch at once what main.js imports: if not, run `node ui/preload.mjs`", () => {
  assert.deepEqual([...listed()].sort(), [...needed()].sort());
});

test("what comes later is not among it", () => {
  const eager = needed();

  assert.ok(eager.includes("vendor/preact.js"));
  assert.deepEqual(eager.filter((module) => /^(views\/(?!playground\/jobs)|shell\/palette)/.test(module)), []);
});
