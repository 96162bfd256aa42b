// Works out every colour of styles/tokens.css, in each palette and mode, and the contrast of the pairs that the page uses.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../../../ui/static/styles/tokens.css", import.meta.url), "utf8");
const TEXT = 4.5;
const SHAPE = 3;

/** The custom properties of a selector's block. */
function block(selector) {
  const start = css.indexOf(`${selector} {`);
  assert.notEqual(start, -1, `${selector} has a block`);
  const body = css.slice(css.indexOf("{", start) + 1, css.indexOf("}", start)).replace(/\/\*[^]*?\*\//g, "");
  return Object.fromEntries([...body.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value.trim()]));
}

/** The arguments between the brackets that begin at *open*, split at the commas of their level, and where they end. */
function args(text, open) {
  const parts = [""];
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === "(") depth += 1;
    if (letter === ")") depth -= 1;
    if (depth === 0) return { parts: parts.map((part) => part.trim()), end: at + 1 };
    if (letter === "," && depth === 1) parts.push("");
    else if (at > open) parts[parts.length - 1] += letter;
  }
  throw new Error(`unbalanced: ${text}`);
}

/** *text* with every call of the function *name* replaced by what *value* makes of its arguments. */
function replaced(text, name, value) {
  const at = text.indexOf(`${name}(`);
  if (at === -1) return text;
  const { parts, end } = args(text, at + name.length);
  return replaced(text.slice(0, at) + value(parts) + text.slice(end), name, value);
}

/** The plain colour of *token*: its variables, modes and sums worked out. */
function plainColour(tokens, mode, token) {
  let text = `var(${token})`;
  while (text.includes("var(")) text = replaced(text, "var", ([name]) => tokens[name] ?? assert.fail(`${name} is not set`));
  text = replaced(text, "light-dark", ([light, dark]) => (mode === "light" ? light : dark));
  return replaced(text, "calc", ([product]) => String(product.split("*").map(Number).reduce((a, b) => a * b)));
}

/** Linear red, green, blue in 0 to 1, cut to what a screen of sRGB can show. */
function linear(colour) {
  const hex = /^#([0-9a-f]{6})$/.exec(colour);
  if (hex) {
    return [0, 2, 4].map((at) => {
      const part = parseInt(hex[1].slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
  }
  const numbers = /^oklch\(([\d.]+) ([\d.e-]+) ([\d.]+)\)$/.exec(colour);
  assert.ok(numbers, `a colour that can be worked out: ${colour}`);
  const [lightness, chroma, hue] = numbers.slice(1).map(Number);
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  // The published matrices of OKLab.
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((part) => Math.min(1, Math.max(0, part)));
}

const encoded = (part) => (part <= 0.0031308 ? part * 12.92 : 1.055 * part ** (1 / 2.4) - 0.055);
const decoded = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);

/** *share* of one colour laid over another, as a browser lays it. */
const laid = (over, under, share) =>
  over.map((part, index) => decoded(encoded(part) * share + encoded(under[index]) * (1 - share)));

const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

const SURFACES = ["--surface", "--surface-raised", "--surface-sunken"];
const TONES = ["--good", "--busy", "--bad", "--info"];
const CHARTS = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `--chart-${number}`);

/** [foreground, background, least contrast] */
const PAIRS = [
  ...["--ink", "--ink-soft", "--ink-faint", "--accent", ...TONES].flatMap((ink) => SURFACES.map((on) => [ink, on, TEXT])),
  ...["--ink", "--ink-soft", "--ink-faint", "--accent"].map((ink) => [ink, "--accent-soft", TEXT]),
  ...TONES.flatMap((tone) => [tone, "--ink", "--ink-soft"].map((ink) => [ink, `${tone}-soft`, TEXT])),
  ["--accent-ink", "--accent", TEXT],
  ...SURFACES.map((on) => ["--line-strong", on, SHAPE]),
  ...CHARTS.flatMap((line) => ["--surface", "--surface-raised"].map((on) => [line, on, SHAPE])),
];

const PALETTES = ["default", ...[...css.matchAll(/data-palette="(\w+)"/g)].map(([, name]) => name)];

test("the palettes are those that the settings offer", () => {
  const source = readFileSync(new URL("../../../ui/static/state/appearance.js", import.meta.url), "utf8");
  const offered = [.../PALETTES = [^[]*\[([^\]]+)\]/.exec(source)[1].matchAll(/"(\w+)"/g)].map(([, name]) => name);

  assert.deepEqual(PALETTES, offered);
});

test("black on white is 21", () => {
  assert.ok(Math.abs(contrast(linear("oklch(0 0 0)"), linear("#ffffff")) - 21) < 0.01);
});

for (const palette of PALETTES) {
  const own = palette === "default" ? {} : block(`:root[data-palette="${palette}"]`);
  const tokens = { ...block(":root"), ...own };
  for (const mode of ["light", "dark"]) {
    const colour = (token) => linear(plainColour(tokens, mode, token));
    test(`${palette}, ${mode}: all text and all shapes are seen`, () => {
      const poor = PAIRS.map(([ink, on, least]) => ({ ink, on, least, is: contrast(colour(ink), colour(on)) }))
        .filter(({ is, least }) => is < least)
        .map(({ ink, on, least, is }) => `${ink} on ${on}: ${is.toFixed(2)} < ${least}`);

      assert.deepEqual(poor, []);
    });

    test(`${palette}, ${mode}: soft text is read on a neutral tag and under the pointer`, () => {
      for (const surface of SURFACES) {
        const tag = laid(colour("--ink"), colour(surface), 0.08);

        assert.ok(contrast(colour("--ink-soft"), tag) >= TEXT, `on ${surface}`);
      }
    });
  }
}
