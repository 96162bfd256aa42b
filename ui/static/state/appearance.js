// How the page looks: the mode (that of the system, light or dark) and the palette. boot.js sets the same before the first
// paint; here it is kept while the page lives, for all tabs.

import { effect } from "../html.js";
import { stored } from "./settings.js";

export const MODES = /** @type {const} */ (["system", "light", "dark"]);
/** @typedef {(typeof MODES)[number]} Mode */

export const PALETTES = /** @type {const} */ ([
  "default", "ocean", "violet", "emerald", "rose", "amber", "slate", "sunset", "terminal", "mc", "solarized",
]);
/** @typedef {(typeof PALETTES)[number]} Palette */

export const mode = stored("mode", /** @type {Mode} */ ("system"), (value) => MODES.includes(value));
export const palette = stored("palette", /** @type {Palette} */ ("default"), (value) => PALETTES.includes(value));

/** The mode that a press of the theme button leads to. */
export const nextMode = () => MODES[(MODES.indexOf(mode.value) + 1) % MODES.length];

/** Keeps the page in step with both; once, by main.js. */
export function keepAppearance() {
  const root = document.documentElement;
  effect(() => {
    root.toggleAttribute("data-mode", mode.value !== "system");
    if (mode.value !== "system") root.setAttribute("data-mode", mode.value);
    root.setAttribute("data-palette", palette.value);
  });
}
