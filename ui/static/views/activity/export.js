import { html, useMemo, useRef, useState } from "../../html.js";
import { Button } from "../../components/button.js";
import { copyText } from "../../components/copy.js";
import { Dialog } from "../../components/dialog.js";
import { Menu } from "../../components/menu.js";
import { markdown } from "../../lib/activity-markdown.js";
import { absoluteTime } from "../../lib/format.js";
import { version } from "../../state/store.js";

/** @typedef {import("../../types.js").ActivityPage} Page */

/**
 * @param {{page: Page | null, columns: string[], filters: URLSearchParams}} props
 *   filters: as the API has them; files hold all records that fit, not this page alone
 */
export function ExportMenu({ page, columns, filters }) {
  const [isOpen, setOpen] = useState(false);
  const entries = [
    { label: "This page as Markdown…", icon: "copy", disabled: !page?.data.length, onSelect: () => setOpen(true) },
    { label: "All as CSV", icon: "download", onSelect: () => download("csv", filters) },
    { label: "All as JSON lines", icon: "download", onSelect: () => download("jsonl", filters) },
  ];
  return html`
    <${Menu} label="Export" icon="download" entries=${entries} />
    ${isOpen && page && html`<${MarkdownDialog} ...${{ page, columns, onClose: () => setOpen(false) }} />`}
  `;
}

/**
 * @param {"csv" | "jsonl"} format
 * @param {URLSearchParams} filters
 */
function download(format, filters) {
  const query = new URLSearchParams(filters);
  query.set("format", format);
  query.set("order", "desc");
  const link = document.createElement("a");
  link.href = `/api/activity/export?${query}`;
  link.download = `activity.${format}`;
  link.click();
}

/** @param {{page: Page, columns: string[], onClose: () => void}} props */
function MarkdownDialog({ page, columns, onClose }) {
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const [outcome, setOutcome] = useState("");
  // As it was when it was asked for: what is copied is what was read.
  const text = useMemo(() => {
    const product = `Hostler ${version.peek()?.version ?? ""}`.trim();
    return markdown(page.data, columns, { product, now: absoluteTime(Date.now()) });
  }, []);
  const copy = async () => {
    const isThere = await copyText(text);
    setOutcome(
      isThere ? "Copied." : "This browser lets no page copy here. The text is selected: copy it with the keyboard.",
    );
    if (!isThere) area.current?.select();
  };
  const footer = html`
    <p class="soft grow" role="status">${outcome}</p>
    <${Button} onClick=${onClose}>Close<//>
    <${Button} kind="primary" icon="copy" onClick=${copy}>Copy<//>
  `;
  return html`
    <${Dialog}
      open
      title="Activity as Markdown"
      size="large"
      onClose=${onClose}
      footer=${footer}
      class="activity-export"
    >
      <textarea
        ref=${area}
        class="control mono"
        aria-label="Markdown"
        readonly
        spellcheck=${false}
        value=${text}
      ></textarea>
    <//>
  `;
}
