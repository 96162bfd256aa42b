/**
 * @file The colours of styles of a terminal, readable on a light page and on a dark one. PURE.
 *
 * What programs ask for is kept as far as it can be read: a colour too near to what is behind it is moved towards
 * black or
 * white until it has the contrast that WCAG asks for (AA, 4.5).
 */

/** @typedef {import("./ansi.js").Colour} Colour */
/** @typedef {import("./ansi.js").Style} Style */
/** @typedef {[red: number, green: number, blue: number]} Rgb */
/** @typedef {{surface: Rgb, ink: Rgb, base: Rgb[]}} Palette */

export const CONTRAST = 4.5;

const STEPS = [0, 95, 135, 175, 215, 255];

/** `surface` is the darkest that the page has behind a log in its light mode. @type {Palette} */
export const LIGHT = {
  surface: [236, 239, 243],
  ink: [27, 33, 41],
  base: [
    "#1b2129", "#b3261e", "#1c7a36", "#8a5a00", "#1a5fb4", "#8b3fb0", "#0b7285", "#5b6570",
    "#4a535d", "#c72d2d", "#277c38", "#955f00", "#2a64c8", "#9b43b1", "#10758b", "#3d454e",
  ].map(rgb),
};

/** `surface` is the lightest that the page has behind a log in its dark mode. @type {Palette} */
export const DARK = {
  surface: [32, 37, 46],
  ink: [220, 226, 234],
  base: [
    "#8b95a1", "#ff8a80", "#7ddc8f", "#e8c468", "#7db7ff", "#d9a0f0", "#6fd6e5", "#d3d9e0",
    "#a3adb8", "#ffa79f", "#a2ecae", "#f4da91", "#a6cdff", "#e8c1f7", "#9be6f1", "#f5f7fa",
  ].map(rgb),
};

/** @param {string} hex "#rrggbb" @returns {Rgb} */
export function rgb(hex) {
  const number = Number.parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** @param {Colour} colour @param {Palette} palette @returns {Rgb} */
function resolved(colour, palette) {
  if (typeof colour === "string") return rgb(colour);
  if (colour < 16) return palette.base[colour] ?? palette.ink;
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return [grey, grey, grey];
  }
  const place = colour - 16;
  const step = (/** @type {number} */ index) => STEPS[index] ?? 0;
  return [step(Math.floor(place / 36)), step(Math.floor(place / 6) % 6), step(place % 6)];
}

/** Relative luminance. Source: WCAG 2.2. @param {Rgb} colour */
export function luminance(colour) {
  const [red, green, blue] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
}

/** @param {Rgb} one @param {Rgb} other  1 to 21 */
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

/** @param {Rgb} from @param {Rgb} to @param {number} share @returns {Rgb} */
function mixed(from, to, share) {
  const part = (/** @type {0 | 1 | 2} */ index) => Math.round(from[index] + (to[index] - from[index]) * share);
  return [part(0), part(1), part(2)];
}

/** @param {Rgb} behind @returns {Rgb} black or white */
function furthest(behind) {
  return contrast([255, 255, 255], behind) > contrast([0, 0, 0], behind) ? [255, 255, 255] : [0, 0, 0];
}

/**
 * Returns *ink*, moved as far from *behind* as it takes to read it.
 * @param {Rgb} ink
 * @param {Rgb} behind
 * @returns {Rgb}
 */
export function readable(ink, behind) {
  if (contrast(ink, behind) >= CONTRAST) return ink;
  const goal = furthest(behind);
  let share = 0;
  while (share < 1) {
    share = Math.min(1, share + 0.05);
    const tried = mixed(ink, goal, share);
    if (contrast(tried, behind) >= CONTRAST) return tried;
  }
  return goal;
}

/** @param {Style} style @param {Palette} palette @returns {{ink: Rgb, behind: Rgb | null}} */
export function seen(style, palette) {
  let ink = style.fg === null ? palette.ink : resolved(style.fg, palette);
  let behind = style.bg === null ? null : resolved(style.bg, palette);
  if (style.inverse) [ink, behind] = [behind ?? palette.surface, ink];
  const below = behind ?? palette.surface;
  // Nobody has asked for this ink, so it need not be kept.
  if (style.fg === null && behind && contrast(ink, below) < CONTRAST) ink = furthest(below);
  if (style.dim) ink = mixed(ink, below, 0.35);
  return { ink: readable(ink, below), behind };
}

/** @param {Rgb} colour */
const css = (colour) => `rgb(${colour.join(" ")})`;

/** @param {Rgb} light @param {Rgb} dark */
const both = (light, dark) => `light-dark(${css(light)}, ${css(dark)})`;

/**
 * Returns the properties of an element with this style; colours follow the page's mode by themselves.
 * @param {Style} style @returns {Record<string, string>}
 */
export function properties(style) {
  /** @type {Record<string, string>} */
  const found = {};
  const light = seen(style, LIGHT);
  const dark = seen(style, DARK);
  if (style.fg !== null || style.bg !== null || style.inverse || style.dim) found.color = both(light.ink, dark.ink);
  if (light.behind && dark.behind) found.backgroundColor = both(light.behind, dark.behind);
  if (style.bold) found.fontWeight = "700";
  if (style.italic) found.fontStyle = "italic";
  const lines = [style.underline ? "underline" : "", style.strike ? "line-through" : ""].filter(Boolean);
  if (lines.length) found.textDecorationLine = lines.join(" ");
  return found;
}
