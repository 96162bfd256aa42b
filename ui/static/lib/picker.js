/**
 * What a model picker offers, in which group and in which order. PURE.
 *
 * Every name is offered once: a model that can do what is asked for stands under "Matching capabilities" only.
 */

/** @typedef {import("../types.js").Model} Model */
/** @typedef {import("../types.js").Selector} Selector */

/**
 * @typedef {object} PickerEntry
 * @property {string} value  what a request names
 * @property {string} name   what people call it; empty if it has no name but its id
 * @property {"model" | "alias" | "selector" | "pin" | "peer"} kind
 * @property {string} state  empty: a peer's, which nobody here knows
 * @property {string} note   what it means: a pin's target, a selector's strategy, an alias's model
 */

/** @typedef {{label: string, entries: PickerEntry[]}} PickerGroup */

/**
 * Returns the groups that have entries.
 *
 * @param {object} sources
 * @param {readonly Model[]} sources.models
 * @param {readonly Selector[]} [sources.selectors]
 * @param {Readonly<Record<string, string>> | null} [sources.pins]  of the active profile; an empty target is a disabled pin
 * @param {string} [sources.profile]  its name
 * @param {import("../types.js").Ability | ""} [sources.capability]
 * @returns {PickerGroup[]}
 */
export function pickerGroups({ models, selectors = [], pins = null, profile = "", capability = "" }) {
  const locals = models.filter((model) => !model.peerID && !model.unlisted);
  const peers = models.filter((model) => model.peerID && !model.unlisted);
  const can = locals.filter((model) => capability !== "" && model.capabilities?.[capability]);
  const cannot = locals.filter((model) => !can.includes(model));
  const pinned = Object.entries(pins ?? {}).filter(([, target]) => target !== "");
  /** @type {PickerGroup[]} */
  const groups = [
    { label: profile ? `Profile ${profile}` : "Profile", entries: pinned.map((pin) => ofPin(pin, models, selectors)) },
    { label: "Matching capabilities", entries: can.flatMap(ofModel) },
    { label: "Selectors", entries: selectors.map((selector) => ofSelector(selector, models)) },
    { label: can.length ? "Other local models" : "Local", entries: cannot.flatMap(ofModel) },
    { label: "Peers", entries: peers.map(ofPeer) },
  ];
  const seen = new Set();
  for (const group of groups) {
    group.entries = group.entries.filter((entry) => !seen.has(entry.value) && seen.add(entry.value));
  }
  return groups.filter((group) => group.entries.length > 0);
}

/**
 * Returns the groups with only the entries that have every word of *text* in one of their names.
 *
 * @param {readonly PickerGroup[]} groups
 * @param {string} text
 * @returns {PickerGroup[]}
 */
export function searchGroups(groups, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  /** @param {PickerEntry} entry */
  const fits = (entry) => {
    const where = `${entry.value} ${entry.name} ${entry.note}`.toLowerCase();
    return words.every((word) => where.includes(word));
  };
  return groups
    .map((group) => ({ label: group.label, entries: group.entries.filter(fits) }))
    .filter((group) => group.entries.length > 0);
}

/**
 * Returns the entry whose value is *value*, if it is offered.
 *
 * @param {readonly PickerGroup[]} groups
 * @param {string} value
 * @returns {PickerEntry | undefined}
 */
export function findEntry(groups, value) {
  return groups.flatMap((group) => group.entries).find((entry) => entry.value === value);
}

/**
 * Returns what to choose where nothing has been chosen yet: the first that fits, one that is ready before all others.
 *
 * Nothing is chosen among models that do not say they can do what is asked for.
 *
 * @param {readonly PickerGroup[]} groups
 * @param {string} [capability]
 * @returns {string}  empty: nothing
 */
export function firstChoice(groups, capability = "") {
  const eligible = capability ? groups.filter((group) => group.label === "Matching capabilities") : groups;
  const entries = eligible.flatMap((group) => group.entries);
  const ready = entries.find((entry) => entry.state === "ready" && entry.kind === "model");
  return (ready ?? entries[0])?.value ?? "";
}

/** @param {Model} model @returns {PickerEntry[]} */
function ofModel(model) {
  /** @type {PickerEntry} */
  const itself = { value: model.id, name: otherName(model), kind: "model", state: model.state, note: "" };
  /** @type {PickerEntry[]} */
  const aliases = (model.aliases ?? []).map((alias) => ({
    value: alias,
    name: "",
    kind: "alias",
    state: model.state,
    note: model.id,
  }));
  return [itself, ...aliases];
}

/** @param {Model} model @returns {PickerEntry} */
function ofPeer(model) {
  return { value: model.id, name: otherName(model), kind: "peer", state: "", note: model.peerID };
}

/**
 * @param {Selector} selector
 * @param {readonly Model[]} models
 * @returns {PickerEntry}
 */
function ofSelector(selector, models) {
  const targets = selector.strategy === "pin" ? selector.targets.slice(0, 1) : selector.targets;
  const states = targets.map((target) => stateOf(target, models, []));
  // The best that any target has to offer; a target of a peer does not count.
  const state = ["ready", "starting", "stopping"].find((each) => states.includes(each)) ?? "stopped";
  const note = [selector.strategy, selector.targets.join(", ")].filter(Boolean).join(": ");
  return { value: selector.id, name: otherName(selector), kind: "selector", state, note };
}

/**
 * @param {[string, string]} pin
 * @param {readonly Model[]} models
 * @param {readonly Selector[]} selectors
 * @returns {PickerEntry}
 */
function ofPin([name, target], models, selectors) {
  return { value: name, name: "", kind: "pin", state: stateOf(target, models, selectors), note: `→ ${target}` };
}

/**
 * @param {string} name
 * @param {readonly Model[]} models
 * @param {readonly Selector[]} selectors
 * @returns {string}
 */
function stateOf(name, models, selectors) {
  const selector = selectors.find((each) => each.id === name);
  if (selector) return ofSelector(selector, models).state;
  return models.find((each) => each.id === name || each.aliases?.includes(name))?.state ?? "unknown";
}

/** @param {{id: string, name: string}} model */
function otherName(model) {
  return model.name === model.id ? "" : model.name;
}
