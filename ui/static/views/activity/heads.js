import { html, signal } from "../../html.js";
import { Select } from "../../components/field.js";
import { Icon } from "../../components/icon.js";
import { COLUMN, COLUMNS } from "../../lib/activity-columns.js";
import { withSort } from "../../lib/activity-query.js";
import { query, setQuery, withValue } from "./address.js";

/** @typedef {{key: string, order: "asc" | "desc"}} Sort */

/** The key of the column that is dragged. */
const dragged = signal("");

/**
 * The heads of the columns: pressed they sort, dragged they change places.
 *
 * @param {{columns: import("../../html.js").Signal<string[]>, sort: Sort}} props
 */
export function Heads({ columns, sort }) {
  const keys = columns.value;
  /** @param {string} onto */
  const drop = (onto) => {
    const key = dragged.value;
    if (!key || key === onto) return;
    const others = keys.filter((each) => each !== key);
    const at = others.indexOf(onto) + (keys.indexOf(key) < keys.indexOf(onto) ? 1 : 0);
    columns.value = [...others.slice(0, at), key, ...others.slice(at)];
  };
  return html`
    <tr role="row">
      ${keys.map((key) => html`<${Head} key=${key} name=${key} sort=${sort} onDrop=${drop} />`)}
      ${!keys.includes("id") && html`<th scope="col" role="columnheader"><span class="unseen">Details</span></th>`}
    </tr>
  `;
}

/** @param {{name: string, sort: Sort, onDrop: (onto: string) => void}} props */
function Head({ name, sort, onDrop }) {
  const column = COLUMN.get(name);
  if (!column) return null;
  const order = column.sort && sort.key === column.sort ? sort.order : "";
  const drag = {
    draggable: true,
    onDragStart: (/** @type {DragEvent} */ event) => {
      dragged.value = name;
      event.dataTransfer?.setData("text/plain", column.label);
    },
    onDragEnd: () => (dragged.value = ""),
    onDragOver: (/** @type {DragEvent} */ event) => dragged.value && event.preventDefault(),
    onDrop: (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      onDrop(name);
    },
  };
  const side = `${column.isNumber ? "right" : ""} ${dragged.value === name ? "dragged" : ""}`;
  if (!column.sort) {
    return html`
      <th
        scope="col"
        role="columnheader"
        class=${side}
        title=${column.title || undefined}
        ...${drag}
      >${column.label}</th>`;
  }
  return html`
    <th
      scope="col"
      role="columnheader"
      class=${`sortable ${side}`}
      aria-sort=${order === "asc" ? "ascending" : order === "desc" ? "descending" : undefined}
      title=${column.title || undefined}
      ...${drag}
    >
      <button type="button" class="sort" onClick=${() => setQuery(withSort(query(), column.sort, sort))}>
        ${column.label}
        <${Icon} name=${order === "asc" ? "sort-up" : "sort-down"} class=${`small ${order ? "" : "idle"}`} />
      </button>
    </th>
  `;
}

/** What the heads of the columns are for where there is room for them. @param {{sort: Sort}} props */
export function Sorting({ sort }) {
  const options = COLUMNS.filter((column) => column.sort).flatMap(({ sort: key, label, isNumber }) => [
    { value: `${key} desc`, label: `${label}, ${isNumber ? "most" : "last"} first` },
    { value: `${key} asc`, label: `${label}, ${isNumber ? "least" : "first"} first` },
  ]);
  const choose = (/** @type {string} */ value) => {
    const [key, order] = value.split(" ");
    const changed = withValue("sort", key);
    changed.set("order", order);
    changed.delete("page");
    setQuery(changed);
  };
  return html`
    <${Select}
      label="Sorted by"
      hideLabel
      class="activity-sorting"
      value=${`${sort.key} ${sort.order}`}
      options=${options}
      onInput=${choose}
    />`;
}
