import { MODES, mode, PALETTES, palette } from "../state/appearance.js";
import { addCommands } from "../state/commands.js";
import { shortcutsOpen } from "./open.js";
import { MODE_LOOKS } from "./sidebar.js";

/** @typedef {import("../state/commands.js").Command} Command */

/** @returns {Command[]} */
const ofAppearance = () => {
  const group = "Appearance";
  const modes = MODES.filter((other) => other !== mode.value).map((other) => ({
    id: `mode ${other}`,
    group,
    title: `Theme: ${MODE_LOOKS[other].words}`,
    run: () => (mode.value = other),
  }));
  const palettes = PALETTES.filter((other) => other !== palette.value).map((other) => ({
    id: `palette ${other}`,
    group,
    title: `Theme colours: ${other}`,
    run: () => (palette.value = other),
  }));
  return [...modes, ...palettes];
};

/** Adds what the shell itself can do to the palette; once, by the shell. */
export const addShellCommands = () =>
  addCommands("shell", () => [
    ...ofAppearance(),
    { id: "keys", group: "Help", title: "Keyboard shortcuts", run: () => (shortcutsOpen.value = true) },
  ]);
