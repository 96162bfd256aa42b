import { html, useEffect, useState } from "../html.js";
import { Button, IconButton } from "./button.js";

const SHOWN_MS = 1600;

/**
 * Puts *text* on the clipboard. Over plain http browsers keep the clipboard API away; the old command still works.
 *
 * @param {string} text
 * @returns {Promise<boolean>} whether it is there
 */
export async function copyText(text) {
  if (navigator.clipboard && isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Permission refused (a frame, a policy): the old way may still be open.
    }
  }
  // Inside a modal dialog everything outside is inert, so the helper must stand inside it.
  const place = document.querySelector("dialog:modal") ?? document.body;
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  area.readOnly = true;
  place.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}

/**
 * A button that copies and says so. With `words` it shows the label as text.
 *
 * @param {{ text: string | (() => string), label?: string, words?: boolean, disabled?: boolean }} props
 */
export function CopyButton({ text, label = "Copy", words, disabled }) {
  const [outcome, setOutcome] = useState(/** @type {"copied" | "failed" | null} */ (null));
  useEffect(() => {
    if (!outcome) return undefined;
    const timer = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => setOutcome((await copyText(typeof text === "string" ? text : text())) ? "copied" : "failed");
  const says = outcome === "copied" ? "Copied" : outcome === "failed" ? "Could not copy" : label;
  const icon = outcome === "copied" ? "check" : outcome === "failed" ? "warning" : "copy";
  return html`
    ${words
      ? html`<${Button} icon=${icon} onClick=${copy} disabled=${disabled}>${says}<//>`
      : html`<${IconButton} icon=${icon} label=${says} onClick=${copy} disabled=${disabled} />`}
    <span class="unseen" aria-live="polite">${outcome ? says : ""}</span>
  `;
}
