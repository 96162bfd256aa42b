import assert from "node:assert/strict";
import test from "node:test";
import { matches, ordered } from "../../../ui/static/lib/model-order.js";

const model = (id, more = {}) => ({ id, name: "", description: "", state: "stopped", unlisted: false, peerID: "", ...more });
const ids = (models) => models.map((each) => each.id);
const stands = (state, more = {}) => ({ state, serving: 0, waiting: 0, newest: null, ...more });

test("a search wants all its words, in any of the names or the description", () => {
  const llama = model("llama-8b", { name: "Llama", aliases: ["gpt-4o-mini"], description: "A model that talks" });

  for (const search of ["", "LLAMA", "4o", "talks gpt", " llama  8b "]) assert.ok(matches(llama, search), search);
  for (const search of ["qwen", "llama qwen"]) assert.ok(!matches(llama, search), search);
  assert.ok(matches(model("lab/glm", { peerID: "lab" }), "lab"));
});

const models = [model("z"), model("m10"), model("m2"), model("up"), model("new"), model("bad"), model("p/x", { state: "", peerID: "p" })];
const standings = new Map([
  ["z", stands("stopped", { newest: { at: "2026-01-02T03:00:00Z" } })],
  ["m10", stands("stopped")],
  ["m2", stands("stopped")],
  ["up", stands("ready", { newest: { at: "2026-01-02T02:00:00Z" } })],
  ["new", stands("starting", { newest: { at: "2026-01-02T03:30:00Z" } })],
  ["bad", stands("failed")],
]);
const by = (sort, pinned = []) => ids(ordered(models, { sort, pinned, standings }));

test("by state: who serves first, then who will, then who failed; equals by name", () => {
  assert.deepEqual(by("state"), ["up", "new", "bad", "m2", "m10", "z", "p/x"]);
});

test("by state: of the stopped ones those that are waited for come first", () => {
  const waited = new Map(standings).set("z", stands("stopped", { waiting: 1 }));

  assert.deepEqual(ids(ordered(models, { sort: "state", pinned: [], standings: waited })).slice(3), ["z", "m2", "m10", "p/x"]);
});

test("by name", () => {
  assert.deepEqual(by("name"), ["bad", "m2", "m10", "new", "p/x", "up", "z"]);
  assert.deepEqual(by("nonsense"), by("name"));
});

test("last loaded first: those that are up before those that were", () => {
  assert.deepEqual(by("recent"), ["new", "up", "z", "bad", "m2", "m10", "p/x"]);
});

test("pinned ones come first, in the same order", () => {
  assert.deepEqual(by("state", ["z", "bad"]).slice(0, 3), ["bad", "z", "up"]);
});
