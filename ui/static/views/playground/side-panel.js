/** A panel beside the chat where there is room, over it where there is none. */

import { html, useEffect, useRef } from "../../html.js";
import { IconButton } from "../../components/button.js";

/**
 * @param {{
 *   isOpen: import("../../html.js").Signal<boolean>, label: string, side: "start" | "end",
 *   children?: import("../../html.js").Children,
 * }} props
 */
export function SidePanel({ isOpen, label, side, children }) {
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  const wasOpen = useRef(isOpen.value);
  useEffect(() => {
    if (isOpen.value && !wasOpen.current) panel.current?.focus({ preventScroll: true });
    wasOpen.current = isOpen.value;
  }, [isOpen.value]);
  if (!isOpen.value) return null;
  const close = () => {
    isOpen.value = false;
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) close();
  };
  return html`
    <aside class=${`chat-panel ${side}`} aria-label=${label} tabindex="-1" ref=${panel} onKeyDown=${pressed}>
      <header class="spread chat-panel-head">
        <h2>${label}</h2>
        <${IconButton} icon="close" label=${`Close ${label.toLowerCase()}`} onClick=${close} />
      </header>
      ${children}
    </aside>
  `;
}
