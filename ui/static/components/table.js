import { html } from "../html.js";
import { Icon } from "./icon.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * @template Row
 * @typedef {{
 *   key: string, label: Children, title?: string, align?: "left" | "right" | "center", sortable?: boolean,
 *   render: (row: Row) => Children, width?: string,
 * }} Column
 */
/** @typedef {{ key: string, order: "asc" | "desc" }} Sort */

/**
 * A table in its own scroller, so that a wide one never widens the page. The head stays in sight.
 *
 * @template Row
 * @param {{
 *   caption: string, columns: Column<Row>[], rows: Row[], rowKey: (row: Row) => string | number, sort?: Sort | null,
 *   onSort?: (key: string) => void, empty?: Children, class?: string, rowClass?: (row: Row) => string | undefined,
 *   busy?: boolean,
 * }} props  busy: the rows are about to be replaced
 */
export function Table({ caption, columns, rows, rowKey, sort, onSort, empty, class: more, rowClass, busy }) {
  return html`
    <div class=${`table-scroll ${more ?? ""}`} role="group" aria-label=${caption} tabindex="0">
      <table class=${`table ${busy ? "fading" : ""}`} aria-busy=${busy ? "true" : undefined}>
        <caption class="unseen">${caption}</caption>
        <thead>
          <tr>${columns.map((column) => html`<${Head} key=${column.key} ...${{ column, sort, onSort }} />`)}</tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) => html`
              <tr key=${rowKey(row)} class=${rowClass?.(row)}>
                ${columns.map(
                  (column) => html`<td key=${column.key} class=${column.align ?? ""}>${column.render(row)}</td>`,
                )}
              </tr>
            `,
          )}
          ${rows.length === 0 &&
          html`<tr class="table-empty"><td colspan=${columns.length}>${empty ?? "Nothing here yet."}</td></tr>`}
        </tbody>
      </table>
    </div>
  `;
}

/** @param {{ column: Column<any>, sort?: Sort | null, onSort?: (key: string) => void }} props */
function Head({ column, sort, onSort }) {
  const sorted = sort?.key === column.key ? sort.order : undefined;
  const style = column.width ? { width: column.width } : undefined;
  if (!column.sortable || !onSort) {
    return html`<th scope="col" class=${column.align ?? ""} title=${column.title} style=${style}>${column.label}</th>`;
  }
  return html`
    <th
      scope="col"
      class=${`sortable ${column.align ?? ""}`}
      style=${style}
      aria-sort=${sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : "none"}
    >
      <button type="button" class="sort" title=${column.title} onClick=${() => onSort(column.key)}>
        ${column.label}
        <${Icon} name=${sorted === "asc" ? "sort-up" : "sort-down"} class=${sorted ? "small" : "small idle"} />
      </button>
    </th>
  `;
}
