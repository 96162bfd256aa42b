import { html } from "../html.js";
import { Select } from "../components/field.js";
import { Icon } from "../components/icon.js";
import { Link } from "../components/link.js";
import { pageTitle } from "../components/page.js";
import { plain } from "../lib/bidi.js";
import { chooseProfile } from "../state/actions.js";
import { route } from "../state/router.js";
import { profile, profiles } from "../state/store.js";
import { place } from "../state/title.js";
import { ConnectionDot } from "./connection.js";
import { COMMAND } from "./keys.js";
import { pageOf } from "./pages.js";
import { paletteOpen } from "./open.js";

/** How the tabs of the playground are called. */
const tabName = (/** @type {string} */ tab) => {
  const words = tab.replaceAll("-", " ");
  return plain(words.charAt(0).toUpperCase() + words.slice(1));
};

/** The bar above the view: where one is, the search for commands, the profile. */
export function Header() {
  const { segments } = route.value;
  const page = pageOf(segments);
  const inner = segments[1];
  const below = inner && (page.id === "models" ? place.value : page.id === "playground" ? tabName(inner) : "");
  const title = (page.id !== "playground" && pageTitle.value) || below || page.label;
  return html`
    <header class="header">
      <span class="header-dot"><${ConnectionDot} /></span>
      <nav class="header-place" aria-label="You are here">
        ${below &&
        html`
          <${Link} to=${`/${page.id}`} class=${`header-parent ${page.id}`}>
            <${Icon} name="chevron-left" /><span>${page.label}</span>
          <//>
          <span class="header-slash faint" aria-hidden="true">/</span>
        `}
        <span class="header-title clip" aria-current="page">${title}</span>
      </nav>
      ${profiles.value.length > 0 && html`<${ProfileChoice} />`}
      <button
        type="button"
        class="header-search"
        aria-haspopup="dialog"
        title="Go to a page, load or unload a model, and more"
        onClick=${() => (paletteOpen.value = true)}
      >
        <${Icon} name="search" /><span>Go to, load…</span><kbd aria-hidden="true">${COMMAND} K</kbd>
      </button>
    </header>
  `;
}

/** Chooses the profile in force; "" stands for none, which no profile can be called. */
function ProfileChoice() {
  const options = [
    { value: "", label: "No profile" },
    ...profiles.value.map(({ id }) => ({ value: id, label: plain(id) })),
  ];
  return html`
    <${Select}
      class="header-profile"
      label="Profile"
      hideLabel
      title="Profile in force"
      value=${profile.value ?? ""}
      options=${options}
      onInput=${(/** @type {string} */ id) => chooseProfile(id || null)}
    />
  `;
}
