import { html, useEffect, useId, useMemo, useRef, useState } from "../html.js";
import { Dialog } from "../components/dialog.js";
import { Icon } from "../components/icon.js";
import { ranked } from "../lib/search.js";
import { commands } from "../state/commands.js";
import { addShellCommands } from "./commands.js";
import { paletteOpen } from "./open.js";
import { pageOf } from "./pages.js";

/** @typedef {import("../state/commands.js").Command} Command */

const MOST = 60;

addShellCommands();

/** Everything one can do from anywhere, found by a few letters. */
export function CommandPalette() {
  const close = () => (paletteOpen.value = false);
  return html`
    <${Dialog} open=${paletteOpen.value} onClose=${close} title="Commands" class="palette">
      <${Search} onDone=${close} />
    <//>
  `;
}

/**
 * A combobox over a listbox: the focus stays in the field, the arrow keys move the choice below.
 *
 * @param {{ onDone: () => void }} props
 */
function Search({ onDone }) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const all = commands.value;
  const groups = useMemo(() => matching(all, query), [all, query]);
  const found = groups.flatMap(([, members]) => members);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen, groups]);
  /** @param {Command} command */
  const run = (command) => {
    // First the dialog goes, so that the focus of what comes next is not taken back by it.
    onDone();
    setTimeout(() => command.run());
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const last = found.length - 1;
    const next = {
      ArrowDown: chosen >= last ? 0 : chosen + 1,
      ArrowUp: chosen <= 0 ? last : chosen - 1,
      PageDown: Math.min(last, chosen + 8),
      PageUp: Math.max(0, chosen - 8),
    }[event.key];
    if (next !== undefined) setAt(next);
    else if (event.key === "Enter" && found[chosen]) run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return html`
    <div class="palette-field">
      <${Icon} name="search" />
      <input
        ref=${field}
        type="text"
        role="combobox"
        aria-label="Search commands"
        aria-expanded="true"
        aria-autocomplete="list"
        aria-controls=${`${id}-list`}
        aria-activedescendant=${found.length ? `${id}-${chosen}` : undefined}
        placeholder="Go to a page, load a model, choose a profile…"
        autocomplete="off"
        spellcheck=${false}
        value=${query}
        onInput=${(/** @type {Event} */ event) => {
          setQuery(/** @type {HTMLInputElement} */ (event.currentTarget).value);
          setAt(0);
        }}
        onKeyDown=${pressed}
      />
      <kbd>Esc</kbd>
    </div>
    <div class="palette-list" role="listbox" id=${`${id}-list`} aria-label="Commands" ref=${list}>
      ${groups.map(
        ([name, members]) => html`
          <div key=${name} role="group" aria-label=${name}>
            <div class="palette-group" aria-hidden="true">${name}</div>
            ${members.map((command) => {
              const index = found.indexOf(command);
              return html`
                <div
                  key=${command.id}
                  id=${`${id}-${index}`}
                  class="palette-entry"
                  role="option"
                  aria-selected=${String(index === chosen)}
                  onMouseMove=${() => index !== chosen && setAt(index)}
                  onClick=${() => run(command)}
                >
                  <${Icon} name=${iconOf(command)} />
                  <span class="clip">${command.title}</span>
                  ${command.detail &&
                  !command.title.endsWith(command.detail) &&
                  html`<span class="palette-detail clip">${command.detail}</span>`}
                </div>
              `;
            })}
          </div>
        `,
      )}
    </div>
    ${found.length === 0 && html`<p class="palette-none" role="status">Nothing matches “${query}”.</p>`}
    <p class="unseen" aria-live="polite">${query && found.length > 0 ? `${found.length} found` : ""}</p>
  `;
}

/** @type {Record<string, string>} by the first word of a command's id */
const ICONS = {
  load: "play",
  unload: "power",
  "unload-all": "power",
  cancel: "stop",
  open: "models",
  profile: "user",
  reload: "refresh",
  mode: "sun",
  palette: "sun",
  keys: "keyboard",
};

/** @param {Command} command */
function iconOf({ id }) {
  const [kind, page] = id.split(" ");
  return kind === "page" ? pageOf([page]).icon : (ICONS[kind] ?? "chevron-right");
}

/**
 * The commands that match, best first, those of one group together.
 *
 * @param {Command[]} all
 * @param {string} query
 */
function matching(all, query) {
  const found = query.trim()
    ? ranked(query, all, (command) => `${command.title} ${command.detail ?? ""}`).map(({ entry }) => entry)
    : all;
  const groups = new Map(found.slice(0, MOST).map(({ group }) => [group, /** @type {Command[]} */ ([])]));
  for (const command of found.slice(0, MOST)) groups.get(command.group)?.push(command);
  return [...groups];
}
