/** What is to be painted, and what has been: it outlives the tab, the settings the page. */

import { computed, signal } from "../../html.js";
import { pictureRequest, picturesIn } from "../../lib/images.js";
import { ApiError, post } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { Task } from "./task.js";
import { upload } from "./upload.js";

/** @typedef {import("../../lib/images.js").Picture} Picture */
/** @typedef {import("../../lib/images.js").Lora} Lora */
/** @typedef {"openai" | "sdapi" | "edit"} Way */
/**
 * @typedef {object} ImageSettings
 * @property {Way} way
 * @property {string} size
 * @property {string} negative
 * @property {number | null} steps
 * @property {number | null} cfg
 * @property {number | null} seed
 * @property {number | null} batch
 * @property {string} sampler
 * @property {string} scheduler
 * @property {Lora[]} loras
 */
/** @typedef {{ id: number, model: string, prompt: string, pictures: Picture[], tookMs: number }} Batch */

/** @type {ImageSettings} */
const DEFAULTS = {
  way: "openai",
  size: "1024x1024",
  negative: "",
  steps: 20,
  cfg: 7,
  seed: -1,
  batch: 1,
  sampler: "",
  scheduler: "",
  loras: [],
};

const kept = stored("playground.images", /** @type {Partial<ImageSettings>} */ ({}));

export const settings = computed(() => ({ ...DEFAULTS, ...kept.value }));
export const model = stored("playground.images-model", "");
export const prompt = stored("playground.images-prompt", "");
/** To be changed, in the way "edit". */
export const originals = signal(/** @type {File[]} */ ([]));
/** Newest first. */
export const batches = signal(/** @type {Batch[]} */ ([]));
export const task = signal(/** @type {Task<Batch> | null} */ (null));

let count = 0;

/** @param {Partial<ImageSettings>} changes */
export function change(changes) {
  kept.value = { ...kept.value, ...changes };
}

/** Why it cannot be painted; empty: it can. */
export const refusal = computed(() => {
  if (!model.value) return "Choose a model first.";
  if (!prompt.value.trim()) return "Say what is to be seen.";
  return settings.value.way === "edit" && !originals.value.length ? "Choose a picture to change." : "";
});

export function paint() {
  if (refusal.value || task.value?.isRunning) return;
  const wish = { ...settings.value, model: model.value, prompt: prompt.value.trim() };
  const files = originals.value;
  const asked = new Task(wish.model, async (tools) => {
    const { way } = wish;
    const answer = way === "edit" ? upload("/v1/images/edits", editForm(wish, files), tools) : asJson(way, wish, tools);
    const pictures = picturesIn(await answer);
    if (!pictures.length) throw new ApiError(0, "The answer has no picture in it.");
    return { id: (count += 1), model: wish.model, prompt: wish.prompt, pictures, tookMs: 0 };
  });
  task.value = asked;
  void asked.finished.then(() => {
    const batch = asked.result.value;
    if (batch) batches.value = [{ ...batch, tookMs: asked.tookMs }, ...batches.value];
  });
}

/**
 * @param {"openai" | "sdapi"} way
 * @param {import("../../lib/images.js").PictureWish} wish
 * @param {import("./task.js").TaskTools} tools
 */
function asJson(way, wish, { signal: stop, headers }) {
  const { path, body } = pictureRequest(way, wish);
  return post(path, body, { signal: stop, headers });
}

/**
 * @param {import("../../lib/images.js").PictureWish} wish
 * @param {readonly File[]} files
 */
function editForm(wish, files) {
  const form = new FormData();
  // The model goes first: it is what the request is routed by.
  form.append("model", wish.model);
  form.append("prompt", wish.prompt);
  form.append("n", "1");
  form.append("size", wish.size);
  for (const file of files) form.append(files.length > 1 ? "image[]" : "image", file);
  return form;
}
