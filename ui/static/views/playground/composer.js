/** Where a question is written: text, pictures, send and stop. */

import { html, useEffect, useRef, useState } from "../../html.js";
import { Button, IconButton } from "../../components/button.js";
import { isFocusFree } from "../../state/router.js";
import { MOST_PICTURES, PICTURE_TYPES, Pictures, readPictures } from "./pictures.js";

/** @typedef {import("../../lib/dialects.js").Picture} Picture */
/**
 * @template T
 * @typedef {import("../../html.js").Signal<T>} Signal
 */

/**
 * @param {{
 *   text: Signal<string>, pictures?: Signal<Picture[]>, isBusy: boolean, onSend: () => void, onStop: () => void,
 *   refusal?: string, label: string,
 * }} props
 *   refusal: why nothing can be sent now
 */
export function Composer({ text, pictures, isBusy, onSend, onStop, refusal, label }) {
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const chooser = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [isTall, setTall] = useState(false);
  const [isOver, setOver] = useState(false);
  const [problems, setProblems] = useState(/** @type {string[]} */ ([]));
  const isEmpty = !text.value.trim() && !pictures?.value.length;
  useEffect(() => {
    // On a phone the keyboard would cover half of what is to be read first.
    if (matchMedia("(pointer: fine)").matches && isFocusFree()) area.current?.focus({ preventScroll: true });
  }, []);

  /** @param {Iterable<File>} files */
  const take = async (files) => {
    if (!pictures) return;
    const { pictures: read, refused } = await readPictures(files, pictures.value.length);
    pictures.value = [...pictures.value, ...read].slice(0, MOST_PICTURES);
    setProblems(refused);
  };
  const send = () => {
    if (isBusy || isEmpty || refusal) return;
    setProblems([]);
    onSend();
    setTall(false);
    area.current?.focus();
  };
  const stop = () => {
    onStop();
    // Its button goes, and must not take the focus with it.
    if (matchMedia("(pointer: fine)").matches) area.current?.focus();
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    // Enter that only confirms what an input method proposes is none of ours.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  /** @param {ClipboardEvent} event */
  const pasted = (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length || !pictures) return;
    event.preventDefault();
    take(files);
  };
  /** @param {DragEvent} event */
  const draggedOver = (event) => {
    if (!pictures || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  /** @param {DragEvent} event */
  const dropped = (event) => {
    if (!pictures || !event.dataTransfer?.files.length) return;
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  /** @param {Event} event */
  const chosen = (event) => {
    const input = /** @type {HTMLInputElement} */ (event.currentTarget);
    take([...(input.files ?? [])]).then(() => (input.value = ""));
  };

  return html`
    <form
      class=${`chat-composer ${isOver ? "over" : ""} ${isTall ? "tall" : ""}`}
      onSubmit=${(/** @type {Event} */ event) => (event.preventDefault(), send())}
      onDragOver=${draggedOver}
      onDragLeave=${() => setOver(false)}
      onDrop=${dropped}
    >
      ${
        pictures &&
        html`
          <${Pictures}
            pictures=${pictures.value}
            onRemove=${(/** @type {number} */ index) => {
              pictures.value = pictures.value.filter((_, each) => each !== index);
            }}
          />
        `
      }
      ${problems.map(
        (problem) => html`
          <p class="chat-problem" role="alert" key=${problem}>${problem}</p>
        `,
      )}
      <textarea
        ref=${area}
        class="chat-input"
        aria-label=${label}
        placeholder=${label}
        rows="1"
        dir="auto"
        value=${text.value}
        onInput=${(/** @type {InputEvent & { currentTarget: HTMLTextAreaElement }} */ { currentTarget }) => {
          text.value = currentTarget.value;
        }}
        onKeyDown=${pressed}
        onPaste=${pasted}
      ></textarea>
      <div class="chat-composer-row">
        ${
          pictures &&
          html`
            <input
              ref=${chooser}
              class="unseen"
              type="file"
              multiple
              accept=${PICTURE_TYPES.join(",")}
              tabindex="-1"
              aria-hidden="true"
              onChange=${chosen}
            />
            <${IconButton}
              icon="attach"
              label="Attach pictures"
              disabled=${pictures.value.length >= MOST_PICTURES}
              onClick=${() => chooser.current?.click()}
            />
          `
        }
        <${IconButton}
          icon=${isTall ? "shrink" : "expand"}
          label=${isTall ? "Make the field small" : "Make the field large"}
          pressed=${isTall}
          onClick=${() => setTall(!isTall)}
        />
        <p class=${`small-text ${refusal ? "chat-refusal" : "chat-hint faint"}`}>
          ${
            refusal ??
            html`
              <kbd>Enter</kbd>
              sends,
              <kbd>Shift</kbd>
              <kbd>Enter</kbd>
              begins a line
            `
          }
        </p>
        ${
          isBusy
            ? html`
                <${Button} icon="stop" onClick=${stop}>Stop<//>
              `
            : html`
                <${Button} kind="primary" type="submit" icon="send" disabled=${isEmpty || Boolean(refusal)}>Send<//>
              `
        }
      </div>
    </form>
  `;
}
