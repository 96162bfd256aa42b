/** A sound file to listen to before it is sent. */

import { html, useEffect, useMemo } from "../../html.js";
import { plain } from "../../lib/bidi.js";

/** @param {{ file: File }} props */
export function Player({ file }) {
  const url = useMemo(() => URL.createObjectURL(file), [file]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return html`<audio class="player" controls preload="metadata" src=${url} aria-label=${plain(file.name)}></audio>`;
}
