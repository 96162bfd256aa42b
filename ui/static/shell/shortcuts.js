import { html } from "../html.js";
import { Dialog } from "../components/dialog.js";
import { COMMAND } from "./keys.js";
import { shortcutsOpen } from "./open.js";

const KEYS = [
  { keys: [`${COMMAND} K`, "/"], does: "Open the command palette" },
  { keys: ["["], does: "Sidebar with names, or icons alone" },
  { keys: ["?"], does: "This list" },
  { keys: ["Esc"], does: "Close a dialog, a menu, the palette" },
  { keys: ["↑", "↓"], does: "Move in menus and lists" },
  { keys: ["←", "→"], does: "Move between tabs, move the bar between two panes" },
  { keys: ["Alt ↑", "Alt ↓"], does: "Move a column, in the list of columns" },
];

/** The keys that work everywhere. */
export function Shortcuts() {
  const close = () => (shortcutsOpen.value = false);
  return html`
    <${Dialog} open=${shortcutsOpen.value} onClose=${close} title="Keyboard">
      <dl class="shortcuts">
        ${KEYS.map(
          ({ keys, does }) => html`
            <div><dt>${keys.map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${does}</dd></div>
          `,
        )}
      </dl>
    <//>
  `;
}
