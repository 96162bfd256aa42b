import { html, useMemo, useSignal } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { Card } from "../../components/card.js";
import { ColumnChooser } from "../../components/columns.js";
import { Empty } from "../../components/empty.js";
import { Select } from "../../components/field.js";
import { Icon } from "../../components/icon.js";
import { Pager } from "../../components/pager.js";
import { COLUMNS, INITIAL_COLUMNS, SORTS, areColumns } from "../../lib/activity-columns.js";
import {
  NO_FILTERS,
  PAGE_SIZES,
  activeCount,
  asked,
  filtersOf,
  pageOf,
  sortOf,
  withFilters,
} from "../../lib/activity-query.js";
import { count, plural } from "../../lib/format.js";
import { connection } from "../../state/store.js";
import { stored } from "../../state/settings.js";
import { stylesheet } from "../../stylesheet.js";
import { query, setQuery, withValue } from "./address.js";
import { CaptureDialog } from "./capture-later.js";
import { ExportMenu } from "./export.js";
import { useFeed } from "./feed.js";
import { FilterDrawer } from "./filters.js";
import { Heads, Sorting } from "./heads.js";
import { Rows } from "./row.js";
import { CaptureSearch } from "./search.js";

/** @typedef {import("../../lib/activity-query.js").Filters} Filters */
/** @typedef {{key: string, order: "asc" | "desc"}} Sort */

// A page of a model shows this table too, whose sheet is not this one.
void stylesheet("activity");

/**
 * The history of requests: filtered, sorted and paged by the server, all of it in the address.
 *
 * @param {{model?: string, storageKey?: string}} props
 *   model: only of this one; storageKey: under which columns and size of pages are remembered
 */
export function ActivityTable({ model, storageKey = "activity" }) {
  const { initial, columns, size, isFiltering } = useMemo(
    () => settings(storageKey, model !== undefined),
    [storageKey, model],
  );
  const address = query();
  const filters = filtersOf(address);
  const meant = model === undefined ? filters : { ...filters, models: [model] };
  const sort = sortOf(address, SORTS);
  const page = pageOf(address);
  const feed = useFeed(asked(meant), {
    page: String(page),
    limit: String(size.value),
    sort: sort.key,
    order: sort.order,
  });
  const active = activeCount(filters) - (model !== undefined && filters.models.length ? 1 : 0);
  const shown = feed.page.value;
  const turn = (/** @type {number} */ number) => setQuery(withValue("page", number > 1 ? String(number) : null));
  const pages = shown?.total_pages ?? 0;
  const clear = () => setQuery(withFilters(query(), NO_FILTERS));

  const actions = html`
    <${CaptureSearch} />
    <${ExportMenu} page=${shown} columns=${columns.value} filters=${asked(meant)} />
    <span class=${`activity-filter-button ${active ? "active" : ""}`}>
      <${IconButton}
        icon="filter"
        label=${active ? `Filters, ${active} active` : "Filters"}
        pressed=${isFiltering.value}
        onClick=${() => (isFiltering.value = !isFiltering.value)}
      />
    </span>
    <${ColumnChooser}
      columns=${COLUMNS}
      shown=${columns.value}
      initial=${initial}
      onChange=${(/** @type {string[]} */ keys) => (columns.value = keys)}
    />
  `;
  return html`
    <${Card}
      title=${model === undefined ? "History" : "Requests of this model"}
      actions=${actions}
      flush
      class="activity-history"
    >
      ${isFiltering.value && html`<${FilterDrawer} ...${{ filters, model }} />`}
      ${!isFiltering.value && active > 0 && html`<${ActiveNote} count=${active} onClear=${clear} />`}
      <${Failure} message=${feed.error.value} onRetry=${() => feed.fetch()} />
      ${
        feed.newer.value > 0 &&
        html`
        <p class="activity-newer" role="status">
          <span>${plural(feed.newer.value, "new request")} since this page was fetched</span>
          <${Button} kind="quiet" icon="first" onClick=${() => turn(1)}>Show the newest<//>
        </p>
      `
      }
      <${History} ...${{ feed, columns, sort, size: size.value, active, onClear: clear }} />
      <footer class="activity-foot">
        <p class="faint">${shown && range(shown)}${connection.value === "open" ? "" : " · not live"}</p>
        <${Pager} page=${page} pages=${pages} onPage=${turn} />
        <${Sorting} sort=${sort} />
        <${Select}
          label="Rows"
          class="activity-size"
          value=${String(size.value)}
          options=${PAGE_SIZES.map((each) => ({ value: String(each), label: `${each} rows` }))}
          onInput=${(/** @type {string} */ text) => {
            size.value = Number(text);
            turn(1);
          }}
          hideLabel
        />
      </footer>
    <//>
    <${CaptureDialog} />
  `;
}

/** @param {string} key @param {boolean} isOfOne  Of one model, whose name need not stand in every row. */
function settings(key, isOfOne) {
  const initial = INITIAL_COLUMNS.filter((each) => !isOfOne || each !== "model");
  return {
    initial,
    columns: stored(`${key}-columns`, initial, areColumns),
    size: stored(`${key}-page-size`, 25, (value) => PAGE_SIZES.includes(value)),
    isFiltering: stored(`${key}-filters-open`, false),
  };
}

/** @param {import("../../types.js").ActivityPage} page */
function range({ page, limit, total, data }) {
  if (!total) return "";
  const first = (page - 1) * limit + 1;
  return data.length
    ? `${count(first)} to ${count(first + data.length - 1)} of ${count(total)}`
    : `${count(total)} in all`;
}

/** @param {{count: number, onClear: () => void}} props */
function ActiveNote({ count: active, onClear }) {
  return html`
    <p class="activity-note">
      <${Icon} name="filter" class="small" />
      <span>${plural(active, "filter")} active: not all requests are shown.</span>
      <${Button} kind="quiet" onClick=${onClear}>Show all<//>
    </p>
  `;
}

/** @param {{message: string, onRetry: () => void}} props */
function Failure({ message, onRetry }) {
  if (!message) return null;
  return html`
    <div class="notice bad activity-failure" role="alert">
      <${Icon} name="warning" />
      <p class="notice-words">${message}</p>
      <${Button} icon="refresh" onClick=${onRetry}>Try again<//>
    </div>
  `;
}

/**
 * @param {{
 *   feed: import("./feed.js").Feed, columns: import("../../html.js").Signal<string[]>, sort: Sort, size: number,
 *   active: number, onClear: () => void,
 * }} props
 */
function History({ feed, columns, sort, size, active, onClear }) {
  const rows = useMemo(() => new Rows(), []);
  const open = useSignal(/** @type {ReadonlySet<number>} */ (new Set()));
  const toggle = useMemo(
    () => (/** @type {number} */ id) => {
      const changed = new Set(open.value);
      if (!changed.delete(id)) changed.add(id);
      open.value = changed;
    },
    [],
  );
  const page = feed.page.value;
  const keys = columns.value;
  if (!page) return html`<${Waiting} rows=${Math.min(size, 25)} hasFailed=${feed.error.value !== ""} />`;
  if (page.data.length === 0) return html`<${Nothing} ...${{ page, active, onClear }} />`;
  return html`
    <div class="table-scroll activity-scroll" role="region" aria-label="Requests" tabindex="0">
      <table
        class=${`table activity-table ${feed.isTurning.value ? "fading" : ""}`}
        role="table"
        aria-busy=${feed.isTurning.value ? "true" : undefined}
      >
        <caption class="unseen">Requests that have ended</caption>
        <thead role="rowgroup"><${Heads} columns=${columns} sort=${sort} /></thead>
        <tbody role="rowgroup">
          ${page.data.map((record) => rows.row(record, keys, open.value.has(record.id), toggle))}
        </tbody>
      </table>
    </div>
  `;
}

/** @param {{page: import("../../types.js").ActivityPage, active: number, onClear: () => void}} props */
function Nothing({ page, active, onClear }) {
  if (page.total > 0) {
    const first = () => setQuery(withValue("page", null));
    return html`
      <${Empty}
        title="There is no such page"
        icon="search"
        action=${html`<${Button} onClick=${first}>To the first page<//>`}
      />`;
  }
  if (active > 0) {
    return html`
      <${Empty}
        title="No request fits the filters"
        icon="filter"
        action=${html`<${Button} onClick=${onClear}>Show all requests<//>`}
      />`;
  }
  return html`
    <${Empty} title="No requests yet" icon="activity">
      Every request for a model leaves an entry here when it has ended, whether it was answered or failed.
    <//>
  `;
}

/** As high as what comes, so that nothing jumps when it does. @param {{rows: number, hasFailed: boolean}} props */
function Waiting({ rows, hasFailed }) {
  return html`
    <div class="activity-waiting" style=${{ blockSize: `${2.2 * (hasFailed ? 2 : rows) + 2.5}rem` }} aria-busy="true">
      ${hasFailed ? "" : html`<span class="spinner"></span><span class="soft">Fetching requests…</span>`}
    </div>
  `;
}
