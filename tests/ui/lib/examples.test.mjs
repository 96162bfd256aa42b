import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { examples } from "../../../ui/static/lib/examples.js";

test("each API has an example with the model and the address in it", () => {
  for (const example of examples("http://box:8080", "llama")) {
    assert.ok(example.base.startsWith("http://box:8080"), example.id);
    assert.ok(example.code.includes('"llama"'), example.id);
  }
});

test("a shell takes the commands as they are meant, whatever the model is called", () => {
  const name = `it's $(a) "model" \`x\` \\`;
  for (const example of examples("http://box:8080", name).filter((each) => each.code.startsWith("curl"))) {
    const words = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }\n${example.code}`]).toString().split("\0");
    assert.equal(JSON.parse(words[words.indexOf("-d") + 1]).model, name, example.id);
  }
});
