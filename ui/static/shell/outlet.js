import { html, useEffect, useErrorBoundary, useRef, useState } from "../html.js";
import { Button } from "../components/button.js";
import { plain } from "../lib/bidi.js";
import { route } from "../state/router.js";
import { connection, connections } from "../state/store.js";
import { stylesheet } from "../stylesheet.js";
import { pageOf } from "./pages.js";
import { reloadIfUpdated } from "./update.js";

/** @typedef {import("./pages.js").View} View */

/**
 * What is shown: the view and which address it was fetched for. The old one stays until the new one is there.
 *
 * @typedef {{ key: string, View: View }} Shown
 */

/** @typedef {{ key: string, error: unknown, connections: number }} FetchFailure  with how many there had been */

/** Which module an address needs; addresses of one module share the key, so a view keeps its state between them. */
const keyOf = (/** @type {string[]} */ segments) => {
  const { id } = pageOf(segments);
  return id === "models" && segments[1] ? `models/${segments[1]}` : id;
};

/** The view that the address names, fetched when it is first asked for. */
export function Outlet() {
  const { segments } = route.value;
  const key = keyOf(segments);
  const [shown, setShown] = useState(/** @type {Shown | null} */ (null));
  // Where the view that is shown was last; it may be left for a place that is still being fetched.
  const last = useRef(segments);
  const [failure, setFailure] = useState(/** @type {FetchFailure | null} */ (null));
  useEffect(() => {
    let current = true;
    const page = pageOf(segments);
    Promise.all([page.load(segments), stylesheet(page.id)]).then(
      ([module]) => {
        if (current) setShown({ key, View: module.default });
      },
      async (error) => {
        if (current && !(await reloadIfUpdated())) setFailure({ key, error, connections: connections.peek() });
      },
    );
    return () => {
      current = false;
    };
  }, [key]);
  // Only if there was a line before, which has come back: a page that fails as it begins must not begin for ever.
  const isBack = failure?.key === key && failure.connections > 0 && failure.connections < connections.value;
  useEffect(() => {
    // Browsers do not ask again for a module that they once could not have, so the page has to begin anew.
    if (isBack) location.reload();
  }, [isBack]);
  if (failure?.key === key) {
    const what = connection.value === "open"
      ? "This page could not be fetched."
      : "This page can be fetched when Hostler answers again.";
    return html`<${Failure} error=${failure.error} what=${what} />`;
  }
  if (!shown) return html`<${Waiting} />`;
  const fetched = shown.key === key;
  if (fetched) last.current = segments;
  return html`
    ${!fetched && html`<${Waiting} />`}
    <${Boundary} key=${shown.key}>
      <${shown.View} segments=${last.current} />
    <//>
  `;
}

/** A line at the top that appears only when fetching takes long enough to be noticed. */
function Waiting() {
  return html`<div class="shell-waiting" role="status"><span class="unseen">Loading…</span></div>`;
}

/** @param {{ children: import("../html.js").Children }} props */
function Boundary({ children }) {
  const [error, reset] = useErrorBoundary();
  if (error) return html`<${Failure} error=${error} what="This page has failed." onRetry=${reset} />`;
  return children;
}

/** @param {{ error: unknown, what: string, onRetry?: () => void }} props */
function Failure({ error, what, onRetry }) {
  useEffect(() => console.error(error), [error]);
  return html`
    <section class="shell-failure" role="alert">
      <h1>${what}</h1>
      <p>What the browser says of it:</p>
      <pre>${plain(error instanceof Error ? error.message : String(error))}</pre>
      <div class="row">
        <${Button} kind="primary" icon="refresh" onClick=${() => location.reload()}>Reload this page<//>
        ${onRetry && html`<${Button} onClick=${onRetry}>Try again<//>`}
      </div>
    </section>
  `;
}
