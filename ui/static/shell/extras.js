import { html, useEffect, useState } from "../html.js";
import { Dialog } from "../components/dialog.js";
import { wordsFor } from "../state/api.js";
import { toast } from "../state/toasts.js";
import { paletteOpen, shortcutsOpen } from "./open.js";
import { PaletteField } from "./palette.js";

/** When the page has settled: the list is then there at once, even while Hostler is away. */
const LATER_MS = 4000;

const fetched = () => Promise.all([import("./palette-list.js"), import("./shortcuts.js")]);

/**
 * The command palette and the list of keys. Nobody needs what they list in the first second, so that comes afterwards;
 * the palette's field is there at once, so that no key is lost.
 */
export function Extras() {
  const [parts, setParts] = useState(/** @type {Awaited<ReturnType<typeof fetched>> | null} */ (null));
  const wanted = paletteOpen.value || shortcutsOpen.value;
  useEffect(() => {
    if (parts) return undefined;
    const fetchParts = () => fetched().then(setParts, wanted ? failed : () => {});
    const timer = setTimeout(fetchParts, wanted ? 0 : LATER_MS);
    return () => clearTimeout(timer);
  }, [wanted, parts]);
  const [commands, keys] = parts ?? [];
  const close = () => (paletteOpen.value = false);
  return html`
    <${Dialog} open=${paletteOpen.value} onClose=${close} title="Commands" class="palette">
      <${PaletteField} list=${commands?.PaletteList} onDone=${close} />
    <//>
    ${keys && html`<${keys.Shortcuts} />`}
  `;
}

/** @param {unknown} error */
function failed(error) {
  paletteOpen.value = false;
  shortcutsOpen.value = false;
  toast(`The commands could not be fetched: ${wordsFor(error)}`, { tone: "bad" });
}
