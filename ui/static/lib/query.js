// The parts of addresses: queries, and segments of paths that may hold anything.

/** @typedef {string | number | boolean | null | undefined} Scalar */

/**
 * @param {Record<string, Scalar | Scalar[]> | undefined} params lists become repeated names; null, undefined and "" are left out
 * @returns {string} "" or "?a=1&b=2"
 */
export function queryString(params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  const text = query.toString();
  return text && `?${text}`;
}

/**
 * @param {string} search "" or "?a=1&b=2"
 * @returns {Record<string, string>} of a name that comes more than once, the first value
 */
export function parseQuery(search) {
  /** @type {Record<string, string>} */
  const found = Object.create(null);
  for (const [name, value] of new URLSearchParams(search)) {
    if (!(name in found)) found[name] = value;
  }
  return found;
}

/**
 * @param {string} search
 * @param {string} name
 * @param {string | null} value null: without it
 * @returns {string} *search* with the one parameter changed, the others in their places
 */
export function withParam(search, name, value) {
  const query = new URLSearchParams(search);
  if (value === null) query.delete(name);
  else query.set(name, value);
  const text = query.toString();
  return text && `?${text}`;
}

/**
 * Encodes any text as one segment of a path. `.` and `..` need more than percent-encoding, for browsers take `%2e` for a dot.
 * @param {string} text
 * @returns {string}
 */
export function segment(text) {
  if (text === "." || text === "..") return "%252E".repeat(text.length);
  // A lone surrogate would make encodeURIComponent raise.
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/gu, "\ufffd"));
}

/**
 * Undoes `segment`. What was not encoded by it is taken as it is.
 * @param {string} encoded
 * @returns {string}
 */
export function unsegment(encoded) {
  if (/^(%252E){1,2}$/i.test(encoded)) return encoded.length === 5 ? "." : "..";
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/**
 * @param {string} id of a model: may contain "/", "." and anything else
 * @returns {string} the path of its page, below /ui
 */
export function modelPath(id) {
  return `/models/${segment(id)}`;
}

/**
 * @param {string} id of a model of this machine
 * @returns {string} where its own server's pages are
 */
export function upstreamPath(id) {
  return id === "comfyui_auto" ? "/comfyui/" : `/upstream/${modelSegments(id)}/`;
}

/**
 * @param {string} id
 * @returns {string} for paths of the API that take ids with their slashes
 */
export function modelSegments(id) {
  return segment(id);
}
