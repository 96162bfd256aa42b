/**
 * What the page's address says of the activity. Reading it in a component follows it; the router keeps only the
 * first of several values of a name, and models and statuses may be several.
 */

import { navigate, route } from "../../state/router.js";

/** @returns {URLSearchParams} */
export function query() {
  // Read for the sake of following it.
  void route.value;
  return new URLSearchParams(location.search);
}

/**
 * Goes to the same view with another query.
 *
 * @param {URLSearchParams} changed
 * @param {{push?: boolean}} [options]  push: Back comes back to what is shown now.
 */
export function setQuery(changed, { push = false } = {}) {
  const text = changed.toString();
  navigate(route.value.path + (text && `?${text}`), { replace: !push });
}

/**
 * @param {string} name
 * @param {string | null} value  null: without it.
 * @returns {URLSearchParams}
 */
export function withValue(name, value) {
  const changed = query();
  if (value === null) changed.delete(name);
  else changed.set(name, value);
  return changed;
}

/**
 * Opens a capture, or closes it for null.
 *
 * @param {number | null} id
 */
export function showCapture(id) {
  setQuery(withValue("capture", id === null ? null : String(id)), { push: id !== null });
}
