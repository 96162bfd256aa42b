import { html, useEffect, useMemo, useState } from "../../html.js";
import { Dialog } from "../../components/dialog.js";
import { Button } from "../../components/button.js";
import { CopyButton } from "../../components/copy.js";
import { Empty } from "../../components/empty.js";
import { Tag } from "../../components/tag.js";
import { Time } from "../../components/time.js";
import { bytesOf, header } from "../../lib/capture-body.js";
import { plain } from "../../lib/bidi.js";
import { bytes as sized, duration } from "../../lib/format.js";
import { ApiError, get, isAbort, wordsFor } from "../../state/api.js";
import { stored } from "../../state/settings.js";
import { showCapture } from "./address.js";
import { Body } from "./body.js";
import { CaptureActions } from "./capture-actions.js";
import { ModelName } from "./cells.js";
import { Details } from "./details.js";

/** @typedef {import("../../types.js").Capture} Capture */
/** @typedef {import("../../types.js").ActivityRecord} Activity */
/**
 * @typedef {{capture: Capture | null, record: Activity | null, error: string}} Found  error: "" if it is known there
 *   is none
 */

/**
 * One capture.
 *
 * @param {{id: string}} props
 */
export function Shown({ id }) {
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setFound(null);
    fetchCapture(id, controller.signal).then(setFound, (error) => {
      if (!isAbort(error)) setFound({ capture: null, record: null, error: wordsFor(error) });
    });
    return () => controller.abort();
  }, [id, attempt]);
  const close = () => showCapture(null);
  const capture = found?.capture ?? null;
  return html`
    <${Dialog}
      open
      size=${found && !capture ? "medium" : "full"}
      class="capture"
      title=${`Capture ${plain(id)}`}
      onClose=${close}
      footer=${capture && html`<${CaptureActions} capture=${capture} onDeleted=${close} />`}
    >
      ${
        found === null
          ? html`<p class="capture-wait"><span class="spinner"></span> Fetching the capture…</p>`
          : capture
            ? html`<${Exchange} capture=${capture} record=${found.record} />`
            : html`<${Missing} found=${found} onRetry=${() => setAttempt(attempt + 1)} />`
      }
    <//>
  `;
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Found>}
 */
async function fetchCapture(id, signal) {
  /** @type {Activity | null} */
  const record = await get("/api/metrics/activity", { signal, query: { min_id: id, max_id: id } }).then(
    (page) => page.data[0] ?? null,
    (error) => (isAbort(error) ? Promise.reject(error) : null),
  );
  // Asking for what is known not to be there would leave an error in the browser's console.
  if (record && !record.has_capture) return { capture: null, record, error: "" };
  try {
    return { capture: await get(`/api/captures/${encodeURIComponent(id)}`, { signal }), record, error: "" };
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 400)) throw error;
    return { capture: null, record, error: "" };
  }
}

/** @param {{found: Found, onRetry: () => void}} props */
function Missing({ found: { record, error }, onRetry }) {
  if (error) {
    return html`
      <${Empty}
        title="The capture could not be fetched"
        icon="warning"
        action=${html`<${Button} icon="refresh" onClick=${onRetry}>Try again<//>`}
      >
        ${error}
      <//>
    `;
  }
  return html`
    <${Empty} title="Capture not found" icon="search">
      Captures make room for newer ones, and can be deleted.
      ${record ? " What is known of the request itself:" : " Nor is there a request of this number."}
    <//>
    ${record && html`<${Details} record=${record} />`}
  `;
}

/** @param {{capture: Capture, record: Activity | null}} props */
function Exchange({ capture, record }) {
  const request = useMemo(() => bytesOf(capture.req_body), [capture]);
  const response = useMemo(() => bytesOf(capture.resp_body), [capture]);
  return html`
    <p class="capture-line">
      ${record && html`<${ModelName} id=${record.model} />`}
      <span class="mono">${plain(capture.method)} ${plain(capture.req_path)}</span>
      <${Tag} tone=${tone(capture)}>${capture.status || "no answer"}<//>
      <span>${duration(capture.duration_ms)}</span>
      <span class="faint"><${Time} iso=${capture.time} /></span>
    </p>
    ${capture.error && html`<p class="activity-words bad">${plain(capture.error)}</p>`}
    <div class="capture-sides">
      <section aria-labelledby="capture-request">
        <h3 id="capture-request">Request</h3>
        <${Headers} headers=${capture.req_headers} />
        <${Body}
          side="request"
          bytes=${request}
          contentType=${header(capture.req_headers, "content-type")}
          size=${capture.req_size}
          isCut=${capture.req_truncated && request !== null}
          why=${absent(capture.req_size, "request")}
        />
      </section>
      <section aria-labelledby="capture-response">
        <h3 id="capture-response">Response</h3>
        ${
          capture.resp_headers
            ? html`<${Headers} headers=${capture.resp_headers} />`
            : html`<p class="faint capture-none">The exchange ended before there was an answer.</p>`
        }
        ${
          capture.resp_headers &&
          html`
          <${Body}
            side="response"
            bytes=${response}
            contentType=${header(capture.resp_headers, "content-type")}
            size=${capture.resp_size}
            isCut=${capture.resp_truncated && response !== null}
            why=${absent(capture.resp_size, "response")}
          />
        `
        }
      </section>
    </div>
  `;
}

/** @param {Capture} capture */
function tone({ status, error }) {
  if (status >= 400 || status === 0) return "bad";
  return error ? "busy" : "good";
}

/** Why there is no body. @param {number} size @param {string} side */
function absent(size, side) {
  if (size <= 0) return `The ${side} had no body.`;
  return `The ${side}'s body of ${sized(size)} is not kept: sound, pictures and uploads are left out of captures.`;
}

/** @param {{headers: Record<string, string>}} props */
function Headers({ headers }) {
  const entries = Object.entries(headers);
  // On a phone the bodies would be far down.
  const open = useMemo(() => stored("capture-headers-open", innerWidth > 700), []);
  const toggled = (/** @type {Event} */ event) =>
    (open.value = /** @type {HTMLDetailsElement} */ (event.currentTarget).open);
  const text = () => entries.map(([name, value]) => `${name}: ${value}`).join("\n");
  return html`
    <div class="capture-headers">
      <${CopyButton} text=${text} label="Copy the headers" />
      <details open=${open.value} onToggle=${toggled}>
        <summary>Headers <span class="faint">${entries.length}</span></summary>
        <dl>
          ${entries.map(
            ([name, value]) => html`
              <div key=${name}>
                <dt>${plain(name)}</dt>
                <dd>${plain(value)}</dd>
              </div>
            `,
          )}
        </dl>
      </details>
    </div>
  `;
}
