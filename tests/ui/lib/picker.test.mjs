import assert from "node:assert/strict";
import { test } from "node:test";

import { choices } from "../../../ui/static/lib/names.js";
import { choiceOf, firstChoice, likeliest, searchChoices } from "../../../ui/static/lib/picker.js";

const model = (id, more = {}) => ({ id, name: "", description: "", state: "stopped", unlisted: false, peerID: "", ...more });
const painter = model("sd", { capabilities: { image_generation: true }, aliases: ["dall-e-3"] });
const talker = model("llama", { name: "Llama", state: "ready", aliases: ["gpt-4o"] });
const far = model("far/big", { peerID: "far", name: "far: big", state: "" });
const ids = (groups) => groups.map((group) => group.choices.map((choice) => choice.id));

test("every word searched for must occur, in any of the names", () => {
  const groups = choices([talker, painter, far], { profile: { id: "p", description: "", pins: { "gpt-5": "llama" } } });

  assert.deepEqual(ids(searchChoices(groups, "GPT")), [["gpt-5"], ["gpt-4o"]]);
  assert.deepEqual(ids(searchChoices(groups, "big FAR")), [["far/big"]]);
  assert.deepEqual(searchChoices(groups, "nothing like it"), []);
  assert.equal(searchChoices(groups, "  ").length, groups.length);
});

test("a choice is found by what goes into the request", () => {
  const groups = choices([talker]);

  assert.equal(choiceOf(groups, "gpt-4o")?.label, "↳ gpt-4o");
  assert.equal(choiceOf(groups, "gone"), undefined);
});

test("a pin that hides a model counts before it", () => {
  const groups = choices([talker, painter], { profile: { id: "p", description: "", pins: { llama: "sd" } } });

  assert.equal(choiceOf(groups, "llama")?.detail, "→ sd");
});

test("a model that is ready is the first choice", () => {
  assert.equal(firstChoice(choices([painter, talker])), "llama");
  assert.equal(firstChoice(choices([painter])), "sd");
  assert.equal(firstChoice([]), "");
});

test("no model is chosen for what none says it can do", () => {
  assert.equal(firstChoice(choices([talker], { ability: "image_generation" }), true), "");
  assert.equal(firstChoice(choices([talker, painter], { ability: "image_generation" }), true), "sd");
});

test("of what is found, that is meant which is called so", () => {
  const selectors = [{ id: "any", name: "", description: "", strategy: "warm", targets: ["llama"] }];
  const groups = choices([painter, model("llama-2"), talker], { selectors });
  const meant = (text) => likeliest(searchChoices(groups, text), text)?.id;

  assert.equal(meant("Llama "), "llama");
  assert.equal(meant("llam"), "llama-2");
  assert.equal(meant("warm"), "any");
  assert.equal(meant("nothing like it"), undefined);
});

test("a disabled name is never meant", () => {
  const groups = choices([talker], { profile: { id: "p", description: "", pins: { gpt: "" } } });

  assert.equal(likeliest(searchChoices(groups, "gpt"), "gpt")?.id, "gpt-4o");
});
