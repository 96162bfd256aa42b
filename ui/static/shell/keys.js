const MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** The key that commands are given with on this machine, as its keyboard has it. */
export const COMMAND = MAC ? "⌘" : "Ctrl";
