import { html, useLayoutEffect, useRef } from "../html.js";

/** @typedef {import("../html.js").Children} Children */

/** @type {Record<string, (index: number, last: number) => number>} */
const MOVES = {
  ArrowLeft: (index, last) => (index === 0 ? last : index - 1),
  ArrowRight: (index, last) => (index === last ? 0 : index + 1),
  Home: () => 0,
  End: (_index, last) => last,
};

/**
 * A row of tabs; arrow keys choose, as the ARIA pattern with automatic activation has it.
 *
 * @param {{
 *   tabs: { id: string, label: Children }[], active: string, onSelect: (id: string) => void, label: string,
 * }} props
 */
export function Tabs({ tabs, active, onSelect, label }) {
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const chosen = Math.max(0, tabs.findIndex((tab) => tab.id === active));
  useLayoutEffect(() => {
    const row = list.current;
    const tab = /** @type {HTMLElement | undefined} */ (row?.children[chosen]);
    // On a phone not all tabs fit; only the row moves, never the page.
    if (row && tab) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
  }, [chosen]);
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const next = move(chosen, tabs.length - 1);
    onSelect(tabs[next].id);
    /** @type {HTMLElement | undefined} */ (list.current?.children[next])?.focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${pressed}>
      ${tabs.map(
        (tab, index) => html`
          <button
            key=${tab.id}
            type="button"
            role="tab"
            class="tab"
            id=${`tab-${tab.id}`}
            aria-selected=${String(index === chosen)}
            aria-controls=${index === chosen ? `panel-${tab.id}` : undefined}
            tabindex=${index === chosen ? 0 : -1}
            onClick=${() => onSelect(tab.id)}
          >
            ${tab.label}
          </button>
        `,
      )}
    </div>
  `;
}

/** @param {{ id: string, active: string, class?: string, children?: Children }} props */
export function TabPanel({ id, active, class: more, children }) {
  if (id !== active) return null;
  return html`
    <div class=${`tab-panel ${more ?? ""}`} role="tabpanel" id=${`panel-${id}`} aria-labelledby=${`tab-${id}`}>
      ${children}
    </div>
  `;
}
