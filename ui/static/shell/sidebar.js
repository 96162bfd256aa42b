import { html } from "../html.js";
import { IconButton } from "../components/button.js";
import { Icon } from "../components/icon.js";
import { Link } from "../components/link.js";
import { mode, nextMode } from "../state/appearance.js";
import { route } from "../state/router.js";
import { running } from "../views/playground/jobs.js";
import { ConnectionDot } from "./connection.js";
import { ModelList, modelsOpen } from "./model-list.js";
import { listedPages, pageOf } from "./pages.js";
import { TitleField } from "./title-field.js";

/** @typedef {import("./pages.js").Page} Page */

export const MODE_LOOKS = {
  system: { icon: "system", words: "as the system" },
  light: { icon: "sun", words: "light" },
  dark: { icon: "moon", words: "dark" },
};

/**
 * @param {{ open: import("../html.js").Signal<boolean> }} props
 */
export function Sidebar({ open }) {
  const current = pageOf(route.value.segments).id;
  return html`
    <aside class="sidebar" aria-label="Navigation">
      <div class="sidebar-head">
        <${ConnectionDot} />
        ${open.value && html`<${TitleField} />`}
        <${IconButton}
          class="sidebar-toggle"
          icon="sidebar"
          label=${open.value ? "Show icons only" : "Show names"}
          aria-expanded=${String(open.value)}
          onClick=${() => (open.value = !open.value)}
        />
      </div>
      <nav class="sidebar-nav" aria-label="Pages">
        <ul>
          ${listedPages().map(
            (page) => html`
              <li key=${page.id}><${Entry} page=${page} current=${current} words=${open.value} /></li>
            `,
          )}
        </ul>
      </nav>
      <div class="sidebar-foot">
        <${Entry} page=${pageOf(["settings"])} current=${current} words=${open.value} />
        <${ThemeButton} words=${open.value} />
      </div>
    </aside>
  `;
}

/** @param {{ page: Page, current: string, words: boolean }} props */
function Entry({ page, current, words }) {
  const here = page.id === current;
  const busy = page.id === "playground" && running.value > 0;
  const jobs = busy ? `${running.value} under way` : undefined;
  const link = html`
    <${Link}
      to=${`/${page.id}`}
      class="nav-entry"
      aria-current=${here ? "page" : undefined}
      title=${words ? jobs : [page.label, jobs].filter(Boolean).join(": ")}
    >
      <${Icon} name=${page.icon} />
      <span class=${`nav-label ${words ? "" : "unseen"} ${busy ? "shimmer" : ""}`}>${page.label}</span>
      ${busy && html`<span class="nav-busy" aria-label=${jobs}></span>`}
    <//>
  `;
  if (page.id !== "models" || !words) return link;
  return html`
    <div class="nav-group">
      ${link}
      <${IconButton}
        icon=${modelsOpen.value ? "chevron-down" : "chevron-right"}
        label=${modelsOpen.value ? "Hide the list of models" : "List the models"}
        aria-expanded=${String(modelsOpen.value)}
        onClick=${() => (modelsOpen.value = !modelsOpen.value)}
      />
    </div>
    ${modelsOpen.value && html`<${ModelList} />`}
  `;
}

/** @param {{ words: boolean }} props */
function ThemeButton({ words }) {
  const look = MODE_LOOKS[mode.value];
  const label = `Theme: ${look.words}. Press for ${MODE_LOOKS[nextMode()].words}.`;
  return html`
    <button
      type="button"
      class="nav-entry"
      title=${label}
      aria-label=${label}
      onClick=${() => (mode.value = nextMode())}
    >
      <${Icon} name=${look.icon} />${words && html`<span class="nav-label">Theme: ${look.words}</span>`}
    </button>
  `;
}
