/**
 * @file Terminal output as lines of styled text. PURE.
 *
 * A reader takes text in pieces as they come and keeps what is open between them: the line that has no end yet, the
 * style
 * in force, a control sequence cut in the middle. A carriage return goes back to the beginning of the line, so that
 * progress
 * bars overwrite themselves. Colours and such become styles; every other control character and sequence is dropped, and
 * there is no HTML anywhere: what a program prints can change nothing but text. Hidden text (SGR 8) is shown.
 */

import { plain } from "./bidi.js";

/** @typedef {number | string} Colour  0 to 255: of the terminal's palette; "#rrggbb": any. */

/**
 * @typedef {object} Style
 * @property {Colour | null} fg  null: the usual one
 * @property {Colour | null} bg
 * @property {boolean} bold
 * @property {boolean} dim
 * @property {boolean} italic
 * @property {boolean} underline
 * @property {boolean} inverse
 * @property {boolean} strike
 */

/** @typedef {{text: string, style: Style}} Run */

/**
 * @typedef {object} Line
 * @property {number} id  rises by one a line
 * @property {string} text  without styles
 * @property {Run[] | null} runs  null: all in the usual style
 * @property {boolean} notice  not printed by the program: says what is missing
 */

/** @type {Style} */
export const PLAIN = Object.freeze({
  fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false,
});

/** Longer lines are broken: one without end must not grow for ever. */
export const LONGEST_LINE = 8192;

const LONGEST_SEQUENCE = 4096;
const STYLES_KEPT = 1024;
const TAB = 8;

const NOTICE = /^— \d+ bytes dropped —$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;
const CSI = /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~])?/y;
const STRING = /(?:\u001b[P\]X^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c\n]*(\u0007|\u009c|\u001b\\)?/y;
const SHORT = /\u001b[ -/]*([0-~])?/y;
const UNUSUAL = /[^\u0020-\u007e]/;

/** What a piece of text has added: lines that are complete, and the one that is still open, if it has anything. */
/** @typedef {{lines: Line[], open: Line | null}} Reading */

export class AnsiReader {
  #style = PLAIN;
  /** @type {Map<string, Style>} */
  #styles = new Map();
  #carry = "";
  /** @type {Run[]} */
  #runs = [];
  #length = 0;
  #cursor = 0;
  #nextId = 0;
  /** @type {Line[]} */
  #done = [];

  /** Reads another piece. @param {string} chunk @returns {Reading} */
  read(chunk) {
    const text = this.#carry + chunk;
    this.#carry = "";
    this.#done = [];
    let at = 0;
    while (at < text.length) {
      CONTROL.lastIndex = at;
      const found = CONTROL.exec(text);
      const end = found ? found.index : text.length;
      if (end > at) this.#write(text.slice(at, end));
      at = found ? this.#control(text, end) : end;
    }
    return { lines: this.#done, open: this.#length ? this.#line(this.#nextId) : null };
  }

  /** Carries out what stands at *at* and returns where it ends. @param {string} text @param {number} at */
  #control(text, at) {
    switch (text[at]) {
      case "\n":
        this.#finish();
        return at + 1;
      case "\r":
        this.#cursor = 0;
        return at + 1;
      case "\b":
        this.#cursor = Math.max(0, this.#cursor - 1);
        return at + 1;
      case "\t":
        this.#write(" ".repeat(TAB - (this.#cursor % TAB)));
        return at + 1;
      case "\u001b":
      case "\u009b":
      case "\u0090":
      case "\u0098":
      case "\u009d":
      case "\u009e":
      case "\u009f":
        return this.#sequence(text, at);
      default:
        return at + 1;
    }
  }

  /** @param {string} text @param {number} at */
  #sequence(text, at) {
    for (const pattern of [CSI, STRING, SHORT]) {
      pattern.lastIndex = at;
      const found = pattern.exec(text);
      if (!found) continue;
      const end = at + found[0].length;
      const last = found[found.length - 1];
      if (last !== undefined) {
        if (pattern === CSI) this.#csi(found[1] ?? "", last);
        return end;
      }
      // Without its end: the rest comes with the next piece, or it is broken and what follows is text again.
      const isCut = end === text.length || (end === text.length - 1 && text[end] === "\u001b");
      if (!isCut || text.length - at > LONGEST_SEQUENCE) return end;
      this.#carry = text.slice(at);
      return text.length;
    }
    return at + 1;
  }

  /** @param {string} parameters @param {string} kind */
  #csi(parameters, kind) {
    if (kind === "m" && /^[0-9;:]*$/.test(parameters)) this.#style = this.#kept(sgr(this.#style, parameters));
    if (kind === "K") this.#erase(parameters);
  }

  /** Erases in the line, as progress bars do. @param {string} which */
  #erase(which) {
    if (which === "2" || (which === "1" && this.#cursor >= this.#length)) this.#keep([]);
    else if (which === "" || which === "0") this.#keep(sliced(this.#runs, 0, this.#cursor));
    else if (which === "1") {
      this.#keep([{ text: " ".repeat(this.#cursor), style: PLAIN }, ...sliced(this.#runs, this.#cursor, Infinity)]);
    }
  }

  /** @param {Run[]} runs */
  #keep(runs) {
    this.#runs = [];
    for (const run of runs) add(this.#runs, run);
    this.#length = runs.reduce((sum, run) => sum + run.text.length, 0);
  }

  /** @param {string} text */
  #write(text) {
    let rest = UNUSUAL.test(text) ? plain(text) : text;
    while (this.#cursor + rest.length > LONGEST_LINE) {
      const fits = LONGEST_LINE - this.#cursor;
      if (fits > 0) this.#put(rest.slice(0, fits));
      rest = rest.slice(Math.max(0, fits));
      this.#finish();
    }
    if (rest) this.#put(rest);
  }

  /** @param {string} text */
  #put(text) {
    if (this.#cursor > this.#length) {
      this.#runs.push({ text: " ".repeat(this.#cursor - this.#length), style: PLAIN });
      this.#length = this.#cursor;
    }
    const end = this.#cursor + text.length;
    if (this.#cursor < this.#length) {
      const before = sliced(this.#runs, 0, this.#cursor);
      this.#keep([...before, { text, style: this.#style }, ...sliced(this.#runs, end, Infinity)]);
    } else {
      add(this.#runs, { text, style: this.#style });
      this.#length = end;
    }
    this.#cursor = end;
  }

  #finish() {
    this.#done.push(this.#line(this.#nextId));
    this.#nextId += 1;
    this.#runs = [];
    this.#length = this.#cursor = 0;
  }

  /** @param {number} id @returns {Line} */
  #line(id) {
    const runs = this.#runs;
    const text = runs.length === 1 ? /** @type {Run} */ (runs[0]).text : runs.map((run) => run.text).join("");
    const isPlain = runs.every((run) => run.style === PLAIN);
    return { id, text, runs: isPlain ? null : [...runs], notice: isPlain && NOTICE.test(text) };
  }

  /** Returns the one object that stands for a style, so that equal ones are the same. @param {Style} style */
  #kept(style) {
    const key = JSON.stringify(style);
    if (key === PLAIN_KEY) return PLAIN;
    const known = this.#styles.get(key);
    if (known) return known;
    if (this.#styles.size >= STYLES_KEPT) this.#styles.clear();
    this.#styles.set(key, style);
    return style;
  }
}

const PLAIN_KEY = JSON.stringify(PLAIN);

/** Adds *run*, as a part of the last one if it looks the same. @param {Run[]} runs @param {Run} run */
function add(runs, run) {
  const last = runs.at(-1);
  if (last && last.style === run.style) runs[runs.length - 1] = { ...last, text: last.text + run.text };
  else runs.push(run);
}

/** @param {Run[]} runs @param {number} from @param {number} to @returns {Run[]} */
function sliced(runs, from, to) {
  const kept = [];
  let start = 0;
  for (const run of runs) {
    const text = run.text.slice(Math.max(0, from - start), Math.max(0, to - start));
    if (text) kept.push({ text, style: run.style });
    start += run.text.length;
  }
  return kept;
}

/**
 * Returns *style* as "Select Graphic Rendition" changes it. Source: ECMA-48, 8.3.117, and ITU-T T.416 for colours.
 * @param {Style} style @param {string} parameters @returns {Style}
 */
export function sgr(style, parameters) {
  const next = { ...style };
  const parts = parameters.split(";");
  for (let at = 0; at < parts.length; at += 1) {
    const [code, ...below] = (parts[at] ?? "").split(":").map(Number);
    if (code === 38 || code === 48 || code === 58) {
      const own = below.length > 0;
      const values = own ? below : parts.slice(at + 1, at + 5).map(Number);
      const { colour, used } = extended(values, own);
      if (!own) at += used;
      if (colour !== null && code === 38) next.fg = colour;
      if (colour !== null && code === 48) next.bg = colour;
    } else applied(next, code ?? 0, below[0]);
  }
  return next;
}

/** @param {Style} next @param {number} code @param {number | undefined} below */
function applied(next, code, below) {
  if (code === 0) Object.assign(next, PLAIN);
  else if (code === 1) next.bold = true;
  else if (code === 2) next.dim = true;
  else if (code === 3) next.italic = true;
  else if (code === 4) next.underline = below !== 0;
  else if (code === 7) next.inverse = true;
  else if (code === 9) next.strike = true;
  else if (code === 21) next.underline = true;
  else if (code === 22) next.bold = next.dim = false;
  else if (code === 23) next.italic = false;
  else if (code === 24) next.underline = false;
  else if (code === 27) next.inverse = false;
  else if (code === 29) next.strike = false;
  else if (code >= 30 && code <= 37) next.fg = code - 30;
  else if (code === 39) next.fg = null;
  else if (code >= 40 && code <= 47) next.bg = code - 40;
  else if (code === 49) next.bg = null;
  else if (code >= 90 && code <= 97) next.fg = code - 82;
  else if (code >= 100 && code <= 107) next.bg = code - 92;
}

/**
 * Returns the colour after 38 or 48, and how many of the values it took.
 * @param {number[]} values @param {boolean} own  written with colons, where a colour space may stand before the three
 * @returns {{colour: Colour | null, used: number}}
 */
function extended(values, own) {
  if (values[0] === 5) {
    const index = values[1] ?? -1;
    return { colour: index >= 0 && index <= 255 ? index : null, used: 2 };
  }
  if (values[0] === 2) {
    const three = own && values.length > 4 ? values.slice(2, 5) : values.slice(1, 4);
    const valid = three.length === 3 && three.every((value) => value >= 0 && value <= 255);
    const digits = three.map((value) => value.toString(16).padStart(2, "0")).join("");
    return { colour: valid ? `#${digits}` : null, used: 4 };
  }
  return { colour: null, used: 1 };
}
