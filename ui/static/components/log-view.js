/**
 * @file The lines of a log, of which only those that can be seen are in the page.
 *
 * Theory of operation
 * -------------------
 * Every row is equally high. Without wrapping a line is a row. With it lines break after so many cells, as on a
 * terminal,
 * so that the rows of most lines can be counted; where the width of characters is not sure, a line is measured once it
 * has been drawn. A box as high as all rows scrolls; in it is a window with the lines around what is seen.
 *
 * It follows the newest line until somebody scrolls up, presses the mouse button on it or selects text. Then the feed
 * is
 * held, so that nothing moves. While text is selected the window only grows: a selection ends with its elements.
 */

import { Component, html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "../html.js";
import { properties } from "../lib/ansi-colours.js";
import { isSimple, levelOf, rowsOf } from "../lib/log-lines.js";

/** @typedef {import("../lib/ansi.js").Line} Line */
/** @typedef {import("../lib/ansi.js").Style} Style */
/** @typedef {import("../state/log-feed.js").LogFeed} LogFeed */
/** @typedef {{columns: number, rows: number, exact: boolean}} Extent */

/** Scrolled up by more than this, it follows no longer. */
const YIELDS_PX = 40;
const BEYOND_ROWS = 12;
const SELECTED_AT_MOST = 4000;
const PADDING_PX = 12;

/** @type {WeakMap<Line, Extent>} */
const extents = new WeakMap();

/** @type {WeakMap<Style, Record<string, string>>} */
const drawn = new WeakMap();

/** @param {Style} style */
function css(style) {
  let found = drawn.get(style);
  if (!found) drawn.set(style, (found = properties(style)));
  return found;
}

/** @param {Line} line @param {number} columns  0: no wrapping */
function rowsIn(line, columns) {
  if (!columns) return 1;
  const known = extents.get(line);
  if (known?.columns === columns) return known.rows;
  const rows = rowsOf(line.text, columns);
  extents.set(line, { columns, rows, exact: isSimple(line.text) });
  return rows;
}

/** @extends {Component<{line: Line}>} */
class Row extends Component {
  /** @param {{line: Line}} next @override */
  shouldComponentUpdate(next) {
    return next.line !== this.props.line;
  }

  /** @override */
  render() {
    const { line } = this.props;
    const level = line.runs ? null : levelOf(line.text);
    const kind = line.notice ? "notice" : level && level !== "info" ? `level-${level}` : "";
    // An empty line has its height, and is copied as one.
    const text = line.runs?.map((run) => html`<span style=${css(run.style)}>${run.text}</span>`) ?? (line.text || "\n");
    return html`<div class=${`log-row ${kind}`}>${text}</div>`;
  }
}

/**
 * @param {{
 *   feed: LogFeed, version: number, label: string, size: number, wrap: boolean, following: boolean,
 *   onFollow: (follow: boolean) => void, children?: import("../html.js").Children,
 * }} props  version: rises with each change of the feed
 */
export function LogView({ feed, label, size, wrap, following, onFollow, children }) {
  const scroller = useRef(/** @type {HTMLDivElement | null} */ (null));
  const probe = useRef(/** @type {HTMLSpanElement | null} */ (null));
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const shownRange = useRef({ start: 0, end: 0, first: /** @type {Line | undefined} */ (undefined), into: 0 });
  const geometry = useRef("");
  const isPressed = useRef(false);
  const [box, setBox] = useState({ width: 0, height: 0, cell: 8 });
  const [, redraw] = useReducer((/** @type {number} */ count) => count + 1, 0);

  const rowPx = Math.round(size * 1.55);
  const columns = wrap ? Math.max(10, Math.floor((box.width - 2 * PADDING_PX) / box.cell)) : 0;
  const lines = feed.open && !feed.isFiltered ? [...feed.shown.lines, feed.open] : feed.shown.lines;

  let total = lines.length;
  let widest = 0;
  if (wrap) {
    total = 0;
    for (const line of lines) total += rowsIn(line, columns);
  } else for (const line of lines) widest = Math.max(widest, line.text.length);

  // The place to be at: the end, or where it was; after a change of size, the line that was the first.
  const seenRows = Math.ceil(box.height / rowPx) + 1;
  const last = shownRange.current;
  const now = `${columns} ${rowPx}`;
  const isReshaped = geometry.current !== now && !following;
  let top = following ? Math.max(0, total * rowPx - box.height) : (scroller.current?.scrollTop ?? 0);
  if (isReshaped && last.first) {
    let above = 0;
    for (const line of lines) {
      if (line === last.first) break;
      above += rowsIn(line, columns);
    }
    top = above * rowPx;
  }

  const isSelecting = !following && selectionIn(frame.current);
  const range = within(lines, columns, top / rowPx, seenRows);
  if (isSelecting && range.end - range.start < SELECTED_AT_MOST) {
    while (range.start > last.start) {
      range.start -= 1;
      range.above -= rowsIn(/** @type {Line} */ (lines[range.start]), columns);
    }
    range.end = Math.min(lines.length, Math.max(range.end, last.end));
  }
  const inWindow = lines.slice(range.start, range.end);

  useLayoutEffect(() => {
    geometry.current = now;
    shownRange.current = { ...range, first: lines[range.first], into: 0 };
    const element = scroller.current;
    if (!element) return;
    if (following && !isPressed.current) element.scrollTop = element.scrollHeight;
    else if (isReshaped) element.scrollTop = top;
    if (columns && measured(frame.current, inWindow, columns, rowPx)) redraw(0);
  });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const look = () => {
      const cell = (probe.current?.getBoundingClientRect().width ?? 800) / 100;
      setBox((old) => {
        const width = element.clientWidth;
        const height = element.clientHeight;
        return old.width === width && old.height === height && old.cell === cell ? old : { width, height, cell };
      });
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [size]);

  useEffect(() => {
    const selected = () => {
      if (selectionIn(frame.current)) onFollow(false);
    };
    document.addEventListener("selectionchange", selected);
    return () => document.removeEventListener("selectionchange", selected);
  }, [onFollow]);

  const distance = () => {
    const element = scroller.current;
    return element ? element.scrollHeight - element.scrollTop - element.clientHeight : 0;
  };
  const scrolled = () => {
    if (following && distance() > YIELDS_PX) onFollow(false);
    else if (!following && distance() <= 4 && !isPressed.current && !selectionIn(frame.current)) onFollow(true);
    else if (!following) redraw(0);
  };
  const pressed = () => {
    isPressed.current = true;
    const released = () => {
      isPressed.current = false;
      removeEventListener("pointerup", released);
      removeEventListener("pointercancel", released);
      scrolled();
    };
    addEventListener("pointerup", released);
    addEventListener("pointercancel", released);
  };
  /** @param {WheelEvent} event */
  const wheeled = (event) => {
    if (event.deltaY < 0 && distance() + (scroller.current?.scrollTop ?? 0) > 0) onFollow(false);
  };
  /** @param {KeyboardEvent} event */
  const typed = (event) => {
    if (["ArrowUp", "PageUp", "Home"].includes(event.key) && (scroller.current?.scrollTop ?? 0) > 0) onFollow(false);
    if (event.key === "End") onFollow(true);
  };

  const width = wrap ? columns * box.cell + 1 : Math.ceil(widest * box.cell) + 1;
  return html`
    <div
      class=${`log-scroll ${wrap ? "wraps" : ""}`}
      ref=${scroller}
      role="log"
      aria-label=${label}
      aria-live="off"
      tabindex="0"
      style=${{ fontSize: `${size}px`, lineHeight: `${rowPx}px` }}
      onScroll=${scrolled}
      onWheel=${wheeled}
      onKeyDown=${typed}
      onPointerDown=${pressed}
    >
      <span class="log-probe" ref=${probe} aria-hidden="true">${"0".repeat(100)}</span>
      <div
        class="log-space"
        style=${{ height: `${total * rowPx}px`, minWidth: wrap ? "0" : `${width + 2 * PADDING_PX}px` }}
      >
        <div
          class="log-window"
          ref=${frame}
          style=${{ transform: `translateY(${range.above * rowPx}px)`, width: wrap ? `${width}px` : "auto" }}
        >
          ${inWindow.map((line) => html`<${Row} key=${line.id} line=${line} />`)}
        </div>
      </div>
      ${children}
    </div>
  `;
}

/** @param {Node | null} element */
function selectionIn(element) {
  const selection = document.getSelection();
  return Boolean(element && selection && !selection.isCollapsed && element.contains(selection.anchorNode));
}

/**
 * Returns the lines to draw for a place in rows: indices, the rows above them, and the index of the first that is seen.
 * @param {Line[]} lines @param {number} columns @param {number} topRow @param {number} rows
 */
function within(lines, columns, topRow, rows) {
  if (!columns) {
    const first = Math.max(0, Math.min(lines.length - 1, Math.floor(topRow)));
    const start = Math.max(0, first - BEYOND_ROWS);
    return { start, end: Math.min(lines.length, first + rows + BEYOND_ROWS), above: start, first };
  }
  let start = 0;
  let above = 0;
  while (start < lines.length) {
    const own = rowsIn(/** @type {Line} */ (lines[start]), columns);
    if (above + own > topRow - BEYOND_ROWS) break;
    above += own;
    start += 1;
  }
  let end = start;
  let first = start;
  for (let row = above; end < lines.length && row < topRow + rows + BEYOND_ROWS; end += 1) {
    if (row <= topRow) first = end;
    row += rowsIn(/** @type {Line} */ (lines[end]), columns);
  }
  return { start, end, above, first };
}

/**
 * Looks how high the lines are that could not be counted; returns whether any is higher or lower than thought.
 * @param {HTMLElement | null} element @param {Line[]} lines @param {number} columns @param {number} rowPx
 */
function measured(element, lines, columns, rowPx) {
  let differs = false;
  lines.forEach((line, index) => {
    const known = extents.get(line);
    const row = /** @type {HTMLElement | undefined} */ (element?.children[index]);
    if (!row || !known || known.exact) return;
    const rows = Math.max(1, Math.round(row.offsetHeight / rowPx));
    differs ||= rows !== known.rows;
    extents.set(line, { columns, rows, exact: true });
  });
  return differs;
}
