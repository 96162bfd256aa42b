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

// The view of this address is fetched at the same time as the shell that will ask for it (shell/pages.js). Whatever goes
// wrong here is told of there.
{
  const [, , page = "", rest = ""] = location.pathname.split("/");
  const known = /^(playground|models|logs|performance|hardware|configuration|settings)$/.test(page) ? page : "activity";
  const module = known === "models" && rest ? "models/model" : `${known}/${known}`;
  import(`./views/${module}.js`).catch(() => {});
  const style = document.createElement("link");
  style.rel = "preload";
  style.as = "style";
  const base = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  style.href = new URL(`styles/${known}.css`, base).href;
  document.head.append(style);
}
