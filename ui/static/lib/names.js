// What models are called, and the groups in which they are offered for choice.

/** @typedef {import("../types.js").Model} Model */
/** @typedef {import("../types.js").Profile} Profile */
/** @typedef {import("../types.js").Selector} Selector */
/** @typedef {import("../types.js").ListedModel} ListedModel */
/** @typedef {import("../types.js").Ability} Ability */

/**
 * One name that a request can be made for.
 * @typedef {object} Choice
 * @property {string} id what goes into the request
 * @property {string} label
 * @property {string} detail what it stands for; "" if that is clear
 * @property {Model["state"]} state of the model behind it; "" if that is not known
 * @property {boolean} [disabled]
 */

/** @typedef {{label: string, choices: Choice[]}} ChoiceGroup */

const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * @param {{id: string, name?: string}} model
 * @returns {string} its name, or its id if it has none
 */
export function displayName(model) {
  return model.name?.trim() || model.id;
}

/**
 * @param {string} a
 * @param {string} b
 * @returns {number} for `sort`: "m2" before "m10"
 */
export function natural(a, b) {
  return byName.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/**
 * @param {readonly Model[]} models
 * @param {string} name an id or an alias
 * @returns {Model | undefined}
 */
export function modelNamed(models, name) {
  return models.find((model) => model.id === name) ?? models.find((model) => model.aliases?.includes(name));
}

/**
 * @param {readonly Model[]} models
 * @returns {{local: Model[], peers: Map<string, Model[]>}} those of this machine, and those of each peer
 */
export function byPlace(models) {
  /** @type {Map<string, Model[]>} */
  const peers = new Map();
  const local = [];
  for (const model of models) {
    if (model.peerID === "") local.push(model);
    else peers.set(model.peerID, [...(peers.get(model.peerID) ?? []), model]);
  }
  return { local, peers };
}

/**
 * @param {readonly ListedModel[]} listed
 * @returns {Selector[]}
 */
export function selectorsOf(listed) {
  return listed
    .filter((entry) => entry.meta?.llamaswap?.type === "selector")
    .map((entry) => ({
      id: entry.id,
      name: entry.name ?? "",
      description: entry.description ?? "",
      strategy: entry.meta?.llamaswap?.strategy ?? "",
      targets: entry.meta?.llamaswap?.targets ?? [],
      ...(typeof entry.meta?.llamaswap?.spillover === "number" ? { spillover: entry.meta.llamaswap.spillover } : {}),
    }));
}

/**
 * What a picker offers: the pins of the profile in force, models that say they can do it, selectors, ours with their aliases,
 * those of peers. Groups without choices are left out.
 * @param {readonly Model[]} models
 * @param {object} [besides]
 * @param {Profile | null} [besides.profile] the active one
 * @param {readonly Selector[]} [besides.selectors]
 * @param {Ability} [besides.ability] which the request needs
 * @param {boolean} [besides.unlisted] whether models that are unlisted are offered, too
 * @returns {ChoiceGroup[]}
 */
export function choices(models, { profile = null, selectors = [], ability, unlisted = true } = {}) {
  const offered = models.filter((model) => unlisted || !model.unlisted);
  const { local, peers } = byPlace(offered);
  const able = ability ? local.filter((model) => model.capabilities?.[ability]) : [];
  const others = local.filter((model) => !able.includes(model));
  const groups = [
    { label: profile ? `Profile ${profile.id}` : "", choices: profile ? pinned(profile, models) : [] },
    { label: "Matching capabilities", choices: able.flatMap(withAliases) },
    { label: "Selectors", choices: selectors.map(selected) },
    { label: able.length ? "Other local models" : "Local models", choices: others.flatMap(withAliases) },
    ...[...peers].map(([peer, theirs]) => ({ label: `Peer ${peer}`, choices: theirs.map(itself) })),
  ];
  return groups.filter((group) => group.choices.length > 0);
}

/**
 * @param {Profile} profile
 * @param {readonly Model[]} models
 * @returns {Choice[]}
 */
function pinned(profile, models) {
  return Object.entries(profile.pins)
    .sort(([a], [b]) => natural(a, b))
    .map(([id, target]) => ({
      id,
      label: id,
      detail: target ? `→ ${target}` : "disabled",
      state: modelNamed(models, target)?.state ?? "",
      ...(target ? {} : { disabled: true }),
    }));
}

/** @param {Selector} selector @returns {Choice} */
function selected(selector) {
  const detail = `${selector.strategy ? `${selector.strategy}: ` : ""}${selector.targets.join(", ")}`;
  return { id: selector.id, label: displayName(selector), detail, state: "" };
}

/** @param {Model} model @returns {Choice} */
function itself(model) {
  const label = displayName(model);
  return { id: model.id, label, detail: label === model.id ? "" : model.id, state: model.state };
}

/** @param {Model} model @returns {Choice[]} */
function withAliases(model) {
  const aliases = (model.aliases ?? []).map((alias) => ({ id: alias, label: `↳ ${alias}`, detail: "", state: model.state }));
  return [itself(model), ...aliases];
}
