import assert from "node:assert/strict";
import { test } from "node:test";

import { changesOf, linesOf, marks, scalar, sections, textOf, wantedLines } from "../../../ui/static/lib/configuration.js";

const CONFIG = {
  models: {
    "a/b": { cmd: "server --port 5800\n  --model /m.gguf\n", aliases: [], ttl: 300, timeouts: { connect: 30 }, capabilities: { in: ["text", "image"] } },
  },
  logLevel: "info",
  apiKeys: ["[REDACTED]"],
  profiles: {},
  routing: { router: { use: "group" } },
};

const of = (value, differing = [], path = []) => linesOf(value, path, marks(differing));

test("sections are those that there is something of, the server's last", () => {
  const found = sections(CONFIG);

  assert.deepEqual(found.map((section) => section.id), ["models", "routing", "server"]);
  assert.deepEqual(found[0].entries.map((entry) => [entry.id, entry.path]), [["a/b", ["models", "a/b"]]]);
  assert.deepEqual(found[2].entries[0].value, { logLevel: "info", apiKeys: ["[REDACTED]"] });
});

test("values are written as YAML", () => {
  assert.equal(textOf(of(CONFIG.models["a/b"])), [
    "cmd: |", "  server --port 5800", "    --model /m.gguf", "aliases: []", "ttl: 300", "timeouts:", "  connect: 30",
    "capabilities:", "  in:", "    - text", "    - image", "",
  ].join("\n"));
});

test("text is quoted where it would mean something else", () => {
  for (const [value, expected] of [
    ["info", "info"], ["", '""'], ["yes", '"yes"'], ["5", '"5"'], ["1.5", '"1.5"'], ["null", '"null"'], ["a: b", '"a: b"'],
    ["a #b", '"a #b"'], [" a", '" a"'], ["- x", '"- x"'], ["[REDACTED]", '"[REDACTED]"'], ["http://h:1/x", "http://h:1/x"],
    ["90s", '"90s"'], [".inf", ".inf"], ["a\tb", '"a\\tb"'], ["/bin/x --a=b", "/bin/x --a=b"], [null, "null"], [true, "true"], [7, "7"],
  ]) assert.equal(scalar(value), expected);
});

test("what differs is marked, and so is what it is in", () => {
  const lines = of(CONFIG.models["a/b"], [["models", "a/b", "ttl"], ["models", "a/b", "capabilities", "in"]], ["models", "a/b"]);

  assert.deepEqual(lines.filter((line) => line.differs).map((line) => line.key || line.value), ["ttl", "capabilities", "in", "text", "image"]);
});

test("a key that is no model does not mark one of the same name elsewhere", () => {
  assert.deepEqual(of({ ttl: 1 }, [["models", "ttl"]]).filter((line) => line.differs), []);
});

test("searching keeps what a line belongs to", () => {
  const lines = wantedLines(of(CONFIG.models["a/b"]), { search: "IMAGE" });

  assert.equal(textOf(lines), "capabilities:\n  in:\n    - image\n");
});

test("words are looked for in a line and all above it", () => {
  assert.equal(textOf(wantedLines(of(CONFIG.models["a/b"]), { search: "timeouts connect" })), "timeouts:\n  connect: 30\n");
});

test("only what differs", () => {
  const lines = of(CONFIG.models["a/b"], [["models", "a/b", "timeouts", "connect"]], ["models", "a/b"]);

  assert.equal(textOf(wantedLines(lines, { onlyDiffering: true })), "timeouts:\n  connect: 30\n");
});

test("nothing hidden in names or values", () => {
  const text = textOf(of({ "a\u202Eb": "c\u202Ed" }));

  assert.ok(!text.includes("\u202E"), text);
});

test("a plan in words", () => {
  const found = changesOf({
    unchanged: ["u"], changed: [{ model: "c", settings: ["cmd", "ttl"], restarts: true }, { model: "d", settings: ["ttl"], restarts: false }],
    added: ["a"], removed: ["r"], swapping_changed: true, settings: ["logLevel"], needs_restart: ["store.path"],
  });

  assert.deepEqual(found.map((change) => `${change.kind} ${change.name}`), [
    "added a", "changed c", "changed d", "removed r", "changed swapping", "setting logLevel", "restart store.path",
  ]);
  assert.match(found[1].detail, /^cmd, ttl; ends when idle/);
  assert.match(found[2].detail, /^ttl; serves on$/);
});
