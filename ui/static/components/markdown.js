/** Markdown as elements: how that is done (markdown-drawing.js) is loaded when the first text needs it. */

import { html, signal } from "../html.js";

/**
 * A part of the page that is loaded when it is first asked for; null until it is there.
 *
 * @template T
 * @param {() => Promise<T>} load
 */
export function later(load) {
  const loaded = signal(/** @type {T | null} */ (null));
  let isAsked = false;
  return () => {
    if (!isAsked) {
      isAsked = true;
      load().then(
        (found) => (loaded.value = found),
        // Without it the text is shown plainly; the next text tries again.
        () => (isAsked = false),
      );
    }
    return loaded.value;
  };
}

const drawing = later(() => import("./markdown-drawing.js"));

/**
 * @param {{ text: string, streaming?: boolean }} props
 *   streaming: more will be appended, and only what is new is made
 */
export function Markdown(props) {
  const there = drawing();
  return there
    ? html`
        <${there.Drawn} ...${props} />
      `
    : html`
        <div class="markdown plain" dir="auto">${props.text}</div>
      `;
}
