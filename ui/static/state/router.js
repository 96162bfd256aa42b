// Where in the page one is: the address below /ui. Links are ordinary links; clicks on them are caught here.

import { signal, useCallback, useRef } from "../html.js";
import { parseQuery, unsegment, withParam } from "../lib/query.js";

/**
 * @typedef {object} Route
 * @property {string} path below /ui, as it is encoded: "/models/a%2Fb"
 * @property {string[]} segments of it, decoded: ["models", "a/b"]
 * @property {Record<string, string>} query
 */

const BASE = "/ui";

/** How long a view may take to show its heading, to which the focus then goes. */
const ARRIVAL_MS = 2_000;

const current = signal(read());

/** @type {import("../html.js").ReadonlySignal<Route>} */
export const route = current;

/**
 * @param {string} path below /ui, with its query: "/models"
 * @returns {string} for `href`: "/ui/models"
 */
export function href(path) {
  return BASE + (path.startsWith("/") ? path : `/${path}`);
}

/**
 * Goes to another place of the page.
 * @param {string} to below /ui, with its query
 * @param {object} [options]
 * @param {boolean} [options.replace] in place of this one in the history
 */
export function navigate(to, { replace = false } = {}) {
  const target = href(to);
  if (target === location.pathname + location.search) return arrive(0);
  const elsewhere = new URL(target, location.href).pathname !== location.pathname;
  if (replace) {
    history.replaceState({ ...history.state }, "", target);
  } else {
    remember();
    history.pushState({ scroll: 0 }, "", target);
  }
  current.value = read();
  if (elsewhere) arrive(0);
}

/**
 * A parameter of the address: what is shown can be linked to. It is replaced, so that Back leaves the page.
 * @param {string} name
 * @param {string} [initial] its value when the address does not have it; is not written
 * @returns {[string, (value: string | null) => void]}
 */
export function useQueryParam(name, initial = "") {
  // On the way to another page, the one before is still there: that address is no business of its.
  const home = useRef(page(current.peek())).current;
  const last = useRef(initial);
  if (page(current.value) === home) last.current = current.value.query[name] ?? initial;
  const set = useCallback(
    /** @param {string | null} next */
    (next) => {
      if (page(current.peek()) === home) setQueryParam(name, next === initial ? null : next);
    },
    [name, initial, home],
  );
  return [last.current, set];
}

/** @param {Route} where */
function page({ segments }) {
  return segments[0] ?? "activity";
}

/**
 * @param {string} name
 * @param {string | null} value null: without it
 */
export function setQueryParam(name, value) {
  const search = withParam(location.search, name, value);
  if (search === location.search) return;
  history.replaceState(history.state, "", location.pathname + search + location.hash);
  current.value = read();
}

function read() {
  const { pathname, search } = location;
  const path = (pathname.startsWith(`${BASE}/`) ? pathname.slice(BASE.length) : "/").replace(/(?<=.)\/+$/, "");
  const segments = path.split("/").filter(Boolean).map(unsegment);
  return { path, segments, query: parseQuery(search) };
}

// ---- clicks ---------------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || !isOurs(link)) return;
  event.preventDefault();
  navigate(link.pathname.slice(BASE.length) + link.search);
});

/** @param {HTMLAnchorElement} link */
function isOurs(link) {
  if (link.origin !== location.origin || link.hasAttribute("download")) return false;
  if (link.target && link.target !== "_self") return false;
  // A place on this very page is the browser's to find.
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return false;
  return link.pathname === BASE || (link.pathname.startsWith(`${BASE}/`) && !link.pathname.startsWith(`${BASE}/assets/`));
}

// ---- history, scroll and focus --------------------------------------------------------------------------------------

// Views come a moment later than the address, when the browser has given up restoring.
history.scrollRestoration = "manual";

addEventListener("popstate", () => {
  const before = current.value.path;
  current.value = read();
  if (current.value.path !== before) arrive(Number(history.state?.scroll) || 0);
});

addEventListener("pagehide", remember);

/** Where the place that is left was scrolled to. */
function remember() {
  history.replaceState({ ...history.state, scroll: scroller().scrollTop }, "");
}

/** @returns {Element} what scrolls: the window, or what the shell has marked */
function scroller() {
  return document.querySelector("[data-scroller]") ?? document.scrollingElement ?? document.documentElement;
}

let arrivals = 0;

/** What had the focus when the page was left for another place of it, most likely the link. @type {Element | null} */
let focusBefore = null;

/**
 * Whether a new view may take the focus: not from somebody who has meanwhile begun with something else, nor from a
 * dialog.
 */
export function isFocusFree() {
  const focus = document.activeElement;
  if (document.querySelector("dialog[open]")) return false;
  return focus === null || focus === document.body || focus === focusBefore || focus === heading();
}

/**
 * Shows the new view from *top*, and puts the focus on its heading, so that screen readers and the keyboard begin there.
 * @param {number} top
 */
function arrive(top) {
  const arrival = (arrivals += 1);
  const old = heading();
  const oldText = old?.textContent;
  focusBefore = document.activeElement;
  const until = performance.now() + ARRIVAL_MS;
  scroller().scrollTop = top;
  const look = () => {
    if (arrival !== arrivals) return;
    const found = heading();
    const isNew = found !== null && (found !== old || found.textContent !== oldText);
    if (!isNew && performance.now() < until) {
      requestAnimationFrame(look);
      return;
    }
    scroller().scrollTop = top;
    if (found && isFocusFree()) focusOn(found);
  };
  requestAnimationFrame(look);
}

/** @returns {HTMLElement | null} */
function heading() {
  return document.querySelector("main h1");
}

/** @param {HTMLElement} element */
function focusOn(element) {
  if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
  element.focus({ preventScroll: true });
}
