/** Pictures that go with a question: from a file, the clipboard or dropped; shown small, and whole on a click. */

import { html, useState } from "../../html.js";
import { IconButton } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { bytes, plural } from "../../lib/format.js";

/** @typedef {import("../../lib/dialects.js").Picture} Picture */

export const PICTURE_TYPES = ["image/jpeg", "image/png", "image/gif", "image/webp"];
export const MOST_PICTURES = 5;
const MOST_BYTES = 20 << 20;

/**
 * Reads those of *files* that may go with a question which has *count* pictures already.
 *
 * @param {Iterable<File>} files
 * @param {number} count
 * @returns {Promise<{ pictures: Picture[], refused: string[] }>} refused: in words
 */
export async function readPictures(files, count) {
  /** @type {Picture[]} */
  const pictures = [];
  /** @type {string[]} */
  const refused = [];
  for (const file of files) {
    const name = file.name || "The picture";
    if (!PICTURE_TYPES.includes(file.type)) refused.push(`${name} is no JPEG, PNG, GIF or WebP.`);
    else if (file.size > MOST_BYTES)
      refused.push(`${name} has ${bytes(file.size)}; ${bytes(MOST_BYTES)} are the most.`);
    else if (count + pictures.length >= MOST_PICTURES)
      refused.push(`${name} is one too many: ${plural(MOST_PICTURES, "picture")} are the most.`);
    else if (!(await isPicture(file))) refused.push(`${name} is broken: no picture can be seen in it.`);
    else pictures.push({ url: await dataUrl(file), name: file.name });
  }
  return { pictures, refused };
}

/**
 * Thumbnails.
 *
 * @param {{ pictures: readonly Picture[], onRemove?: (index: number) => void }} props
 */
export function Pictures({ pictures, onRemove }) {
  const [shown, setShown] = useState(/** @type {number | null} */ (null));
  if (!pictures.length) return null;
  const whole = shown === null ? undefined : pictures[shown];
  return html`
    <ul class="chat-pictures" aria-label="Pictures">
      ${pictures.map(
        (picture, index) => html`
          <li key=${picture.url.slice(-64) + index}>
            <button type="button" class="chat-picture" title="Show it whole" onClick=${() => setShown(index)}>
              <img src=${picture.url} alt=${picture.name || `Picture ${index + 1}`} />
            </button>
            ${
              onRemove &&
              html`
                <${IconButton}
                  icon="close"
                  class="chat-picture-remove"
                  label=${`Remove ${picture.name || `picture ${index + 1}`}`}
                  onClick=${() => onRemove(index)}
                />
              `
            }
          </li>
        `,
      )}
    </ul>
    <${Dialog}
      open=${whole !== undefined}
      onClose=${() => setShown(null)}
      title=${whole?.name || "Picture"}
      size="full"
      class="chat-picture-whole"
    >
      <img src=${whole?.url} alt=${whole?.name || "Picture"} />
    <//>
  `;
}

/** @param {File} file */
async function isPicture(file) {
  try {
    (await createImageBitmap(file)).close();
    return true;
  } catch {
    return false;
  }
}

/** @param {File} file */
function dataUrl(file) {
  return /** @type {Promise<string>} */ (
    new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(/** @type {string} */ (reader.result));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    })
  );
}
