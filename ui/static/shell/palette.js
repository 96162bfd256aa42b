import { html, useId, useState } from "../html.js";
import { Icon } from "../components/icon.js";

/** What the list does something at. */
const KEYS = /^(Arrow(Down|Up)|Page(Down|Up)|Enter)$/;

/**
 * A combobox over a listbox: the focus stays in the field, the arrow keys move the choice below. Keys wait for the list.
 *
 * @param {{ list?: typeof import("./palette-list.js").PaletteList, onDone: () => void }} props  list: once it is there
 */
export function PaletteField({ list: List, onDone }) {
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(/** @type {string | undefined} */ (undefined));
  const [keys, setKeys] = useState(/** @type {string[]} */ ([]));
  const id = useId();
  const isEntered = keys.includes("Enter");
  const taken = () => setKeys([]);
  return html`
    <div class="palette-field">
      <${Icon} name="search" />
      <input
        type="text"
        role="combobox"
        aria-label="Search commands"
        aria-expanded=${String(!!List)}
        aria-autocomplete="list"
        aria-controls=${List && `${id}-list`}
        aria-activedescendant=${chosen}
        placeholder="Go to a page, load a model, choose a profile…"
        autocomplete="off"
        autofocus
        spellcheck=${false}
        readonly=${isEntered}
        value=${query}
        onInput=${(/** @type {Event & { currentTarget: HTMLInputElement }} */ event) => {
          setQuery(event.currentTarget.value);
          taken();
        }}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
          if (!KEYS.test(event.key)) return;
          event.preventDefault();
          if (!isEntered) setKeys([...keys, event.key]);
        }}
      />
      <kbd>Esc</kbd>
    </div>
    ${List
      ? html`<${List} ...${{ id, query, keys, onDone }} onKeys=${taken} onChosen=${setChosen} />`
      : html`<p class="palette-none" role="status">${isEntered ? "Runs once the commands are here" : "Fetching the commands"}…</p>`}
  `;
}
