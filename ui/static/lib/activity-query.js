/**
 * What of the activity is asked for: as the address of the page says it, and as the API wants it.
 *
 * The address says everything, so that a link shows another person the same. Moments are in it with their zone, or the
 * link would mean other hours elsewhere.
 */

/**
 * @typedef {object} Filters
 * @property {string[]} models
 * @property {string[]} statuses  Codes, and classes such as `4xx`.
 * @property {string} path        Found anywhere in the path.
 * @property {string} error       Found anywhere in the error.
 * @property {string} session
 * @property {string} key         A key's fingerprint.
 * @property {string} from        The least id.
 * @property {string} to          The greatest id.
 * @property {string} start       Moments, in RFC 3339.
 * @property {string} end
 */

/** @type {Readonly<Filters>} */
export const NO_FILTERS = Object.freeze({
  models: [],
  statuses: [],
  path: "",
  error: "",
  session: "",
  key: "",
  from: "",
  to: "",
  start: "",
  end: "",
});

const LISTS = /** @type {const} */ ({ model: "models", status: "statuses" });

/** Names in the address → names in the API. */
const TEXTS = /** @type {const} */ ({
  path: "path",
  error: "error",
  session: "session_id",
  key: "key",
  from: "min_id",
  to: "max_id",
  start: "start",
  end: "end",
});

export const PAGE_SIZES = Object.freeze([10, 25, 50, 100, 250, 500, 999]);

export const DEFAULT_SORT = Object.freeze({ key: "id", order: /** @type {"asc" | "desc"} */ ("desc") });

/**
 * Returns the filters that an address holds.
 *
 * @param {URLSearchParams} query
 * @returns {Filters}
 */
export function filtersOf(query) {
  const found = { ...NO_FILTERS };
  for (const [name, member] of pairs(LISTS)) found[member] = [...new Set(query.getAll(name).filter(Boolean))];
  for (const [name] of pairs(TEXTS)) found[name] = query.get(name) ?? "";
  return found;
}

/**
 * Returns *query* with *filters* in it, in the place of those that were in it, and on the first page.
 *
 * @param {URLSearchParams} query
 * @param {Filters} filters
 */
export function withFilters(query, filters) {
  const changed = new URLSearchParams(query);
  changed.delete("page");
  for (const [name, member] of pairs(LISTS)) {
    changed.delete(name);
    for (const value of filters[member]) changed.append(name, value);
  }
  for (const [name] of pairs(TEXTS)) {
    if (filters[name]) changed.set(name, filters[name]);
    else changed.delete(name);
  }
  return changed;
}

/**
 * Returns the parameters of the API for *filters*.
 *
 * @param {Filters} filters
 * @returns {URLSearchParams}
 */
export function asked(filters) {
  const query = new URLSearchParams();
  for (const [name, member] of pairs(LISTS)) for (const value of filters[member]) query.append(name, value);
  for (const [name, theirs] of pairs(TEXTS)) if (filters[name]) query.set(theirs, filters[name]);
  return query;
}

/**
 * Returns how many filters are active.
 *
 * @param {Filters} filters
 */
export function activeCount(filters) {
  return pairs(NO_FILTERS).filter(([name]) => filters[name].length > 0).length;
}

/**
 * Returns what is wrong with filters, by their names in the address, for the eye: the server decides.
 *
 * @param {Filters} filters
 * @returns {Partial<Record<keyof typeof TEXTS | "status", string>>}
 */
export function problems(filters) {
  /** @type {ReturnType<typeof problems>} */
  const found = {};
  for (const name of /** @type {const} */ (["from", "to"])) {
    if (filters[name] && !/^[1-9]\d{0,17}$/.test(filters[name])) found[name] = "A number from 1 on";
  }
  if (!found.from && !found.to && filters.from && filters.to && BigInt(filters.from) > BigInt(filters.to)) {
    found.to = "Less than the first";
  }
  for (const name of /** @type {const} */ (["start", "end"])) {
    if (filters[name] && Number.isNaN(Date.parse(filters[name]))) found[name] = "Not a moment";
  }
  if (!found.start && !found.end && filters.start && Date.parse(filters.start) >= Date.parse(filters.end)) {
    found.end = "Not after the start";
  }
  if (filters.statuses.some((status) => !/^[1-5](\d\d|xx)$/.test(status)))
    found.status = "Codes such as 404, or classes such as 4xx";
  return found;
}

/**
 * Returns the sorting that an address holds, the default one if there is none or it is none of *keys*.
 *
 * @param {URLSearchParams} query
 * @param {readonly string[]} keys
 * @returns {{key: string, order: "asc" | "desc"}}
 */
export function sortOf(query, keys) {
  const key = query.get("sort") ?? "";
  if (!keys.includes(key)) return DEFAULT_SORT;
  return { key, order: query.get("order") === "asc" ? "asc" : "desc" };
}

/**
 * Returns *query* after a click on the head of column *key*: sorted by it from the greatest down, then from the
 * least up, then as by default; on the first page.
 *
 * @param {URLSearchParams} query
 * @param {string} key
 * @param {{key: string, order: "asc" | "desc"}} sort  What is in force.
 */
export function withSort(query, key, sort) {
  const changed = new URLSearchParams(query);
  changed.delete("page");
  changed.delete("sort");
  changed.delete("order");
  const turned = sort.key === key && sort.order === "desc";
  if (sort.key === key && !turned) return changed;
  if (key === DEFAULT_SORT.key && !turned) return changed;
  changed.set("sort", key);
  changed.set("order", turned ? "asc" : "desc");
  return changed;
}

/**
 * Returns the page that an address names, from 1.
 *
 * @param {URLSearchParams} query
 */
export function pageOf(query) {
  const text = query.get("page") ?? "";
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 1;
}

/**
 * Returns what a field for local time shows for a moment, to the second; "" for none.
 *
 * @param {string} moment  RFC 3339, or "".
 */
export function localInput(moment) {
  const date = new Date(moment);
  if (!moment || Number.isNaN(date.getTime())) return "";
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Returns the moment that a field for local time means; "" for none.
 *
 * @param {string} text
 */
export function fromLocalInput(text) {
  const date = new Date(text);
  return !text || Number.isNaN(date.getTime()) ? "" : date.toISOString().replace(".000Z", "Z");
}

/**
 * `Object.entries` that keeps the names of the members.
 *
 * @template {object} T
 * @param {T} object
 * @returns {[keyof T, T[keyof T]][]}
 */
function pairs(object) {
  return /** @type {[keyof T, T[keyof T]][]} */ (Object.entries(object));
}
