// What the command palette offers. Views may add what only they know.

import { computed, signal } from "../html.js";
import { plain } from "../lib/bidi.js";
import { byPlace, displayName } from "../lib/names.js";
import { modelPath } from "../lib/query.js";
import { cancelLoad, chooseProfile, loadModel, loads, reloadConfig, unloadAll, unloadModel } from "./actions.js";
import { navigate } from "./router.js";
import { models, profile, profiles } from "./store.js";
import { PAGES } from "./title.js";

/**
 * @typedef {object} Command
 * @property {string} id
 * @property {string} group
 * @property {string} title
 * @property {string} [detail] more to find it by
 * @property {() => unknown} run
 */

const added = signal(/** @type {ReadonlyMap<string, () => Command[]>} */ (new Map()));

/** @type {import("../html.js").ReadonlySignal<Command[]>} */
export const commands = computed(() => [
  ...pages(),
  ...models.value.filter((model) => model.peerID === "").flatMap(ofModel),
  ...whole(),
  ...ofProfiles(),
  ...[...added.value.values()].flatMap((more) => more()),
  ...models.value.map(opening),
]);

/**
 * Adds commands, those of a view that is shown for instance.
 * @param {string} key replaces what has the same
 * @param {() => Command[]} more may read signals
 * @returns {() => void} takes them back
 */
export function addCommands(key, more) {
  added.value = new Map(added.value).set(key, more);
  return () => {
    const rest = new Map(added.value);
    if (rest.get(key) === more) rest.delete(key);
    added.value = rest;
  };
}

/** @returns {Command[]} */
function pages() {
  return Object.entries(PAGES).map(([page, title]) => ({
    id: `page ${page}`,
    group: "Go to",
    title,
    run: () => navigate(`/${page}`),
  }));
}

/**
 * @param {import("../types.js").Model} model
 * @returns {Command[]}
 */
function ofModel(model) {
  const name = plain(displayName(model));
  const detail = plain([model.id, ...(model.aliases ?? [])].join(" "));
  const group = "Models";
  if (loads.value.has(model.id)) {
    return [{ id: `cancel ${model.id}`, group, title: `Stop loading ${name}`, detail, run: () => cancelLoad(model.id) }];
  }
  return model.state === "stopped" || model.state === "stopping"
    ? [{ id: `load ${model.id}`, group, title: `Load ${name}`, detail, run: () => loadModel(model.id) }]
    : [{ id: `unload ${model.id}`, group, title: `Unload ${name}`, detail, run: () => unloadModel(model.id) }];
}

/** @returns {Command[]} */
function whole() {
  const isAnyUp = byPlace(models.value).local.some((model) => model.state !== "stopped");
  return [
    ...(isAnyUp ? [{ id: "unload-all", group: "Models", title: "Unload all models", run: unloadAll }] : []),
    { id: "reload", group: "Configuration", title: "Reload the configuration", run: () => reloadConfig() },
  ];
}

/** @returns {Command[]} */
function ofProfiles() {
  const group = "Profiles";
  const none = profile.value === null ? [] : [{ id: "profile", group, title: "Use no profile", run: () => chooseProfile(null) }];
  const others = profiles.value
    .filter(({ id }) => id !== profile.value)
    .map(({ id, description }) => ({
      id: `profile ${id}`,
      group,
      title: `Use profile ${plain(id)}`,
      detail: plain(description),
      run: () => chooseProfile(id),
    }));
  return [...none, ...others];
}

/**
 * @param {import("../types.js").Model} model
 * @returns {Command}
 */
function opening(model) {
  return {
    id: `open ${model.id}`,
    group: "Open model",
    title: plain(displayName(model)),
    detail: plain(model.id),
    run: () => navigate(modelPath(model.id)),
  };
}
