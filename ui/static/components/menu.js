import { html, useId, useRef, useState } from "../html.js";
import { Icon } from "./icon.js";
import { Popover } from "./popover.js";

/**
 * @typedef {{
 *   label: string, onSelect: () => void, disabled?: boolean, checked?: boolean, icon?: string, danger?: boolean,
 *   title?: string,
 * }} Entry
 */

/**
 * A button that opens a menu. Without an icon the label is written on the button; with one it is the tooltip.
 *
 * @param {{ label: string, icon?: string, entries: Entry[], text?: string, disabled?: boolean, class?: string }} props
 *   text: words to show beside the icon
 */
export function Menu({ label, icon, entries, text, disabled, class: more }) {
  const [open, setOpen] = useState(false);
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const id = useId();
  /** @param {boolean} focus */
  const close = (focus) => {
    setOpen(false);
    if (focus) button.current?.focus();
  };
  const words = icon ? text : (text ?? label);
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    setOpen(true);
  };
  return html`
    <button
      ref=${button}
      type="button"
      class=${`${words ? "button plain" : "icon-button"} ${more ?? ""}`}
      title=${words === label ? undefined : label}
      aria-label=${words === label ? undefined : label}
      aria-haspopup="menu"
      aria-expanded=${String(open)}
      aria-controls=${open ? id : undefined}
      disabled=${disabled}
      onClick=${() => setOpen(!open)}
      onKeyDown=${pressed}
    >
      ${icon && html`<${Icon} name=${icon} />`}${words}${words && html`<${Icon} name="chevron-down" class="small" />`}
    </button>
    ${open && html`<${Entries} id=${id} label=${label} entries=${entries} anchor=${button} onClose=${close} />`}
  `;
}

/**
 * @param {{
 *   id: string, label: string, entries: Entry[], anchor: { current: HTMLElement | null },
 *   onClose: (focus: boolean) => void,
 * }} props
 */
function Entries({ id, label, entries, anchor, onClose }) {
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  /** @returns {HTMLButtonElement[]} */
  const items = () => [...(list.current?.querySelectorAll("button") ?? [])].filter((item) => !item.disabled);
  const chosen = entries.find((entry) => entry.checked && !entry.disabled) ?? entries.find((entry) => !entry.disabled);
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const all = items();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    if (event.key === "Tab") return onClose(true);
    const next =
      event.key === "ArrowDown" ? all[(at + 1) % all.length]
      : event.key === "ArrowUp" ? all[(at - 1 + all.length) % all.length]
      : event.key === "Home" ? all[0]
      : event.key === "End" ? all[all.length - 1]
      : event.key.length === 1 && event.key !== " " ? startingWith(all, at, event.key)
      : undefined;
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  /** @param {Entry} entry */
  const choose = (entry) => {
    onClose(true);
    entry.onSelect();
  };
  const checkable = entries.some((entry) => entry.checked !== undefined);
  return html`
    <${Popover} anchor=${anchor} onClose=${(/** @type {string} */ why) => onClose(why === "key")} class="menu">
      <div ref=${list} role="menu" id=${id} aria-label=${label} onKeyDown=${pressed}>
        ${entries.map(
          (entry) => html`
            <button
              type="button"
              class=${`menu-entry ${entry.danger ? "danger" : ""}`}
              role=${entry.checked === undefined ? "menuitem" : "menuitemcheckbox"}
              aria-checked=${entry.checked === undefined ? undefined : String(entry.checked)}
              disabled=${entry.disabled}
              title=${entry.title}
              tabindex="-1"
              autofocus=${entry === chosen}
              onClick=${() => choose(entry)}
            >
              ${checkable && html`<${Icon} name=${entry.checked ? "check" : ""} />`}
              ${entry.icon && html`<${Icon} name=${entry.icon} />`}<span>${entry.label}</span>
            </button>
          `,
        )}
      </div>
    <//>
  `;
}

/**
 * The next entry after *at* that starts with *letter*.
 *
 * @param {HTMLButtonElement[]} all
 * @param {number} at
 * @param {string} letter
 */
function startingWith(all, at, letter) {
  const wanted = letter.toLowerCase();
  return [...all.slice(at + 1), ...all].find((item) => item.textContent?.trim().toLowerCase().startsWith(wanted));
}
