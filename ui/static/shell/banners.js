import { html, signal, useState } from "../html.js";
import { Button, IconButton } from "../components/button.js";
import { Icon } from "../components/icon.js";
import { Link } from "../components/link.js";
import { plain } from "../lib/bidi.js";
import { absoluteTime } from "../lib/format.js";
import { now } from "../state/clock.js";
import { asOf, connection, lastReload, problem, retryAt, retryNow } from "../state/store.js";

/** What the page must not keep to itself: that it no longer hears of the server, that a configuration was refused. */
export function Banners() {
  return html`<div class="banners" aria-live="polite"><${LostBanner} /><${ReloadBanner} /></div>`;
}

/** The next attempt lasts only moments; the banner stays while it is made, so that it does not flicker. */
function LostBanner() {
  const since = asOf.value;
  const first = connection.value === "connecting" && since === null && !problem.value;
  if (connection.value === "open" || first) return null;
  return html`
    <section class="banner bad" aria-label="Connection">
      <${Icon} name="warning" />
      <p class="banner-words">
        <strong>${problem.value?.status === 401 ? "A key is needed." : "The event stream is lost."}</strong>
        ${" "}${problem.value ? plain(problem.value.message) : ""}
        ${since !== null && html`${" "}What is shown is as of ${absoluteTime(new Date(since).toISOString())}.`}
        ${" "}<span aria-live="off"><${NextTry} /></span>
      </p>
      <${Button} icon="refresh" busy=${connection.value === "connecting"} onClick=${retryNow}>Try now<//>
    </section>
  `;
}

function NextTry() {
  if (retryAt.value === null) return "Trying…";
  const left = Math.max(0, Math.ceil((retryAt.value - now(250).value) / 1000));
  return `Next try in ${left} s.`;
}

/** The reload whose failure was read; a later failure shows again. */
const readAt = signal(/** @type {unknown} */ (null));

function ReloadBanner() {
  const reload = lastReload.value;
  const [whole, setWhole] = useState(false);
  if (!reload || reload.ok || readAt.value === reload.at) return null;
  return html`
    <section class="banner busy" aria-label="Configuration">
      <${Icon} name="configuration" />
      <div class="banner-words">
        <p><strong>The configuration was not reloaded.</strong> Hostler goes on with the one it had.</p>
        <pre class=${`banner-message ${whole ? "" : "short"}`}>${plain(reload.message)}</pre>
      </div>
      ${reload.message.length > 160 && !whole && html`<${Button} onClick=${() => setWhole(true)}>Show all<//>`}
      <${Link} to="/configuration" class="button plain">Configuration<//>
      <${IconButton} icon="close" label="Dismiss" onClick=${() => (readAt.value = reload.at)} />
    </section>
  `;
}
