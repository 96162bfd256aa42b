import assert from "node:assert/strict";
import { test } from "node:test";

import { groups, summaryText } from "../../../ui/static/lib/hardware.js";

const CARD = {
  index: 0, kind: "gpu", vendor: "NVIDIA", model: "NVIDIA GeForce RTX 4090", architecture: "Ada Lovelace",
  memory: { kind: "dedicated", capacity_bytes: 25757220864 }, driver: { name: "nvidia", version: "570.1" }, power_limit_watts: 450,
};

const machine = (more = {}) => ({
  schema_version: 1, captured_at: "2026-11-22T10:00:00Z",
  capture: { scope: "inference_host", method: "detected", detector: { name: "llama-swap", version: "0.1.0" } },
  architecture: { name: "x86_64", raw_name: "x86_64" },
  operating_system: { family: "linux", name: "Debian GNU/Linux", version: "12", kernel: "6.1" },
  environment: { kind: "container", name: "docker", version: null },
  cpu: { vendor: "AMD", model: "EPYC 7", socket_count: 1, physical_core_count: 8, logical_thread_count: 16 },
  memory: { capacity_bytes: 2 ** 36 }, accelerators: [CARD], ...more,
});

const facts = (group) => Object.fromEntries(group.facts.map((fact) => [fact.label, fact.value]));

test("the system, the processors, each accelerator", () => {
  const [system, cpu, card] = groups(machine());

  assert.deepEqual(facts(system), {
    "Operating system": "Debian GNU/Linux 12", Kernel: "6.1", Architecture: "x86_64", Runs: "in a container (docker)", Memory: facts(system).Memory,
  });
  assert.match(facts(system).Memory, /^64.0.GiB$/u);
  assert.deepEqual(facts(cpu), { Model: "AMD EPYC 7", Sockets: "1", Cores: facts(cpu).Cores });
  assert.match(facts(cpu).Cores, /^8.cores, 16.threads$/u);
  assert.equal(card.title, "0 · NVIDIA GeForce RTX 4090");
  assert.match(facts(card).Memory, /^24.0.GiB, of its own$/u);
  assert.equal(facts(card).Driver, "nvidia 570.1");
  assert.match(facts(card)["Power limit"], /^450.W$/u);
});

test("what nobody knows is said so, never made up", () => {
  const nothing = machine({
    architecture: { name: "other", raw_name: null },
    operating_system: { family: "other", name: null, version: null, kernel: null },
    environment: { kind: "unknown", name: null, version: null },
    cpu: { vendor: null, model: null, socket_count: null, physical_core_count: null, logical_thread_count: null },
    memory: { capacity_bytes: null },
    accelerators: [{ ...CARD, vendor: null, model: null, architecture: null, memory: { kind: "unknown", capacity_bytes: null }, driver: null, power_limit_watts: null }],
  });

  const values = groups(nothing).flatMap((group) => group.facts.map((fact) => fact.value));

  assert.deepEqual([...new Set(values)].sort(), ["GPU", "not known"]);
});

test("the text has everything", () => {
  const text = summaryText(machine());

  assert.match(text, /^System\n {2}Operating system +Debian GNU\/Linux 12\n/);
  assert.match(text, /\n\nAccelerator 0 · NVIDIA GeForce RTX 4090\n/);
  assert.match(text, /\n\nSeen 2026-11-22T10:00:00Z by Hostler 0\.1\.0\n$/);
});

test("the text says that there are no accelerators", () => {
  assert.match(summaryText(machine({ accelerators: [] })), /Accelerators\n {2}none found/);
});

test("names cannot turn the text around", () => {
  assert.ok(!summaryText(machine({ accelerators: [{ ...CARD, model: "x\u202Ey" }] })).includes("\u202E"));
});
