import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { answered, answers, asked } from "./browser.mjs";
import {
  cancelLoad, cancelRequest, chooseProfile, loadModel, loads, reloadConfig, unloadAll, unloadModel,
} from "../../../ui/static/state/actions.js";
import { commands } from "../../../ui/static/state/commands.js";
import { dismiss, toasts } from "../../../ui/static/state/toasts.js";

function json(document, status = 200) {
  return new Response(JSON.stringify(document), { status, headers: { "content-type": "application/json" } });
}

function said() {
  return toasts.value.map(({ text, tone }) => `${tone}: ${text}`);
}

beforeEach(() => {
  asked.length = 0;
  answers.clear();
  for (const { id } of toasts.value) dismiss(id);
});

test("a model is loaded by its id, whatever is in it", async () => {
  answers.set("/api/models/load/org%2Fa", json({ msg: "ok" }));

  assert.equal(await loadModel("org/a"), true);
  assert.deepEqual(asked, [{ method: "POST", path: "/api/models/load/org%2Fa", body: undefined }]);
  assert.deepEqual(said(), []);
});

test("a load that is waited for can be given up, and that is no failure", async () => {
  answers.set("/api/models/load/a", "never");
  const load = loadModel("a");
  assert.deepEqual([...loads.value.keys()], ["a"]);

  cancelLoad("a");

  assert.equal(await load, false);
  assert.equal(loads.value.size, 0);
  assert.deepEqual(said(), []);
});

test("the same load is waited for once", async () => {
  answers.set("/api/models/load/a", "never");
  const load = loadModel("a");

  assert.equal(await loadModel("a"), false);
  assert.equal(asked.length, 1);
  cancelLoad("a");
  await load;
});

test("a load that fails is told of in the server's words", async () => {
  answers.set("/api/models/load/a", json({ error: { message: "exited with 3" } }, 500));

  assert.equal(await loadModel("a"), false);
  assert.deepEqual(said(), ["bad: a could not be loaded: exited with 3"]);
  assert.equal(loads.value.size, 0);
});

for (const [name, action, path, what] of [
  ["unloading", () => unloadModel("a"), "/api/models/unload/a", "a could not be unloaded"],
  ["unloading all", unloadAll, "/api/models/unload", "The models could not be unloaded"],
  ["cancelling", () => cancelRequest("7"), "/api/inflight/7/cancel", "Request 7 could not be cancelled"],
  ["choosing a profile", () => chooseProfile("night"), "/api/profiles/active", "The profile could not be changed"],
]) {
  test(`${name} is asked for, and that it failed is told`, async () => {
    answers.set(path, json({ msg: "ok" }));
    assert.equal(await action(), true);
    answers.delete(path);

    assert.equal(await action(), false);
    assert.deepEqual(asked.map((request) => request.path), [path, path]);
    assert.match(said()[0], new RegExp(`^bad: ${what}: Hostler cannot be reached`));
  });
}

test("no profile is a choice, too", async () => {
  answers.set("/api/profiles/active", json({ active: null }));

  await chooseProfile(null);

  assert.equal(asked[0].body, '{"name":null}');
});

test("a reload tells what has changed", async () => {
  const plan = { unchanged: ["a"], changed: [{ model: "b" }], added: ["c", "d"], removed: [], settings: ["logLevel"], needs_restart: [] };
  answers.set("/api/config/reload", json({ reloaded: true, plan }));

  await reloadConfig();

  assert.deepEqual(said().map((text) => text.replaceAll("\u00a0", " ")), [
    "good: Configuration reloaded: 2 models added, 1 model changed, changed logLevel.",
  ]);
});

test("a file that cannot be used is told of, and that all stays", async () => {
  answers.set("/api/config/reload", json({ error: { message: "config.yaml: line 3: expected a mapping" } }, 422));

  assert.equal(await reloadConfig(), null);
  assert.match(said()[0], /all stays as it was: config.yaml: line 3/);
});

test("asking what a reload would change says nothing", async () => {
  answers.set("/api/config/reload?dry_run=1", json({ reloaded: false, plan: {} }));

  assert.equal((await reloadConfig({ dryRun: true })).reloaded, false);
  assert.deepEqual(said(), []);
});

test("the palette knows all pages before anything is known of models", async () => {
  await answered();

  assert.deepEqual(
    commands.value.map(({ title }) => title),
    ["Activity", "Playground", "Models", "Logs", "Performance", "Hardware", "Settings", "Configuration", "Reload the configuration"],
  );
});

test("commands have ids of their own", () => {
  const ids = commands.value.map(({ id }) => id);

  assert.equal(new Set(ids).size, ids.length);
});
