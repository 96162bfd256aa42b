import { html, signal, useEffect, useMemo } from "../../html.js";
import { Button } from "../../components/button.js";
import { shownText } from "../../lib/capture-body.js";

/** Characters of a piece: what a slow phone lays out within a frame or two. */
export const PIECE = 12_000;

/** Pieces that are added in a frame when all of them are wanted. */
const AT_ONCE = 6;

/**
 * A text of any length, of which a piece is there at first and the others when they are asked for, one a frame.
 * Those out of sight are not laid out.
 *
 * @param {{source: () => Iterator<string>, isJson?: boolean, all: string, label: string}} props
 *   source: the same function for the same text; all: how much there is, for the button
 */
export function Pieces({ source, isJson, all, label }) {
  const reading = useMemo(() => new Reading(source(), isJson ? coloured : shownText), [source]);
  useEffect(() => () => reading.stop(), [reading]);
  return html`
    <div class="capture-text" role="region" aria-label=${label} tabindex="0">
      ${reading.pieces.value}
      ${
        reading.hasMore.value &&
        html`
        <p class="capture-more">
          <span class="faint">There is more of it.</span>
          <${Button} onClick=${() => reading.take(AT_ONCE)}>Show more<//>
          <${Button}
            kind="quiet"
            busy=${reading.isTakingAll.value}
            onClick=${() => reading.takeAll()}
          >Show all, ${all}<//>
        </p>
      `
      }
    </div>
  `;
}

class Reading {
  /**
   * @param {Iterator<string>} source
   * @param {(text: string) => import("../../html.js").Children} draw
   */
  constructor(source, draw) {
    this.source = source;
    this.draw = draw;
    /** As they were drawn: Preact passes over those it knows. */
    this.pieces = signal(/** @type {import("../../html.js").Node[]} */ ([]));
    this.hasMore = signal(false);
    this.isTakingAll = signal(false);
    this.frame = 0;
    // One ahead, so that it is known whether there is more.
    this.next = source.next();
    this.take();
  }

  /** @param {number} [wanted] */
  take(wanted = 1) {
    const pieces = [...this.pieces.value];
    for (let left = wanted; left > 0 && !this.next.done; left -= 1) {
      pieces.push(
        html`
          <pre
            key=${pieces.length}
            class=${this.draw === coloured ? "json" : ""}
          >${this.draw(this.next.value)}</pre>`,
      );
      this.next = this.source.next();
    }
    this.pieces.value = pieces;
    this.hasMore.value = !this.next.done;
  }

  takeAll() {
    this.isTakingAll.value = true;
    this.frame = requestAnimationFrame(() => {
      this.take(AT_ONCE);
      if (this.hasMore.value) this.takeAll();
      else this.isTakingAll.value = false;
    });
  }

  stop() {
    cancelAnimationFrame(this.frame);
  }
}

/** Coloured parts of a piece; what is after them stays plain. A list of short numbers would be too many for a page. */
const COLOURED = 1500;

/** A string with what makes it a name, if it is one; a word or a number. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*"?)(?=(:)?)|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;

/** @param {string} piece */
function coloured(piece) {
  const text = shownText(piece);
  /** @type {import("../../html.js").Children[]} */
  const found = [];
  let last = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = match[2] ? "name" : match[1] ? "string" : "value";
    if (match.index > last) found.push(text.slice(last, match.index));
    found.push(html`<span class=${kind}>${match[0]}</span>`);
    last = match.index + match[0].length;
    if (found.length > 2 * COLOURED) break;
  }
  found.push(text.slice(last));
  return found;
}
