import { html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { Icon } from "../components/icon.js";
import { ranked } from "../lib/search.js";
import { commands } from "../state/commands.js";
import { connection, named } from "../state/store.js";
import { addShellCommands } from "./commands.js";
import { pageOf } from "./pages.js";

/** @typedef {import("../state/commands.js").Command} Command */

const MOST = 60;

addShellCommands();

/**
 * What the palette's field finds.
 *
 * @param {{
 *   id: string, query: string, keys: readonly string[], onKeys: () => void, onChosen: (id?: string) => void, onDone: () => void,
 * }} props  keys: pressed in the field and not yet acted upon; onKeys: they have been; onChosen: is told the id of the option
 */
export function PaletteList({ id, query, keys, onKeys, onChosen, onDone }) {
  // A choice is one among what a query finds: with the next it begins at the top.
  const [choice, setChoice] = useState({ query, at: 0 });
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const all = commands.value;
  const groups = useMemo(() => matching(all, query), [all, query]);
  const found = groups.flatMap(([, members]) => members);
  const chosen = Math.max(0, Math.min(choice.query === query ? choice.at : 0, found.length - 1));
  // Before models and profiles are known, Enter could hit what would not have been the first.
  const isSettled = named.value || connection.value === "lost";
  /** @param {Command} command */
  const run = (command) => {
    // First the dialog goes, so that the focus of what comes next is not taken back by it.
    onDone();
    setTimeout(() => command.run());
  };
  useLayoutEffect(() => {
    if (keys.length === 0 || !isSettled) return;
    let at = chosen;
    for (const key of keys) {
      const command = found[at];
      if (key !== "Enter") at = moved(key, at, found.length - 1);
      else if (command) run(command);
    }
    setChoice({ query, at });
    onKeys();
  }, [keys, isSettled]);
  useLayoutEffect(() => {
    onChosen(found.length ? `${id}-${chosen}` : undefined);
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen, groups]);
  return html`
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
                  onMouseMove=${() => index !== chosen && setChoice({ query, at: index })}
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

/**
 * Returns where the choice goes.
 *
 * @param {string} key
 * @param {number} at
 * @param {number} last
 */
function moved(key, at, last) {
  switch (key) {
    case "ArrowDown":
      return at >= last ? 0 : at + 1;
    case "ArrowUp":
      return at <= 0 ? last : at - 1;
    case "PageDown":
      return Math.min(last, at + 8);
    default:
      return Math.max(0, at - 8);
  }
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
