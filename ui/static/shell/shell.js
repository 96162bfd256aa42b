import { html, useLayoutEffect } from "../html.js";
import { Toasts } from "../components/toasts.js";
import { stored } from "../state/settings.js";
import { Banners } from "./banners.js";
import { BottomBar } from "./bottom-bar.js";
import { Extras } from "./extras.js";
import { Header } from "./header.js";
import { paletteOpen, shortcutsOpen } from "./open.js";
import { Outlet } from "./outlet.js";
import { Sidebar } from "./sidebar.js";

const ROOMY_PX = 1000;

/** Whether the sidebar shows words; else icons alone. Narrow windows begin with icons. */
export const sidebarOpen = stored("sidebar-open", innerWidth >= ROOMY_PX);

/** Whether a key press is meant for what has the focus. */
const isTyping = (/** @type {EventTarget | null} */ target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented) return;
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    paletteOpen.value = !paletteOpen.value;
    return;
  }
  if (command || event.altKey || isTyping(event.target) || document.querySelector("dialog:modal")) return;
  if (event.key === "/") {
    event.preventDefault();
    paletteOpen.value = true;
  } else if (event.key === "?") {
    event.preventDefault();
    shortcutsOpen.value = true;
  } else if (event.key === "[") {
    sidebarOpen.value = !sidebarOpen.value;
  }
}

/** Everything around the view: navigation, header, banners, messages, the command palette. */
export function Shell() {
  // Not after the first paint: who sees the page may press a key.
  useLayoutEffect(() => {
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  /** @param {MouseEvent} event  by script, so that the address keeps its place in the page */
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("content")?.focus();
  };
  return html`
    <div class=${`shell ${sidebarOpen.value ? "" : "icons"}`}>
      <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
      <${Sidebar} open=${sidebarOpen} />
      <div class="shell-main">
        <${Header} />
        <${Banners} />
        <main class="content" id="content" tabindex="-1"><${Outlet} /></main>
      </div>
      <${BottomBar} />
    </div>
    <${Toasts} />
    <${Extras} />
  `;
}
