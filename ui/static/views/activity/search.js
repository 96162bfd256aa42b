import { html, useEffect, useState } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Empty } from "../../components/empty.js";
import { SearchField } from "../../components/field.js";
import { Time } from "../../components/time.js";
import { plain } from "../../lib/bidi.js";
import { plural, seconds } from "../../lib/format.js";
import { get, isAbort, wordsFor } from "../../state/api.js";
import { showCapture } from "./address.js";
import { Status } from "./cells.js";

/** @typedef {import("../../types.js").ActivityRecord} Activity */
/** @typedef {{ids: number[], complete: boolean, records: Map<number, Activity>}} Found */

const PAUSE_MS = 300;
const MOST = 100;

/** A button that looks through the captured bodies and headers. */
export function CaptureSearch() {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton} icon="search" label="Search captures" onClick=${() => setOpen(true)} />
    ${isOpen && html`<${SearchDialog} onClose=${() => setOpen(false)} />`}
  `;
}

/** @param {{onClose: () => void}} props */
function SearchDialog({ onClose }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(true);
  useEffect(() => {
    const controller = new AbortController();
    setBusy(true);
    const timer = setTimeout(
      async () => {
        try {
          setFound(await search(text, controller.signal));
          setError("");
          setBusy(false);
        } catch (caught) {
          if (isAbort(caught)) return;
          setError(wordsFor(caught));
          setBusy(false);
        }
      },
      text ? PAUSE_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);
  const open = (/** @type {number} */ id) => {
    onClose();
    showCapture(id);
  };
  return html`
    <${Dialog} open title="Search captures" size="medium" onClose=${onClose} class="activity-search">
      <${SearchField}
        label="Text in requests and answers"
        value=${text}
        onInput=${setText}
        autofocus
        error=${error}
        maxlength="1000"
      />
      <p class="faint small-text" role="status">${isBusy ? "Searching…" : found && told(found, text)}</p>
      ${found && found.ids.length === 0 && !isBusy && html`<${None} text=${text} />`}
      <ul aria-busy=${isBusy ? "true" : undefined}>
        ${found?.ids.map((id) => html`<${Hit} key=${id} id=${id} record=${found.records.get(id)} onOpen=${open} />`)}
      </ul>
    <//>
  `;
}

/**
 * @param {string} text  "" for the newest.
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function search(text, signal) {
  const { ids, complete } = /** @type {{ids: number[], complete: boolean}} */ (
    await get("/api/captures", { signal, query: { q: text, limit: MOST } })
  );
  /** @type {Map<number, Activity>} */
  const records = new Map();
  if (ids.length) {
    // Ids that lie far apart may have too many others between them; those are then shown by their number.
    const range = { min_id: Math.min(...ids), max_id: Math.max(...ids), limit: 999 };
    const page = /** @type {import("../../types.js").ActivityPage} */ (
      await get("/api/metrics/activity", { signal, query: range })
    );
    for (const record of page.data) records.set(record.id, record);
  }
  return { ids, complete, records };
}

/** @param {Found} found @param {string} text */
function told({ ids, complete }, text) {
  if (!ids.length) return "";
  const which = text
    ? `${plural(ids.length, "capture")} with this text`
    : `The newest ${plural(ids.length, "capture")}`;
  return `${which}, the newest first${complete ? "." : "; there are more."}`;
}

/** @param {{text: string}} props */
function None({ text }) {
  if (text) return html`<${Empty} title="No capture has this text" icon="search" />`;
  return html`
    <${Empty} title="There are no captures" icon="search">
      Bodies of requests and answers are kept if the configuration has a captureBuffer: the newest, for as long as they
      fit in it.
    <//>
  `;
}

/** @param {{id: number, record: Activity | undefined, onOpen: (id: number) => void}} props */
function Hit({ id, record, onOpen }) {
  return html`
    <li>
      <button type="button" onClick=${() => onOpen(id)}>
        <span class="num faint">${id}</span>
        ${
          record
            ? html`
              <span class="activity-hit">
                <b class="clip">${plain(record.model)}</b>
                <span class="mono clip faint">${plain(record.req_path)}</span>
              </span>
              <${Status} record=${record} />
              <span class="faint">${seconds(record.duration_ms)}</span>
              <span class="faint"><${Time} iso=${record.timestamp} /></span>
            `
            : html`<span class="faint">capture of an older request</span>`
        }
      </button>
    </li>
  `;
}
