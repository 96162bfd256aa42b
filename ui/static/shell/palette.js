import { html, useId, useState } from "../html.js";
import { Dialog } from "../components/dialog.js";
import { Icon } from "../components/icon.js";
import { paletteOpen } from "./open.js";

/** @typedef {typeof import("./palette-list.js").PaletteList} PaletteList */

/** What the list below the field does something at. */
const LIST_KEYS = ["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Enter"];

/**
 * Everything one can do from anywhere, found by a few letters.
 *
 * The field is there at once, so that no key is lost; the list comes when it has been fetched.
 *
 * @param {{ list: PaletteList | undefined }} props
 */
export function CommandPalette({ list }) {
  const close = () => (paletteOpen.value = false);
  return html`
    <${Dialog} open=${paletteOpen.value} onClose=${close} title="Commands" class="palette">
      <${Search} list=${list} onDone=${close} />
    <//>
  `;
}

/**
 * A combobox over a listbox: the focus stays in the field, the arrow keys move the choice below.
 *
 * @param {{ list: PaletteList | undefined, onDone: () => void }} props
 */
function Search({ list: List, onDone }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(/** @type {string | undefined} */ (undefined));
  // Keys wait here for the list, which takes them as soon as it can.
  const [keys, setKeys] = useState(/** @type {string[]} */ ([]));
  const id = useId();
  const isEntered = keys.includes("Enter");
  /** @param {Event & { currentTarget: HTMLInputElement }} event */
  const typed = (event) => {
    setQuery(event.currentTarget.value);
    setKeys([]);
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (!LIST_KEYS.includes(event.key)) return;
    event.preventDefault();
    if (!isEntered) setKeys((before) => [...before, event.key]);
  };
  return html`
    <div class="palette-field">
      <${Icon} name="search" />
      <input
        type="text"
        role="combobox"
        aria-label="Search commands"
        aria-expanded=${String(Boolean(List))}
        aria-autocomplete="list"
        aria-controls=${List && `${id}-list`}
        aria-activedescendant=${chosen}
        placeholder="Go to a page, load a model, choose a profile…"
        autocomplete="off"
        autofocus
        spellcheck=${false}
        readonly=${isEntered}
        value=${query}
        onInput=${typed}
        onKeyDown=${pressed}
      />
      <kbd>Esc</kbd>
    </div>
    ${List
      ? html`<${List} id=${id} query=${query} keys=${keys} onKeys=${() => setKeys([])} onChosen=${setChosen} onDone=${onDone} />`
      : html`<p class="palette-none" role="status">${isEntered ? "Runs once the commands are here" : "Fetching the commands"}…</p>`}
  `;
}
