import { html, useId, useRef, useState } from "../html.js";
import { Button, IconButton } from "./button.js";
import { Icon } from "./icon.js";
import { Popover } from "./popover.js";

/**
 * Moves the entry *key* of *keys* to the place *to*.
 *
 * @param {string[]} keys
 * @param {string} key
 * @param {number} to
 */
const moved = (keys, key, to) => {
  const others = keys.filter((other) => other !== key);
  return [...others.slice(0, to), key, ...others.slice(to)];
};

/**
 * Chooses which columns are shown, and in which order: by dragging, by the arrow buttons, or with Alt and the arrow
 * keys. *shown* holds the keys in order; *initial* is what "Reset" goes back to.
 *
 * @param {{
 *   columns: { key: string, label: import("../html.js").Children }[], shown: string[], initial: string[],
 *   onChange: (keys: string[]) => void,
 * }} props
 */
export function ColumnChooser({ columns, shown, initial, onChange }) {
  const [open, setOpen] = useState(false);
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const id = useId();
  /** @param {string} why */
  const close = (why) => {
    setOpen(false);
    if (why === "key") button.current?.focus();
  };
  return html`
    <button
      ref=${button}
      type="button"
      class="icon-button"
      title="Columns"
      aria-label="Columns"
      aria-haspopup="dialog"
      aria-expanded=${String(open)}
      aria-controls=${open ? id : undefined}
      onClick=${() => setOpen(!open)}
    >
      <${Icon} name="columns" />
    </button>
    ${open &&
    html`
      <${Popover} id=${id} anchor=${button} onClose=${close} class="column-chooser" role="dialog" aria-label="Columns">
        <${Choices} ...${{ columns, shown, onChange }} />
        <footer>
          <${Button} kind="quiet" onClick=${() => onChange(initial)}>Reset<//>
          <${Button} onClick=${() => close("key")}>Done<//>
        </footer>
      <//>
    `}
  `;
}

/** @param {Pick<Parameters<typeof ColumnChooser>[0], "columns" | "shown" | "onChange">} props */
function Choices({ columns, shown, onChange }) {
  const [dragged, setDragged] = useState(/** @type {string | null} */ (null));
  const [news, setNews] = useState("");
  const byKey = new Map(columns.map((column) => [column.key, column]));
  const first = shown.filter((key) => byKey.has(key));
  const order = [...first, ...columns.map((column) => column.key).filter((key) => !first.includes(key))];
  const isLast = (/** @type {string} */ key) => first.length === 1 && first[0] === key;
  const focused = order.find((key) => !isLast(key));
  /**
   * @param {string} key
   * @param {number} to
   */
  const move = (key, to) => {
    if (to < 0 || to >= first.length || first.indexOf(key) === to) return;
    onChange(moved(first, key, to));
    setNews(`Column ${to + 1} of ${first.length}`);
  };
  /** @param {string} key */
  const toggle = (key) => {
    if (!first.includes(key)) onChange([...first, key]);
    else if (first.length > 1) onChange(first.filter((other) => other !== key));
  };
  /**
   * @param {KeyboardEvent} event
   * @param {string} key
   */
  const pressed = (event, key) => {
    if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    move(key, first.indexOf(key) + (event.key === "ArrowUp" ? -1 : 1));
  };
  return html`
    <ul class="column-choices">
      ${order.map((key) => {
        const place = first.indexOf(key);
        const visible = place >= 0;
        return html`
          <li
            key=${key}
            class=${dragged === key ? "dragged" : ""}
            draggable=${visible}
            onDragStart=${() => setDragged(key)}
            onDragEnd=${() => setDragged(null)}
            onDragOver=${(/** @type {DragEvent} */ event) => dragged && visible && event.preventDefault()}
            onDragEnter=${() => dragged && visible && move(dragged, place)}
          >
            <${Icon} name=${visible ? "grip" : ""} class="grip" />
            <label>
              <input
                type="checkbox"
                checked=${visible}
                disabled=${isLast(key)}
                autofocus=${key === focused}
                onChange=${() => toggle(key)}
                onKeyDown=${(/** @type {KeyboardEvent} */ event) => visible && pressed(event, key)}
              />
              ${byKey.get(key)?.label}
            </label>
            ${visible &&
            html`
              <${IconButton}
                icon="chevron-up"
                label="Move up"
                disabled=${place === 0}
                onClick=${() => move(key, place - 1)}
              />
              <${IconButton}
                icon="chevron-down"
                label="Move down"
                disabled=${place === first.length - 1}
                onClick=${() => move(key, place + 1)}
              />
            `}
          </li>
        `;
      })}
    </ul>
    <p class="unseen" aria-live="polite">${news}</p>
  `;
}
