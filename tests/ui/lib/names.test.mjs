import assert from "node:assert/strict";
import { test } from "node:test";

import { byPlace, choices, displayName, modelNamed, natural, selectorsOf } from "../../../ui/static/lib/names.js";

function model(id, more = {}) {
  return { id, name: "", description: "", state: "stopped", unlisted: false, peerID: "", ...more };
}

const MODELS = [
  model("llama", { name: "Llama", aliases: ["gpt-4o"], state: "ready", capabilities: { vision: true } }),
  model("whisper", { unlisted: true }),
  model("far/big", { peerID: "far", state: "" }),
];

function shown(groups) {
  return groups.map(({ label, choices: offered }) => [label, ...offered.map(({ id }) => id)]);
}

test("a model without a name is called by its id", () => {
  assert.deepEqual(MODELS.map(displayName), ["Llama", "whisper", "far/big"]);
  assert.equal(displayName({ id: "x", name: "  " }), "x");
});

test("numbers in names are in the order of their values", () => {
  assert.deepEqual(["m10", "M2", "m1", "m2"].sort(natural), ["m1", "M2", "m2", "m10"]);
});

test("a model is found by its id and its alias, the id first", () => {
  const twin = model("gpt-4o");

  assert.equal(modelNamed(MODELS, "gpt-4o"), MODELS[0]);
  assert.equal(modelNamed([...MODELS, twin], "gpt-4o"), twin);
  assert.equal(modelNamed(MODELS, "nobody"), undefined);
});

test("ours and those of each peer are told apart", () => {
  const { local, peers } = byPlace(MODELS);

  assert.deepEqual([local.map(({ id }) => id), [...peers.keys()]], [["llama", "whisper"], ["far"]]);
});

test("a peer of any name is one", () => {
  assert.deepEqual([...byPlace([model("x", { peerID: "__proto__" })]).peers.keys()], ["__proto__"]);
});

test("selectors are found in the list of all names", () => {
  const listed = [
    { id: "llama", meta: { llamaswap: { type: "model" } } },
    { id: "fast", name: "Fast", meta: { llamaswap: { type: "selector", strategy: "first", targets: ["a", "b"] } } },
    { id: "bare" },
  ];

  assert.deepEqual(selectorsOf(listed), [
    { id: "fast", name: "Fast", description: "", strategy: "first", targets: ["a", "b"] },
  ]);
});

test("a picker offers ours with their aliases, then those of peers", () => {
  assert.deepEqual(shown(choices(MODELS)), [["Local models", "llama", "gpt-4o", "whisper"], ["Peer far", "far/big"]]);
});

test("unlisted models can be left out", () => {
  assert.deepEqual(shown(choices(MODELS, { unlisted: false }))[0], ["Local models", "llama", "gpt-4o"]);
});

test("models that can do it come first, the others stay to be had", () => {
  assert.deepEqual(shown(choices(MODELS, { ability: "vision" })), [
    ["Matching capabilities", "llama", "gpt-4o"],
    ["Other local models", "whisper"],
    ["Peer far", "far/big"],
  ]);
});

test("pins of the profile come before all, a disabled one cannot be chosen", () => {
  const profile = { id: "night", description: "", pins: { whisper: "", "gpt-5": "gpt-4o" } };
  const [group] = choices(MODELS, { profile });

  assert.equal(group.label, "Profile night");
  assert.deepEqual(group.choices, [
    { id: "gpt-5", label: "gpt-5", detail: "→ gpt-4o", state: "ready" },
    { id: "whisper", label: "whisper", detail: "disabled", state: "", disabled: true },
  ]);
});

test("a selector says what it chooses from", () => {
  const selectors = [{ id: "fast", name: "", description: "", strategy: "first", targets: ["a", "b"] }];
  const group = choices(MODELS, { selectors }).find(({ label }) => label === "Selectors");

  assert.deepEqual(group.choices, [{ id: "fast", label: "fast", detail: "first: a, b", state: "" }]);
});
