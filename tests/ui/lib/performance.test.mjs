import assert from "node:assert/strict";
import { test } from "node:test";

import {
  gpuFigures, merged, modelFigures, NOTHING, rates, summary, systemFigures, windowed, withGaps, withUnit,
} from "../../../ui/static/lib/performance.js";

const stamp = (second) => new Date(Date.UTC(2026, 10, 22, 10, 0, second)).toISOString();
const time = (second) => Date.parse(stamp(second)) / 1000;

const system = (second, more = {}) => ({
  timestamp: stamp(second), cpu_util_per_core: [10, 30], mem_total_mb: 2048, mem_used_mb: 512, mem_free_mb: 1536,
  swap_total_mb: 0, swap_used_mb: 0, load_avg_1: 1, load_avg_5: 0.5, load_avg_15: 0.25, net_io: [], ...more,
});
const gpu = (second, more = {}) => ({
  timestamp: stamp(second), id: 0, name: "RTX", uuid: "u0", temp_c: 50, vram_temp_c: 0, gpu_util_pct: 20, mem_util_pct: 25,
  mem_used_mb: 1024, mem_total_mb: 4096, fan_speed_pct: 0, power_draw_w: 100, unknown: [], power_limit_w: 300, ...more,
});
const answer = (more) => ({ enabled: true, sys_stats: null, gpu_stats: null, models: [], every_s: 5, ...more });
const history = (more) => merged(NOTHING, answer(more));
const byId = (figures, id) => figures.find((figure) => figure.id === id);
const values = (figure) => Object.fromEntries(figure.series.map((series) => [series.label, series.values]));

test("what is fetched later is added, and nothing twice", () => {
  const first = history({ sys_stats: [system(0), system(5)] });

  const then = merged(first, answer({ sys_stats: [system(5), system(10)] }));

  assert.deepEqual(then.system.map((each) => each.timestamp), [stamp(0), stamp(5), stamp(10)]);
  assert.equal(then.newest, stamp(10));
});

test("nothing new leaves everything as it was", () => {
  const first = history({ sys_stats: [system(0)], gpu_stats: [gpu(0)] });

  const then = merged(first, answer({ sys_stats: [], gpu_stats: [] }));

  assert.deepEqual(then, first);
});

test("an hour is kept", () => {
  const found = history({ sys_stats: [system(0), system(10), system(3605)] });

  assert.deepEqual(found.system.map((each) => each.timestamp), [stamp(10), stamp(3605)]);
});

test("a window ends with the newest sample", () => {
  const found = windowed(history({ sys_stats: [system(0), system(100), system(200)] }), 100);

  assert.deepEqual(found.system.map((each) => each.timestamp), [stamp(100), stamp(200)]);
});

test("where no sample was taken there is a gap", () => {
  const found = withGaps([0, 5, 10, 60], 5);

  assert.deepEqual(found, { times: [0, 5, 10, 35, 60], places: [0, 1, 2, null, 3] });
});

test("processors by core, or all of them", () => {
  const found = history({ sys_stats: [system(0), system(5, { cpu_util_per_core: [50, 70] })] });

  assert.deepEqual(values(byId(systemFigures(found, true), "cpu")), { "Core 0": [10, 50], "Core 1": [30, 70] });
  assert.deepEqual(values(byId(systemFigures(found, false), "cpu")), { "All cores": [20, 60] });
});

test("memory is a share, with the absolute numbers beside it", () => {
  const found = history({ sys_stats: [system(0), system(60, { swap_total_mb: 100, swap_used_mb: 50 })] });

  const memory = byId(systemFigures(found, false), "memory");

  assert.deepEqual(values(memory), { Memory: [25, null, 25], Swap: [null, null, 50] });
  assert.match(memory.series[0].detail(0), /^512.MiB of 2.0.GiB$/u);
  assert.equal(memory.series[0].detail(1), "");
  assert.match(memory.series[1].detail(2), /^50.0.MiB of 100.MiB$/u);
});

test("without swap there is no line for it", () => {
  assert.deepEqual(Object.keys(values(byId(systemFigures(history({ sys_stats: [system(0)] }), false), "memory"))), ["Memory"]);
});

test("a system without load averages has no chart of them", () => {
  const none = { load_avg_1: 0, load_avg_5: 0, load_avg_15: 0 };

  assert.equal(byId(systemFigures(history({ sys_stats: [system(0, none)] }), false), "load"), undefined);
  assert.ok(byId(systemFigures(history({ sys_stats: [system(0)] }), false), "load"));
});

test("rates are differences of counters", () => {
  assert.deepEqual(rates([100, 600, 600], [0, 5, 10], 5), [null, 100, 0]);
});

test("a counter that begins anew has no rate, nor has one over a gap or a missing sample", () => {
  assert.deepEqual(rates([1000, 5, 10], [0, 5, 10], 5), [null, null, 1]);
  assert.deepEqual(rates([0, 1000], [0, 60], 5), [null, null]);
  assert.deepEqual(rates([0, null, 10, 20], [0, 5, 10, 15], 5), [null, null, null, 2]);
  assert.deepEqual(rates([0, 5], [0, 0], 5), [null, null]);
});

test("network is in Mbit/s, of the busiest interfaces", () => {
  const net = (bytes) => [{ name: "lazy", bytes_recv: 0, bytes_sent: 0 }, { name: "eth0", bytes_recv: bytes, bytes_sent: bytes / 2 }];
  const found = history({ sys_stats: [system(0, { net_io: net(0) }), system(5, { net_io: net(5_000_000) })] });

  assert.deepEqual(values(byId(systemFigures(found, false), "network")), { "eth0 in": [null, 8], "eth0 out": [null, 4] });
});

test("quiet interfaces: one of them is shown, at nothing", () => {
  const net = [{ name: "eth0", bytes_recv: 7, bytes_sent: 7 }];
  const found = history({ sys_stats: [system(0, { net_io: net }), system(5, { net_io: net })] });

  assert.deepEqual(values(byId(systemFigures(found, false), "network")), { "eth0 in": [null, 0], "eth0 out": [null, 0] });
});

test("cards by their UUID, in the order of their numbers", () => {
  const found = history({ gpu_stats: [gpu(0, { id: 1, uuid: "u1" }), gpu(0), gpu(5, { gpu_util_pct: 60 })] });

  const use = byId(gpuFigures(found), "gpu-use");

  assert.deepEqual(values(use), { "0 · RTX": [20, 60], "1 · RTX": [20, null] });
  assert.deepEqual(use.times, [time(0), time(5)]);
});

test("what a card does not tell is not 0", () => {
  const found = history({ gpu_stats: [gpu(0), gpu(5, { power_draw_w: 0, unknown: ["power_draw_w"] })] });

  assert.deepEqual(values(byId(gpuFigures(found), "gpu-power")), { RTX: [100, null] });
});

test("a figure that no card tells has no chart", () => {
  const found = history({ gpu_stats: [gpu(0, { unknown: ["power_draw_w"] })] });

  assert.equal(byId(gpuFigures(found), "gpu-power"), undefined);
});

test("the temperature of the memory is shown if any is over nothing", () => {
  assert.equal(byId(gpuFigures(history({ gpu_stats: [gpu(0)] })), "gpu-vram-temperature"), undefined);
  assert.ok(byId(gpuFigures(history({ gpu_stats: [gpu(0, { vram_temp_c: 70 })] })), "gpu-vram-temperature"));
});

test("details of cards", () => {
  const found = gpuFigures(history({ gpu_stats: [gpu(0)] }));

  assert.match(byId(found, "gpu-memory").series[0].detail(0), /^1.0.GiB of 4.0.GiB$/u);
  assert.equal(byId(found, "gpu-power").series[0].detail(0), "of 300 W");
  assert.equal(byId(found, "gpu-use").series[0].detail(0), "");
});

test("no accelerators, no charts", () => {
  assert.deepEqual(gpuFigures(history({ sys_stats: [system(0)] })), []);
});

test("memory of models, where they ran", () => {
  const models = [{ timestamp: stamp(5), model: "a", pid: 1, ram_mb: 1024, gpus: [{ uuid: "u0", used_mb: 512 }, { uuid: "u1", used_mb: 512 }] }];
  const found = modelFigures(history({ sys_stats: [system(0), system(5)], models }));

  assert.deepEqual(values(byId(found, "model-ram")), { a: [null, 1] });
  assert.deepEqual(values(byId(found, "model-gpu")), { a: [null, 1] });
  assert.deepEqual(modelFigures(history({ sys_stats: [system(0)] })), []);
});

test("summaries leave out what is not known", () => {
  assert.deepEqual(summary([1, null, 5, null]), { now: null, least: 1, mean: 3, most: 5 });
  assert.deepEqual(summary([null]), { now: null, least: null, mean: null, most: null });
});

test("values with their units", () => {
  assert.equal(withUnit(null, "%"), "–");
  assert.equal(withUnit(4.25, "%"), "4.3\u202f%");
  assert.equal(withUnit(42.25, "%"), "42\u202f%");
  assert.equal(withUnit(55.4, "°C"), "55\u202f°C");
  assert.equal(withUnit(1.234, ""), "1.23");
  assert.equal(withUnit(123.4, "Mbit/s"), "123\u202fMbit/s");
});
