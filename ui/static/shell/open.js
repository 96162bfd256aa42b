import { signal } from "../html.js";

/** Whether the command palette is open. */
export const paletteOpen = signal(false);

/** Whether the list of keys is open. */
export const shortcutsOpen = signal(false);
