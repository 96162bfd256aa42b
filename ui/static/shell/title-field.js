import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { LONGEST_TITLE, setTitle, title } from "../state/title.js";

/** What this Hostler is called; a press lets one write something else. Enter or leaving keeps it, Escape does not. */
export function TitleField() {
  const [draft, setDraft] = useState(/** @type {string | null} */ (null));
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  // The field loses the focus once more when it goes; by then it has been decided.
  const decided = useRef(false);
  const editing = draft !== null;
  useLayoutEffect(() => {
    if (!editing) return;
    field.current?.focus();
    field.current?.select();
  }, [editing]);
  const begin = () => {
    decided.current = false;
    setDraft(title.value);
  };
  /** @param {boolean} keep */
  const end = (keep) => {
    if (draft === null || decided.current) return;
    decided.current = true;
    if (keep) setTitle(draft);
    setDraft(null);
    // Once the button is there again.
    requestAnimationFrame(() => document.activeElement === document.body && button.current?.focus());
  };
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    if (event.key === "Enter") end(true);
    else if (event.key === "Escape") end(false);
    else return;
    event.preventDefault();
  };
  if (editing) {
    return html`
      <input
        ref=${field}
        class="app-title editing"
        aria-label="Title of this Hostler"
        maxlength=${LONGEST_TITLE}
        value=${draft}
        onInput=${(/** @type {Event} */ event) => setDraft(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
        onKeyDown=${pressed}
        onBlur=${() => end(true)}
      />
    `;
  }
  return html`
    <button
      ref=${button}
      type="button"
      class="app-title"
      title=${`${title.value}: press to rename`}
      onClick=${begin}
    >
      ${title.value}
    </button>
  `;
}
