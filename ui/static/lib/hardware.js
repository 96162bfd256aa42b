/** @file What the machine is, in words: for cards, and as plain text to be passed on. PURE. */

import { plain } from "./bidi.js";
import { bytes, count, plural } from "./format.js";

/** @typedef {import("../types.js").Hardware} Hardware */
/** @typedef {import("../types.js").Accelerator} Accelerator */
/** @typedef {{label: string, value: string}} Fact */
/** @typedef {{title: string, facts: Fact[]}} Group */

export const NOT_KNOWN = "not known";

/** @type {Record<string, string>} */
const FAMILIES = { linux: "Linux", macos: "macOS", windows: "Windows", freebsd: "FreeBSD" };
/** @type {Record<string, string>} */
const PLACES = {
  native: "on the machine itself", container: "in a container", virtual_machine: "in a virtual machine", wsl: "in WSL",
};
/** @type {Record<string, string>} */
const MEMORIES = { dedicated: "of its own", unified: "shared with the processors", shared_system: "of the system" };
/** @type {Record<string, string>} */
const KINDS = { gpu: "GPU", npu: "NPU" };

/** Joins what is known of some parts. @param {(string | null | undefined)[]} parts @param {string} [between] */
const joined = (parts, between = " ") => parts.filter(Boolean).join(between) || NOT_KNOWN;

/**
 * A vendor's name stands in front of the model's, unless it is in it.
 * @param {string | null} vendor
 * @param {string | null} model
 */
function called(vendor, model) {
  const isTold = vendor && model && model.toLowerCase().includes(vendor.toLowerCase());
  return joined([isTold ? null : vendor, model]);
}

/** @param {Hardware} found @returns {Group[]} the system and the processors, then each accelerator */
export function groups(found) {
  return told(visible(found));
}

/** The same with nothing hidden in any text. @template T @param {T} value @returns {T} */
function visible(value) {
  if (typeof value === "string") return /** @type {T} */ (plain(value));
  if (Array.isArray(value)) return /** @type {T} */ (value.map(visible));
  if (value === null || typeof value !== "object") return value;
  return /** @type {T} */ (Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, visible(entry)])));
}

/** @param {Hardware} found @returns {Group[]} */
function told(found) {
  const { operating_system: system, environment: where, cpu, memory, architecture } = found;
  const named = system.name ?? FAMILIES[system.family] ?? system.raw_family ?? null;
  const cores = cpu.physical_core_count === null ? null : `${plural(cpu.physical_core_count, "core")}`;
  const kind = architecture.name === "other" ? architecture.raw_name : architecture.name;
  const threads = cpu.logical_thread_count === null ? null : `${plural(cpu.logical_thread_count, "thread")}`;
  return [
    {
      title: "System",
      facts: [
        { label: "Operating system", value: joined([named, system.version]) },
        { label: "Kernel", value: joined([system.kernel]) },
        { label: "Architecture", value: joined([kind]) },
        { label: "Runs", value: environment(where) },
        { label: "Memory", value: memory.capacity_bytes === null ? NOT_KNOWN : bytes(memory.capacity_bytes) },
      ],
    },
    {
      title: "Processors",
      facts: [
        { label: "Model", value: called(cpu.vendor, cpu.model) },
        { label: "Sockets", value: cpu.socket_count === null ? NOT_KNOWN : count(cpu.socket_count) },
        { label: "Cores", value: joined([cores, threads], ", ") },
      ],
    },
    ...found.accelerators.map((each) => ({ title: accelerator(each), facts: ofAccelerator(each) })),
  ];
}

/** @param {Hardware["environment"]} where */
function environment(where) {
  const place = PLACES[where.kind] ?? where.raw_kind ?? null;
  const details = [where.name, where.version].filter(Boolean).join(" ");
  return place ? joined([place, details ? `(${details})` : null]) : NOT_KNOWN;
}

/** @param {Accelerator} each */
const accelerator = (each) => `${each.index} · ${called(each.vendor, each.model)}`;

/** @param {Accelerator} each @returns {Fact[]} */
function ofAccelerator(each) {
  const { memory, driver, power_limit_watts: watts } = each;
  const size = memory.capacity_bytes === null ? null : bytes(memory.capacity_bytes);
  return [
    { label: "Kind", value: joined([KINDS[each.kind] ?? each.kind]) },
    { label: "Architecture", value: joined([each.architecture]) },
    { label: "Memory", value: joined([size, MEMORIES[memory.kind] ?? null], ", ") },
    { label: "Driver", value: driver ? joined([driver.name, driver.version]) : NOT_KNOWN },
    { label: "Power limit", value: watts === null ? NOT_KNOWN : `${count(Math.round(watts))}\u202fW` },
  ];
}

/** Everything as text with aligned columns. @param {Hardware} found */
export function summaryText(found) {
  const all = groups(found);
  const width = Math.max(...all.flatMap((group) => group.facts.map((fact) => fact.label.length))) + 2;
  const blocks = all.map((group, index) => {
    const title = index < 2 ? group.title : `Accelerator ${group.title}`;
    const lines = group.facts.map((fact) => `  ${fact.label.padEnd(width)}${fact.value}`);
    return [title, ...lines].join("\n");
  });
  if (!found.accelerators.length) blocks.push("Accelerators\n  none found");
  const version = String(found.capture.detector?.["version"] ?? "");
  return `${blocks.join("\n\n")}\n\nSeen ${found.captured_at} by Hostler ${version}`.trim() + "\n";
}
