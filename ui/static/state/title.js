// The document's title: how things stand, where one is, and what this Hostler is called.

import { computed, effect } from "../html.js";
import { plain } from "../lib/bidi.js";
import { displayName, modelNamed } from "../lib/names.js";
import { stored } from "./settings.js";
import { connection, models } from "./store.js";
import { route } from "./router.js";

export const DEFAULT_TITLE = "Hostler";
export const LONGEST_TITLE = 64;

const kept = stored("app-title", DEFAULT_TITLE);

/** What this Hostler is called: one tells several machines apart by it. */
export const title = computed(() => tidy(kept.value));

/** @param {string} text "" for the default */
export function setTitle(text) {
  kept.value = tidy(text);
}

/** @param {string} text */
function tidy(text) {
  return plain([...text.trim()].slice(0, LONGEST_TITLE).join("")) || DEFAULT_TITLE;
}

/** The pages, by the first segment of the path. */
export const PAGES = /** @type {Readonly<Record<string, string>>} */ ({
  activity: "Activity",
  playground: "Playground",
  models: "Models",
  logs: "Logs",
  performance: "Performance",
  hardware: "Hardware",
  settings: "Settings",
  configuration: "Configuration",
});

const CIRCLES = { open: "🟢", connecting: "🟡", lost: "🔴" };

/** What the page is about: a model's name, or the page's own. */
export const place = computed(() => {
  const [page = "activity", id] = route.value.segments;
  if (page === "models" && id) {
    const model = modelNamed(models.value, id);
    return plain(model ? displayName(model) : id);
  }
  return Object.hasOwn(PAGES, page) ? /** @type {string} */ (PAGES[page]) : "Activity";
});

/** Keeps the document's title; once, by main.js. */
export function keepDocumentTitle() {
  effect(() => {
    document.title = `${CIRCLES[connection.value]} ${title.value} · ${place.value}`;
  });
}
