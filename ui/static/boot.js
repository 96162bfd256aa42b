// Runs before the first paint, so that nobody sees the wrong theme for a moment. state/appearance.js keeps it afterwards.
"use strict";

for (const [key, attribute] of [["mode", "data-mode"], ["palette", "data-palette"]]) {
  try {
    const value = JSON.parse(localStorage.getItem(`hostler.${key}`) ?? "null");
    if (typeof value === "string" && /^[a-z]+$/.test(value)) document.documentElement.setAttribute(attribute, value);
  } catch {
    // No storage, or nothing readable in it: the system's mode and the default palette.
  }
}
