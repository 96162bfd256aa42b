import { html, useId, useLayoutEffect, useRef } from "../html.js";
import { IconButton } from "./button.js";

/** @typedef {import("../html.js").Children} Children */

/**
 * A modal dialog on the browser's own <dialog>: focus stays inside, Escape closes, focus returns where it was.
 * Nothing is in the document while it is closed.
 *
 * @param {{
 *   open: boolean, onClose: () => void, title: string, size?: "small" | "medium" | "large" | "full",
 *   footer?: Children, class?: string, children?: Children,
 * }} props
 */
export function Dialog({ open, ...rest }) {
  return open ? html`<${OpenDialog} ...${rest} />` : null;
}

/** @param {Omit<Parameters<typeof Dialog>[0], "open">} props */
function OpenDialog({ onClose, title, size = "medium", footer, class: more, children }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const body = useRef(/** @type {HTMLDivElement | null} */ (null));
  const titleId = useId();
  useLayoutEffect(() => {
    const dialog = /** @type {HTMLDialogElement} */ (element.current);
    dialog.showModal();
    // Closing before the element goes is what makes the browser give the focus back.
    return () => dialog.close();
  }, []);
  useLayoutEffect(() => {
    // What scrolls must be reached by the keyboard; what does not should be no stop on the way.
    const box = /** @type {HTMLDivElement} */ (body.current);
    box.tabIndex = box.scrollHeight > box.clientHeight ? 0 : -1;
  });
  /** @param {Event} event */
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  /** @param {MouseEvent} event  on the backdrop the target is the dialog itself */
  const pressed = (event) => {
    if (event.target === element.current) onClose();
  };
  return html`
    <dialog
      ref=${element}
      class=${`dialog ${size} ${more ?? ""}`}
      aria-labelledby=${titleId}
      onCancel=${cancelled}
      onMouseDown=${pressed}
    >
      <div class="dialog-box">
        <header class="dialog-head">
          <h2 id=${titleId}>${title}</h2>
          <${IconButton} icon="close" label="Close" onClick=${onClose} />
        </header>
        <div class="dialog-body" ref=${body}>${children}</div>
        ${footer && html`<footer class="dialog-foot">${footer}</footer>`}
      </div>
    </dialog>
  `;
}
