/** Files, dropped or chosen. The control is the browser's own, so it works by keyboard and with screen readers. */

import { html, useEffect, useId, useMemo, useState } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { plain } from "../../lib/bidi.js";
import { bytes } from "../../lib/format.js";

/**
 * @param {{
 *   label: string, accept: string, multiple?: boolean, files: File[], onInput: (files: File[]) => void, hint?: string,
 * }} props  accept: media types, with commas between
 */
export function FileDrop({ label, accept, multiple, files, onInput, hint }) {
  const id = useId();
  const [isOver, setOver] = useState(false);
  const [refused, setRefused] = useState("");
  /** @param {Iterable<File>} found */
  const take = (found) => {
    const all = [...found];
    const fit = all.filter((file) => fits(file, accept));
    const odd = all.find((file) => !fit.includes(file));
    setRefused(odd ? `${plain(odd.name)} is none of these: ${hint ?? kinds(accept)}.` : "");
    if (fit.length) onInput(multiple ? [...files, ...fit] : fit.slice(0, 1));
  };
  /** @param {DragEvent} event */
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  /** @param {DragEvent} event */
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files ?? []);
  };
  return html`
    <div class="field">
      <label
        class=${`file-drop ${isOver ? "over" : ""}`}
        for=${id}
        onDragOver=${over}
        onDragLeave=${() => setOver(false)}
        onDrop=${dropped}
      >
        <${Icon} name="upload" />
        <span
          class="file-words"
        >
          <strong>${label}</strong><span class="faint">Drop it here, or choose it: ${hint ?? kinds(accept)}</span>
        </span>
        <input
          id=${id}
          class="unseen"
          type="file"
          accept=${accept}
          multiple=${multiple}
          aria-describedby=${`${id}-error`}
          onChange=${(/** @type {Event} */ event) => {
            const field = /** @type {HTMLInputElement} */ (event.currentTarget);
            take(field.files ?? []);
            // The same file may be chosen again after it was removed.
            field.value = "";
          }}
        />
      </label>
      <p id=${`${id}-error`} class="field-error" role="alert">${refused}</p>
      ${files.length > 0 &&
      html`
        <ul class="file-list">
          ${files.map(
            (file, index) => html`
              <li key=${`${file.name} ${index}`}>
                <${Preview} file=${file} />
                <bdi class="clip grow">${plain(file.name)}</bdi>
                <span class="faint num">${bytes(file.size)}</span>
                <${IconButton}
                  icon="close"
                  label=${`Remove ${plain(file.name)}`}
                  onClick=${() => onInput(files.filter((each) => each !== file))}
                />
              </li>
            `,
          )}
        </ul>
      `}
    </div>
  `;
}

/** @param {{ file: File }} props */
function Preview({ file }) {
  const url = useMemo(() => URL.createObjectURL(file), [file]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  if (file.type.startsWith("image/")) return html`<img class="file-preview" src=${url} alt="" />`;
  return html`<${Icon} name="speaker" />`;
}

/**
 * @param {File} file
 * @param {string} accept
 */
function fits(file, accept) {
  const name = file.name.toLowerCase();
  // A system may not know the type of a file whose name says enough.
  return accept.split(",").some((kind) => (kind.startsWith(".") ? name.endsWith(kind) : file.type === kind));
}

/** @param {string} accept */
function kinds(accept) {
  const names = accept.split(",").map((kind) => kind.replace(/^(\.|.*\/(x-)?)/, "").toUpperCase());
  return [...new Set(names)].join(", ");
}
