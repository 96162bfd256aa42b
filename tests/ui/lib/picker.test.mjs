import assert from "node:assert/strict";
import { test } from "node:test";

import { findEntry, firstChoice, pickerGroups, searchGroups } from "../../../ui/static/lib/picker.js";

const model = (id, more = {}) => ({ id, name: "", state: "stopped", unlisted: false, peerID: "", ...more });
const painter = model("sd", { capabilities: { image_generation: true }, aliases: ["dall-e-3"] });
const talker = model("llama", { name: "Llama", state: "ready", aliases: ["gpt-4o"] });
const far = model("far/big", { peerID: "far", name: "far: big", state: "" });
const any = { id: "any", name: "", description: "", strategy: "pin", targets: ["llama", "sd"] };
const values = (groups) => groups.map((group) => [group.label, group.entries.map((entry) => entry.value)]);

test("groups come in the order of the specification, and aliases after their model", () => {
  const groups = pickerGroups({
    models: [talker, painter, far],
    selectors: [any],
    pins: { "gpt-5": "llama" },
    profile: "night",
    capability: "image_generation",
  });

  assert.deepEqual(values(groups), [
    ["Profile night", ["gpt-5"]],
    ["Matching capabilities", ["sd", "dall-e-3"]],
    ["Selectors", ["any"]],
    ["Other local models", ["llama", "gpt-4o"]],
    ["Peers", ["far/big"]],
  ]);
});

test("without a capability all models of this machine are local", () => {
  assert.deepEqual(values(pickerGroups({ models: [talker, painter] })), [
    ["Local", ["llama", "gpt-4o", "sd", "dall-e-3"]],
  ]);
});

test("unlisted models are not offered", () => {
  assert.deepEqual(pickerGroups({ models: [model("secret", { unlisted: true })] }), []);
});

test("a disabled pin is not offered, and a pin that hides a model stands in its place", () => {
  const groups = pickerGroups({ models: [talker], pins: { whisper: "", llama: "llama" } });

  assert.deepEqual(values(groups), [
    ["Profile", ["llama"]],
    ["Local", ["gpt-4o"]],
  ]);
});

test("a pin has the state of what it means", () => {
  const pins = { a: "llama", b: "gpt-4o", c: "any", d: "far/big", e: "nobody" };
  const [profile] = pickerGroups({ models: [talker, far], selectors: [any], pins });

  assert.deepEqual(profile.entries.map((entry) => entry.state), ["ready", "ready", "ready", "", "unknown"]);
  assert.equal(profile.entries[0].note, "→ llama");
});

test("a selector is as ready as the readiest of its targets, a pin as its first", () => {
  const stateOf = (strategy) => {
    const groups = pickerGroups({ models: [talker, painter, far], selectors: [{ ...any, strategy, targets: ["sd", "llama"] }] });
    return groups[0].entries[0].state;
  };

  assert.equal(stateOf("pin"), "stopped");
  assert.equal(stateOf("spillover"), "ready");
});

test("a selector tells its strategy and its targets", () => {
  const [group] = pickerGroups({ models: [], selectors: [any] });

  assert.equal(group.entries[0].note, "pin: llama, sd");
});

test("a name that is the id is told once", () => {
  const [group] = pickerGroups({ models: [model("a", { name: "a" }), model("b", { name: "Bee" })] });

  assert.deepEqual(group.entries.map((entry) => entry.name), ["", "Bee"]);
});

test("every word searched for must occur, in any of the names", () => {
  const groups = pickerGroups({ models: [talker, painter, far], selectors: [any] });

  assert.deepEqual(values(searchGroups(groups, "GPT llama")), [["Local", ["gpt-4o"]]]);
  assert.deepEqual(searchGroups(groups, "nothing like it"), []);
  assert.equal(searchGroups(groups, "  ").length, groups.length);
});

test("an entry is found by its value", () => {
  const groups = pickerGroups({ models: [talker] });

  assert.equal(findEntry(groups, "gpt-4o")?.kind, "alias");
  assert.equal(findEntry(groups, "gone"), undefined);
});

test("a model that is ready is the first choice", () => {
  assert.equal(firstChoice(pickerGroups({ models: [painter, talker] })), "llama");
  assert.equal(firstChoice(pickerGroups({ models: [painter] })), "sd");
  assert.equal(firstChoice([]), "");
});

test("no model is chosen for what none says it can do", () => {
  const groups = pickerGroups({ models: [talker], capability: "image_generation" });

  assert.equal(firstChoice(groups, "image_generation"), "");
});
