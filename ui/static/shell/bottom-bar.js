import { html, useState } from "../html.js";
import { Dialog } from "../components/dialog.js";
import { Icon } from "../components/icon.js";
import { Link } from "../components/link.js";
import { mode, nextMode } from "../state/appearance.js";
import { route } from "../state/router.js";
import { running } from "../views/playground/jobs.js";
import { listedPages, pageOf } from "./pages.js";
import { MODE_LOOKS } from "./sidebar.js";

const FIRST = ["activity", "playground", "models", "logs"];

/** The navigation of narrow windows: four pages within reach of the thumb, the others behind "More". */
export function BottomBar() {
  const [open, setOpen] = useState(false);
  const current = pageOf(route.value.segments).id;
  const rest = [...listedPages().filter(({ id }) => !FIRST.includes(id)), pageOf(["settings"])];
  const close = () => setOpen(false);
  return html`
    <nav class="bottom-bar" aria-label="Pages">
      ${FIRST.map((id) => {
        const page = pageOf([id]);
        const busy = id === "playground" && running.value > 0;
        return html`
          <${Link} key=${id} to=${`/${id}`} class="bottom-entry" aria-current=${id === current ? "page" : undefined}>
            <${Icon} name=${page.icon} /><span class=${busy ? "shimmer" : ""}>${page.label}</span>
          <//>
        `;
      })}
      <button
        type="button"
        class="bottom-entry"
        aria-haspopup="dialog"
        aria-current=${FIRST.includes(current) ? undefined : "true"}
        onClick=${() => setOpen(true)}
      >
        <${Icon} name="more" /><span>More</span>
      </button>
    </nav>
    <${Dialog} open=${open} onClose=${close} title="More" size="small" class="more-sheet">
      <ul>
        ${rest.map(
          (page) => html`
            <li key=${page.id}>
              <${Link}
                to=${`/${page.id}`}
                class="nav-entry"
                aria-current=${page.id === current ? "page" : undefined}
                onClick=${close}
              >
                <${Icon} name=${page.icon} /><span class="nav-label">${page.label}</span>
              <//>
            </li>
          `,
        )}
        <li>
          <button type="button" class="nav-entry" onClick=${() => (mode.value = nextMode())}>
            <${Icon} name=${MODE_LOOKS[mode.value].icon} />
            <span class="nav-label">Theme: ${MODE_LOOKS[mode.value].words}</span>
          </button>
        </li>
      </ul>
    <//>
  `;
}
