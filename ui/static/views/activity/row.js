import { html } from "../../html.js";
import { Icon } from "../../components/icon.js";
import { COLUMN } from "../../lib/activity-columns.js";
import { cell } from "./cells.js";
import { Details } from "./details.js";

/** @typedef {import("../../types.js").ActivityRecord} Activity */
/** @typedef {import("../../html.js").Node} Node */

/**
 * Rows as they were drawn: Preact passes over a node that is the same as before, so that of 500 rows only the new
 * ones cost anything.
 */
export class Rows {
  constructor() {
    /** @type {WeakMap<Activity, {columns: readonly string[], isOpen: boolean, node: Node}>} */
    this.drawn = new WeakMap();
  }

  /**
   * @param {Activity} record
   * @param {readonly string[]} columns
   * @param {boolean} isOpen
   * @param {(id: number) => void} onToggle  The same function each time.
   * @returns {Node}
   */
  row(record, columns, isOpen, onToggle) {
    const before = this.drawn.get(record);
    if (before && before.columns === columns && before.isOpen === isOpen) return before.node;
    const node = html`<${Row} key=${record.id} ...${{ record, columns, isOpen, onToggle }} />`;
    this.drawn.set(record, { columns, isOpen, node });
    return node;
  }
}

/** @param {{record: Activity, columns: readonly string[], isOpen: boolean, onToggle: (id: number) => void}} props */
function Row({ record, columns, isOpen, onToggle }) {
  const id = `activity-${record.id}`;
  const toggle = html`
    <button
      type="button"
      class="activity-toggle"
      aria-expanded=${String(isOpen)}
      aria-controls=${isOpen ? id : undefined}
      title=${isOpen ? "Less" : "All about this request"}
      onClick=${() => onToggle(record.id)}
    >
      <${Icon} name=${isOpen ? "chevron-down" : "chevron-right"} class="small" />${record.id}
    </button>
  `;
  const isBad = record.resp_status_code >= 400 || record.error_msg;
  return html`
    <tr role="row" class=${`activity-row ${isOpen ? "open" : ""} ${isBad ? "bad" : ""}`}>
      ${columns.map((key) => {
        const column = COLUMN.get(key);
        return html`
          <td
            role="cell"
            key=${key}
            class=${`activity-cell is-${key} ${column?.isNumber ? "right" : ""}`}
            data-label=${column?.label}
          >
            ${key === "id" ? toggle : cell(key, record)}
          </td>
        `;
      })}
      ${!columns.includes("id") && html`<td role="cell" class="activity-cell is-id" data-label="ID">${toggle}</td>`}
    </tr>
    ${
      isOpen &&
      html`
      <tr role="row" class="activity-open" id=${id}>
        <td role="cell" colspan=${columns.length + 1}><${Details} record=${record} /></td>
      </tr>
    `
    }
  `;
}
