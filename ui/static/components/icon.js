import { html } from "../html.js";

/**
 * A round dot, to be filled.
 *
 * @param {number} x
 * @param {number} y
 */
const dot = (x, y) => `M${x - 1.3} ${y}a1.3 1.3 0 1 1 2.6 0a1.3 1.3 0 1 1-2.6 0z`;

/**
 * Strokes on a 24 × 24 grid. `M…` strings are paths; a leading "!" fills instead of stroking.
 *
 * @type {Record<string, string>}
 */
const STROKES = {
  activity: "M3 12h4l3-8 4 16 3-8h4",
  playground: "M4 5h16v11H10l-5 4v-4H4z M8.5 9h7 M8.5 12.5h4.5",
  models: "M12 3l8.5 4.5L12 12 3.5 7.5z M3.5 12l8.5 4.5 8.5-4.5 M3.5 16.5L12 21l8.5-4.5",
  logs: "M4 5h16v14H4z M7.5 9l3 3-3 3 M13 15h3.5",
  performance: "M4 4v16h16 M8 15l3.5-5 3 3L20 6.5",
  hardware: "M7 7h10v10H7z M10 10h4v4h-4z M10 3v4 M14 3v4 M10 17v4 M14 17v4 M3 10h4 M3 14h4 M17 10h4 M17 14h4",
  settings: "M4 7h8 M16.5 7H20 M4 17h3.5 M12 17h8 M14.25 4.75a2.25 2.25 0 1 1 0 4.5a2.25 2.25 0 0 1 0-4.5z "
    + "M9.75 14.75a2.25 2.25 0 1 1 0 4.5a2.25 2.25 0 0 1 0-4.5z",
  configuration: "M6 3h8.5L19 7.5V21H6z M14 3v5h5 M9.5 12.5l-1.5 2 1.5 2 M15 12.5l1.5 2-1.5 2",
  sun: "M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8z M12 2.5v2 M12 19.5v2 M2.5 12h2 M19.5 12h2 M5.3 5.3l1.4 1.4 "
    + "M17.3 17.3l1.4 1.4 M5.3 18.7l1.4-1.4 M17.3 6.7l1.4-1.4",
  moon: "M20 14.2A8.2 8.2 0 0 1 9.8 4 8.2 8.2 0 1 0 20 14.2z",
  system: "M3.5 5h17v11h-17z M9 20h6 M12 16v4",
  menu: "M4 7h16 M4 12h16 M4 17h16",
  sidebar: "M4 5h16v14H4z M9.5 5v14",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13z M15.5 15.5L20 20",
  close: "M6 6l12 12 M18 6L6 18",
  play: "M8 5.5l10.5 6.5L8 18.5z",
  stop: "M7 7h10v10H7z",
  pause: "M9 6v12 M15 6v12",
  power: "M12 4v8 M7.5 6.5a7.5 7.5 0 1 0 9 0",
  copy: "M9 9h11v11H9z M5 15H4V4h11v1",
  download: "M12 4v11 M7 11l5 5 5-5 M5 20h14",
  upload: "M12 16V5 M7 9l5-5 5 5 M5 20h14",
  swap: "M4 8h14 M14.5 4.5L18 8l-3.5 3.5 M20 16H6 M9.5 12.5L6 16l3.5 3.5",
  pin: "M9 4h6l-1 6 3.5 3.5V15h-11v-1.5L10 10z M12 15v5",
  external: "M14 4h6v6 M20 4l-9 9 M18 14v6H4V6h6",
  filter: "M4 5h16l-6.2 7.5V19l-3.6-2v-4.5z",
  columns: "M4 5h16v14H4z M9.5 5v14 M14.5 5v14",
  "sort-up": "M12 18V6 M7 11l5-5 5 5",
  "sort-down": "M12 6v12 M7 13l5 5 5-5",
  "chevron-left": "M14.5 6l-6 6 6 6",
  "chevron-right": "M9.5 6l6 6-6 6",
  "chevron-up": "M6 14.5l6-6 6 6",
  "chevron-down": "M6 9.5l6 6 6-6",
  first: "M17.5 6l-6 6 6 6 M7 6v12",
  last: "M6.5 6l6 6-6 6 M17 6v12",
  plus: "M12 5v14 M5 12h14",
  minus: "M5 12h14",
  trash: "M4 7h16 M9.5 7V4h5v3 M6.5 7l1 13h9l1-13 M10.5 11v5.5 M13.5 11v5.5",
  edit: "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19z M13.5 7l3.5 3.5",
  refresh: "M19.5 9A8 8 0 0 0 5 8.2 M4.5 4.5v4h4 M4.5 15A8 8 0 0 0 19 15.8 M19.5 19.5v-4h-4",
  "text-size": "M3 18L7.5 6 12 18 M4.6 14h5.8 M14 18l3.2-8.5L20.5 18 M15.2 15.2h4.2",
  wrap: "M4 6h16 M4 12h13a3 3 0 0 1 0 6h-4 M15.5 15.5L13 18l2.5 2.5 M4 18h4",
  check: "M5 12.5l4.5 4.5L19 7",
  warning: "M12 4l9 16H3z M12 10v4.5 M12 17.2v.1",
  image: "M4 5h16v14H4z M4 16l4.5-4.5 4 4 3-3L20 17 M9 8.2a1 1 0 1 1 0 2a1 1 0 0 1 0-2z",
  microphone: "M12 3.5a2.8 2.8 0 0 1 2.8 2.8v5a2.8 2.8 0 0 1-5.6 0v-5A2.8 2.8 0 0 1 12 3.5z M6 11a6 6 0 0 0 12 0 "
    + "M12 17v3.5 M9 20.5h6",
  send: "M4 4.5l16.5 7.5L4 19.5l2.5-7.5z M6.5 12H13",
  expand: "M14 4h6v6 M20 4l-6.5 6.5 M10 20H4v-6 M4 20l6.5-6.5",
  shrink: "M20 10h-6V4 M14 10l6.5-6.5 M4 14h6v6 M10 14l-6.5 6.5",
  grip: `!${[6, 12, 18].map((y) => dot(9, y) + dot(15, y)).join("")}`,
  key: "M8 11a4 4 0 1 1 0 8a4 4 0 0 1 0-8z M11 12.5L19.5 4 M16 7.5l3 3",
  clock: "M12 3.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17z M12 7.5V12l3 2",
  info: "M12 3.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17z M12 11v5.5 M12 7.6v.1",
  user: "M12 4a4 4 0 1 1 0 8a4 4 0 0 1 0-8z M4.5 20.5a7.5 7.5 0 0 1 15 0",
  robot: "M5 9h14v10H5z M12 5v4 M9.5 13v1.5 M14.5 13v1.5 M12 3.6v.1 M2.5 13v2.5 M21.5 13v2.5",
  speaker: "M4 9.5h3.5L12 5v14l-4.5-4.5H4z M15.5 9a4.5 4.5 0 0 1 0 6 M18 6.5a8 8 0 0 1 0 11",
  attach: "M19.5 11.5l-7.6 7.6a4.7 4.7 0 0 1-6.7-6.7l8-8a3.1 3.1 0 0 1 4.5 4.5l-8 8a1.6 1.6 0 0 1-2.2-2.2l7.2-7.2",
  more: `!${dot(5.5, 12)}${dot(12, 12)}${dot(18.5, 12)}`,
  keyboard: "M3 7h18v11H3z M7 11v.1 M10.3 11v.1 M13.7 11v.1 M17 11v.1 M8 14.5h8",
  peers: "M12 3.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17z M3.5 12h17 M12 3.5c5 5 5 12 0 17 M12 3.5c-5 5-5 12 0 17",
};

/** The names of all icons, for the type checker's and the gallery's sake. */
export const ICONS = Object.keys(STROKES);

/**
 * An icon beside words or inside a named button: it says nothing by itself, so it is hidden from screen readers.
 *
 * @param {{ name: string, class?: string }} props
 */
export function Icon({ name, class: more }) {
  const shape = STROKES[name] ?? "";
  return html`
    <svg class=${`icon ${more ?? ""}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path class=${shape.startsWith("!") ? "filled" : undefined} d=${shape.replace("!", "")} />
    </svg>
  `;
}
