/** @file The configuration as lines to be read, with what is not the default marked. PURE. */

import { plain } from "./bidi.js";

/** @typedef {null | boolean | number | string | Json[] | {[key: string]: Json}} Json */
/** @typedef {{[key: string]: Json}} Mapping */

/**
 * @typedef {object} Line
 * @property {number} depth
 * @property {string} key  "" of an entry of a list
 * @property {string} value  "" of what has lines of its own
 * @property {boolean} dash  an entry of a list
 * @property {boolean} differs  somebody has written it, and it is not the default
 * @property {boolean} parent  has lines of its own
 */

/**
 * @typedef {{id: string, title: string, about: string, entries: {id: string, path: string[], value: Json}[]}} Section
 */

/**
 * Sections whose members have names, with the place of the mapping.
 * @type {{id: string, title: string, about: string, path: string[]}[]}
 */
const NAMED = [
  { id: "models", title: "Models", about: "How each is started, reached and offered", path: ["models"] },
  { id: "routing", title: "Groups, matrix, order", about: "Who runs beside whom, who comes first", path: ["routing"] },
  { id: "profiles", title: "Profiles", about: "Names that mean other models while one is active", path: ["profiles"] },
  { id: "selectors", title: "Selectors", about: "Names that stand for one of several models", path: ["selectors"] },
  { id: "peers", title: "Peers", about: "Other servers whose models are offered here", path: ["peers"] },
];

/** Sections in which each member is a thing of its own. */
const OF_MANY = new Set(["models", "profiles", "selectors", "peers"]);

/** @param {unknown} value @returns {value is Mapping} */
const isMapping = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {Mapping} config @returns {Section[]} those that have anything */
export function sections(config) {
  const named = NAMED.map(({ id, title, about, path }) => {
    const value = config[/** @type {string} */ (path[0])] ?? {};
    const entries = OF_MANY.has(id) && isMapping(value)
      ? Object.entries(value).map(([name, entry]) => ({ id: name, path: [...path, name], value: entry }))
      : [{ id: "", path, value }];
    return { id, title, about, entries };
  });
  const isNamed = (/** @type {string} */ key) => NAMED.some((each) => each.path[0] === key);
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => !isNamed(key)));
  const entries = [{ id: "", path: [], value: rest }];
  const server = { id: "server", title: "Server", about: "Logs, limits, keys, records, monitoring", entries };
  return [...named.filter((section) => section.entries.length > 0), server];
}

/** @param {string[][]} differing @returns {ReadonlySet<string>} */
export const marks = (differing) => new Set(differing.map((path) => JSON.stringify(path)));

/** @param {Json} value @param {string[]} path where it stands @param {ReadonlySet<string>} marked @returns {Line[]} */
export function linesOf(value, path, marked) {
  /** @type {Line[]} */
  const lines = [];
  if (isMapping(value)) members(value, path, marked, 0, false, lines);
  return lines;
}

/**
 * @param {Mapping} value
 * @param {string[]} path
 * @param {ReadonlySet<string>} marked
 * @param {number} depth
 * @param {boolean} differs
 * @param {Line[]} lines
 */
function members(value, path, marked, depth, differs, lines) {
  for (const [key, entry] of Object.entries(value)) {
    const here = [...path, key];
    const own = differs || marked.has(JSON.stringify(here));
    written(scalar(key), entry, here, marked, depth, own, false, lines);
  }
}

/**
 * @param {string} key @param {Json} entry @param {string[]} path @param {ReadonlySet<string>} marked @param {number}
 * depth
 * @param {boolean} differs @param {boolean} dash @param {Line[]} lines
 */
function written(key, entry, path, marked, depth, differs, dash, lines) {
  const line = { depth, key, value: "", dash, differs, parent: true };
  if (isMapping(entry) && Object.keys(entry).length) {
    lines.push(line);
    members(entry, path, marked, depth + 1, differs, lines);
    line.differs ||= lines.slice(lines.indexOf(line) + 1).some((each) => each.differs);
  } else if (Array.isArray(entry) && entry.length) {
    lines.push(line);
    for (const each of entry) written("", each, path, marked, depth + 1, differs, true, lines);
  } else if (typeof entry === "string" && entry.trim().includes("\n")) {
    lines.push({ ...line, value: "|" });
    for (const text of entry.trimEnd().split("\n")) {
      lines.push({ depth: depth + 1, key: "", value: plain(text), dash: false, differs, parent: false });
    }
  } else lines.push({ ...line, value: leaf(entry), parent: false });
}

/** @param {Json} value */
function leaf(value) {
  if (Array.isArray(value)) return "[]";
  return isMapping(value) ? "{}" : scalar(value);
}

const BARE = /^(?:[A-Za-z_/$]|\.(?!\d))[^\u0000-\u001f\u007f]*$/;
const ENDS_EARLY = /: |:$| #|^\s|\s$/;
const MEANS_OTHER = /^(?:true|false|yes|no|on|off|y|n|null|\.nan)$/i;

/**
 * Returns a scalar as YAML has it; text is quoted where it would mean something else.
 * @param {null | boolean | number | string} value
 */
export function scalar(value) {
  if (typeof value !== "string") return value === null ? "null" : String(value);
  const isBare = BARE.test(value) && !ENDS_EARLY.test(value) && !MEANS_OTHER.test(value);
  return plain(isBare ? value : JSON.stringify(value));
}

/** @param {Line[]} lines as YAML */
export function textOf(lines) {
  return lines.map((line) => `${"  ".repeat(line.depth)}${line.dash ? "- " : ""}${shown(line)}\n`).join("");
}

/** @param {Line} line */
export const shown = (line) => [line.key && `${line.key}:`, line.value].filter(Boolean).join(" ");

/**
 * Returns the lines that are wanted, with those above them that say where they belong.
 * @param {Line[]} lines @param {{search?: string, onlyDiffering?: boolean}} wanted
 */
export function wantedLines(lines, { search = "", onlyDiffering = false }) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  /** @type {boolean[]} */
  const keep = lines.map(() => false);
  /** @type {number[]} indices of the lines that the current one is below */
  const above = [];
  lines.forEach((line, index) => {
    above.length = line.depth;
    const whole = [...above.map((each) => lines[each]?.key ?? ""), shown(line)].join(" ").toLowerCase();
    if (words.every((word) => whole.includes(word)) && (!onlyDiffering || line.differs)) {
      for (const each of [...above, index]) if (each !== undefined) keep[each] = true;
    }
    above[line.depth] = index;
  });
  return lines.filter((_line, index) => keep[index]);
}

/** @typedef {import("../types.js").ReloadPlan} Plan */
/** @typedef {{tone: "good" | "busy" | "bad" | "neutral", kind: string, name: string, detail: string}} Change */

const RESTARTS = "ends when idle, the next request starts it anew";

/** Returns what a reload changes, in words. @param {Plan} plan @returns {Change[]} */
export function changesOf(plan) {
  /**
   * @param {Change["tone"]} tone
   * @param {string} kind
   * @param {string} name
   * @param {string} [detail]
   * @returns {Change}
   */
  const change = (tone, kind, name, detail = "") => ({ tone, kind, name: plain(name), detail });
  return [
    ...plan.added.map((model) => change("good", "added", model)),
    ...plan.changed.map(({ model, settings, restarts }) =>
      change("busy", "changed", model, `${settings.join(", ")}; ${restarts ? RESTARTS : "serves on"}`)),
    ...plan.removed.map((model) => change("bad", "removed", model, "what it serves is finished first")),
    ...(plan.swapping_changed ? [change("busy", "changed", "swapping", "other rules of who goes before whom")] : []),
    ...plan.settings.map((name) => change("neutral", "setting", name, "holds at once")),
    ...plan.needs_restart.map((name) => change("busy", "restart", name, "holds only after Hostler is restarted")),
  ];
}
