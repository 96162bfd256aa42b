import { html, signal, useEffect, useRef, useState } from "../html.js";
import { Button, IconButton } from "../components/button.js";
import { Icon } from "../components/icon.js";
import { Link } from "../components/link.js";
import { plain } from "../lib/bidi.js";
import { clockTime } from "../lib/format.js";
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
        ${since !== null && html`${" "}What is shown is as of ${clockTime(since)}.`}
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
  const message = useRef(/** @type {HTMLPreElement | null} */ (null));
  const [whole, setWhole] = useState(false);
  const [cut, setCut] = useState(false);
  const shown = reload && !reload.ok && readAt.value !== reload.at;
  useEffect(() => setWhole(false), [reload]);
  useEffect(() => {
    const box = message.current;
    if (!box) return undefined;
    const watcher = new ResizeObserver(() => setCut(box.scrollHeight > box.clientHeight + 1));
    watcher.observe(box);
    return () => watcher.disconnect();
  }, [shown]);
  if (!shown) return null;
  return html`
    <section class="banner busy" aria-label="Configuration">
      <${Icon} name="configuration" />
      <div class="banner-words">
        <p><strong>The configuration was not reloaded.</strong> Hostler goes on with the one it had.</p>
        <pre ref=${message} class=${`banner-message ${whole ? "" : "short"}`} tabindex=${whole && cut ? 0 : -1}>
          ${plain(reload.message)}
        </pre>
      </div>
      ${cut && !whole && html`<${Button} onClick=${() => setWhole(true)}>Show all<//>`}
      <${Link} to="/configuration" class="button plain">Configuration<//>
      <${IconButton} icon="close" label="Dismiss" onClick=${() => (readAt.value = reload.at)} />
    </section>
  `;
}
