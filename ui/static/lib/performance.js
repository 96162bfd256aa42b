/** @file What samples of the machine come to: series to draw. PURE. */

import { plain } from "./bidi.js";
import { bytes } from "./format.js";

/** @typedef {import("../types.js").SystemSample} SystemSample */
/** @typedef {import("../types.js").GpuSample} GpuSample */
/** @typedef {import("../types.js").ModelSample} ModelSample */
/** @typedef {import("../types.js").PerformanceState} Answer */
/** @typedef {number | null} Value  null: not known */

/**
 * What has been fetched so far, oldest first.
 * @typedef {{system: SystemSample[], gpus: GpuSample[], models: ModelSample[], everyS: number, newest: string}} History
 */

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {Value[]} values
 * @property {number} colour  from 1, as in --chart-1
 * @property {boolean} [dashed]
 * @property {(index: number) => string} [detail]  more about one value, as absolute numbers
 */

/**
 * @typedef {{id: string, title: string, unit: string, times: number[], series: Series[], most: number | null}} Figure
 */

/** What the server keeps, and so do we. */
const KEPT_MS = 3_600_000;
/** A pause longer than this many periods is a gap. */
const GAP = 2.5;
const COLOURS = 8;
const INTERFACES = 4;

/** @type {History} */
export const NOTHING = { system: [], gpus: [], models: [], everyS: 5, newest: "" };

/** @param {string} timestamp  epoch seconds, as charts have it */
const at = (timestamp) => Date.parse(timestamp) / 1000;

/**
 * Returns *history* with the newer samples of *answer*, without those that are too old.
 * @param {History} history
 * @param {Answer} answer
 * @returns {History}
 */
export function merged(history, answer) {
  const stamps = [answer.sys_stats, answer.gpu_stats].flatMap((list) => list?.at(-1)?.timestamp ?? []);
  const newest = [history.newest, ...stamps].reduce((a, b) => (a === "" || at(b) > at(a) ? b : a));
  const from = newest ? at(newest) - KEPT_MS / 1000 : 0;
  return {
    system: joined(history.system, answer.sys_stats, from, history.newest),
    gpus: joined(history.gpus, answer.gpu_stats, from, history.newest),
    models: joined(history.models, answer.models, from, history.newest),
    everyS: answer.every_s ?? history.everyS,
    newest,
  };
}

/**
 * @template {{timestamp: string}} T
 * @param {T[]} old @param {T[] | null | undefined} fresh @param {number} from @param {string} newest @returns {T[]}
 */
function joined(old, fresh, from, newest) {
  const known = newest ? at(newest) : -Infinity;
  const added = (fresh ?? []).filter((sample) => at(sample.timestamp) > known);
  return [...old, ...added].filter((sample) => at(sample.timestamp) >= from);
}

/** Returns the samples of the last *seconds*. @param {History} history @param {number} seconds @returns {History} */
export function windowed(history, seconds) {
  const from = history.newest ? at(history.newest) - seconds : 0;
  const since = (/** @type {{timestamp: string}} */ sample) => at(sample.timestamp) >= from;
  return {
    ...history,
    system: history.system.filter(since),
    gpus: history.gpus.filter(since),
    models: history.models.filter(since),
  };
}

/**
 * Returns the places of a time axis: the index of a sample, or null where there is a gap to be seen.
 * @param {number[]} times @param {number} everyS @returns {{times: number[], places: (number | null)[]}}
 */
export function withGaps(times, everyS) {
  /** @type {number[]} */
  const axis = [];
  /** @type {(number | null)[]} */
  const places = [];
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before !== undefined && time - before > GAP * everyS) {
      axis.push((before + time) / 2);
      places.push(null);
    }
    axis.push(time);
    places.push(index);
  });
  return { times: axis, places };
}

/** @param {Value[]} values @param {(number | null)[]} places @returns {Value[]} */
const placed = (values, places) => places.map((place) => (place === null ? null : (values[place] ?? null)));

/** @param {number} index */
const colour = (index) => (index % COLOURS) + 1;

/**
 * @param {string} id @param {string} title @param {string} unit @param {number[]} times @param {number} everyS
 * @param {Series[]} series @param {number | null} most @returns {Figure}
 */
function figure(id, title, unit, times, everyS, series, most = null) {
  const axis = withGaps(times, everyS);
  return {
    id, title, unit, most,
    times: axis.times,
    series: series.map((each) => {
      const { detail } = each;
      return {
        ...each,
        values: placed(each.values, axis.places),
        ...(detail && { detail: (/** @type {number} */ index) => detailAt(axis.places, index, detail) }),
      };
    }),
  };
}

/** @param {(number | null)[]} places @param {number} index @param {(index: number) => string} detail */
function detailAt(places, index, detail) {
  const place = places[index] ?? null;
  return place === null ? "" : detail(place);
}

// ---- the machine ----------------------------------------------------------------------------------------------------

/** @param {History} history @param {boolean} perCore @returns {Figure[]} */
export function systemFigures(history, perCore) {
  const samples = history.system;
  const times = samples.map((sample) => at(sample.timestamp));
  /**
   * @param {string} id @param {string} title @param {string} unit
   * @param {Series[]} series @param {number | null} [most]
   */
  const make = (id, title, unit, series, most = null) => figure(id, title, unit, times, history.everyS, series, most);
  /** @type {[keyof SystemSample, string][]} */
  const loads = [["load_avg_1", "1 min"], ["load_avg_5", "5 min"], ["load_avg_15", "15 min"]];
  const found = [
    make("cpu", "Processors", "%", perCore ? cores(samples) : allCores(samples), 100),
    make("memory", "Memory and swap", "%", memory(samples), 100),
  ];
  if (samples.some((sample) => sample.load_avg_1 + sample.load_avg_5 + sample.load_avg_15 > 0)) {
    found.push(make("load", "Load average", "", loads.map(([key, label], index) => (
      { label, colour: index + 1, values: samples.map((sample) => /** @type {number} */ (sample[key])) }
    ))));
  }
  found.push(make("network", "Network", "Mbit/s", network(samples, history.everyS)));
  return found;
}

/** @param {number[]} values @returns {Value} */
const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);

/** @param {SystemSample[]} samples @returns {Series[]} */
const allCores = (samples) => [
  { label: "All cores", colour: 1, values: samples.map((sample) => mean(sample.cpu_util_per_core)) },
];

/** @param {SystemSample[]} samples @returns {Series[]} */
function cores(samples) {
  const most = Math.max(0, ...samples.map((sample) => sample.cpu_util_per_core.length));
  return Array.from({ length: most }, (_each, core) => ({
    label: `Core ${core}`,
    colour: colour(core),
    dashed: core >= COLOURS,
    values: samples.map((sample) => sample.cpu_util_per_core[core] ?? null),
  }));
}

/** @param {SystemSample[]} samples @returns {Series[]} */
function memory(samples) {
  const share = (/** @type {number} */ used, /** @type {number} */ total) => (total > 0 ? (100 * used) / total : null);
  /** @type {Series[]} */
  const found = [{
    label: "Memory", colour: 1, values: samples.map((each) => share(each.mem_used_mb, each.mem_total_mb)),
    detail: (index) => ofWhole(samples[index]?.mem_used_mb, samples[index]?.mem_total_mb),
  }];
  if (samples.some((sample) => sample.swap_total_mb > 0)) {
    found.push({
      label: "Swap", colour: 2, values: samples.map((each) => share(each.swap_used_mb, each.swap_total_mb)),
      detail: (index) => ofWhole(samples[index]?.swap_used_mb, samples[index]?.swap_total_mb),
    });
  }
  return found;
}

/** @param {number | undefined} usedMb @param {number | undefined} totalMb */
const ofWhole = (usedMb, totalMb) =>
  usedMb === undefined || !totalMb ? "" : `${bytes(usedMb * 2 ** 20)} of ${bytes(totalMb * 2 ** 20)}`;

/**
 * Returns the rate of a counter, in units a second. A counter that is lower than before has begun anew: nobody knows.
 * @param {Value[]} counts @param {number[]} times @param {number} everyS @returns {Value[]}
 */
export function rates(counts, times, everyS) {
  return counts.map((count, index) => {
    const before = counts[index - 1];
    const seconds = (times[index] ?? 0) - (times[index - 1] ?? 0);
    if (count === null || before === null || before === undefined || count < before) return null;
    return seconds > 0 && seconds <= GAP * everyS ? (count - before) / seconds : null;
  });
}

/** In and out of the busiest interfaces. @param {SystemSample[]} samples @param {number} everyS @returns {Series[]} */
function network(samples, everyS) {
  const times = samples.map((sample) => at(sample.timestamp));
  const names = [...new Set(samples.flatMap((sample) => sample.net_io.map((each) => each.name)))];
  const all = names.map((name) => {
    const of = samples.map((sample) => sample.net_io.find((each) => each.name === name));
    const mbit = (/** @type {Value[]} */ counts) =>
      rates(counts, times, everyS).map((rate) => (rate === null ? null : (rate * 8) / 1e6));
    const received = of.map((each) => each?.bytes_recv ?? null);
    const sent = of.map((each) => each?.bytes_sent ?? null);
    return { name, sum: total(received) + total(sent), received: mbit(received), sent: mbit(sent) };
  });
  const busiest = all.filter((each) => each.sum > 0).sort((a, b) => b.sum - a.sum).slice(0, INTERFACES);
  const shown = busiest.length ? busiest : all.slice(0, 1);
  return shown.flatMap(({ name, received, sent }, index) => [
    { label: `${plain(name)} in`, colour: colour(index), values: received },
    { label: `${plain(name)} out`, colour: colour(index), dashed: true, values: sent },
  ]);
}

/** What a counter has grown by. @param {Value[]} counts */
function total(counts) {
  const known = counts.filter((count) => count !== null);
  return Math.max(0, (known.at(-1) ?? 0) - (known[0] ?? 0));
}

// ---- accelerators and models
// ------------------------------------------------------------------------------------------

/** @typedef {{key: string, label: string, samples: (GpuSample | undefined)[]}} Device */

/** @param {History} history @returns {{times: number[], devices: Device[]}} */
function devices(history) {
  const stamps = [...new Set(history.gpus.map((sample) => sample.timestamp))];
  const places = new Map(stamps.map((stamp, index) => [stamp, index]));
  /** @type {Map<string, Device & {id: number}>} */
  const found = new Map();
  for (const sample of history.gpus) {
    const key = sample.uuid || `${sample.id} ${sample.name}`;
    let device = found.get(key);
    if (!device) found.set(key, (device = { key, id: sample.id, label: plain(sample.name), samples: [] }));
    device.samples[/** @type {number} */ (places.get(sample.timestamp))] = sample;
  }
  const sorted = [...found.values()].sort((a, b) => a.id - b.id);
  if (sorted.length > 1) for (const device of sorted) device.label = `${device.id} · ${device.label}`;
  return { times: stamps.map(at), devices: sorted };
}

/** @typedef {"gpu_util_pct" | "mem_util_pct" | "temp_c" | "vram_temp_c" | "power_draw_w"} Member */

/** @type {{id: string, title: string, unit: string, member: Member, most: number | null, seldom?: boolean}[]} */
const OF_GPUS = [
  { id: "gpu-use", title: "Use", unit: "%", member: "gpu_util_pct", most: 100 },
  { id: "gpu-memory", title: "Memory", unit: "%", member: "mem_util_pct", most: 100 },
  { id: "gpu-temperature", title: "Temperature", unit: "°C", member: "temp_c", most: null },
  {
    id: "gpu-vram-temperature", title: "Temperature of the memory", unit: "°C", member: "vram_temp_c", most: null,
    seldom: true,
  },
  { id: "gpu-power", title: "Power", unit: "W", member: "power_draw_w", most: null },
];

/** @param {GpuSample | undefined} sample @param {Member} member @returns {Value} */
function read(sample, member) {
  return sample === undefined || sample.unknown?.includes(member) ? null : sample[member];
}

/** @param {GpuSample | undefined} sample @param {Member} member */
function gpuDetail(sample, member) {
  if (!sample) return "";
  if (member === "mem_util_pct") return ofWhole(sample.mem_used_mb, sample.mem_total_mb);
  return member === "power_draw_w" && sample.power_limit_w ? `of ${Math.round(sample.power_limit_w)} W` : "";
}

/** Returns nothing for a machine without accelerators. @param {History} history @returns {Figure[]} */
export function gpuFigures(history) {
  const { times, devices: all } = devices(history);
  return OF_GPUS.flatMap(({ id, title, unit, member, most, seldom }) => {
    const series = all.map((device, index) => ({
      label: device.label,
      colour: colour(index),
      values: times.map((_time, place) => read(device.samples[place], member)),
      detail: (/** @type {number} */ place) => gpuDetail(device.samples[place], member),
    }));
    const isKnown = series.some((each) => each.values.some((value) => value !== null && (!seldom || value > 0)));
    return isKnown ? [figure(id, title, unit, times, history.everyS, series, most)] : [];
  });
}

/** Memory of the models that have run. @param {History} history @returns {Figure[]} */
export function modelFigures(history) {
  const stamps = [...new Set(history.system.map((sample) => sample.timestamp))];
  const places = new Map(stamps.map((stamp, index) => [stamp, index]));
  const names = [...new Set(history.models.map((sample) => sample.model))].sort();
  const fill = (/** @type {(sample: ModelSample) => number} */ value) => names.map((model, index) => {
    /** @type {Value[]} */
    const values = stamps.map(() => null);
    for (const sample of history.models) {
      const place = places.get(sample.timestamp);
      if (sample.model === model && place !== undefined) values[place] = value(sample) / 1024;
    }
    return { label: plain(model), colour: colour(index), dashed: index >= COLOURS, values };
  });
  if (!names.length) return [];
  const times = stamps.map(at);
  const ofGpus = (/** @type {ModelSample} */ sample) => sample.gpus.reduce((sum, each) => sum + each.used_mb, 0);
  const ofHost = fill((sample) => sample.ram_mb);
  const found = [figure("model-ram", "Main memory by model", "GiB", times, history.everyS, ofHost)];
  if (history.models.some((sample) => ofGpus(sample) > 0)) {
    found.push(figure("model-gpu", "Accelerator memory by model", "GiB", times, history.everyS, fill(ofGpus)));
  }
  return found;
}

// ---- in words
// -----------------------------------------------------------------------------------------------------------

/** Units of which nobody wants decimals. */
const WHOLE = new Set(["°C", "W"]);

/** @param {Value | undefined} value @param {string} unit */
export function withUnit(value, unit) {
  if (value === null || value === undefined) return "–";
  const digits = WHOLE.has(unit) ? 0 : unit === "%" ? Number(value < 9.95) : value < 99.95 ? 2 : 0;
  return unit ? `${value.toFixed(digits)}\u202f${unit}` : value.toFixed(digits);
}

/** @typedef {{now: Value, least: Value, mean: Value, most: Value}} Summary */

/** @param {Value[]} values @returns {Summary} */
export function summary(values) {
  const known = /** @type {number[]} */ (values.filter((value) => value !== null));
  if (!known.length) return { now: null, least: null, mean: null, most: null };
  let least = Infinity;
  let most = -Infinity;
  for (const value of known) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return { now: values.at(-1) ?? null, least, mean: mean(known), most };
}
