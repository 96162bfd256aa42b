/**
 * Markdown as elements: tables and lists, code in colours, formulas.
 *
 * The one place of the page where text becomes HTML. What a model says is hostile until shown otherwise, so there are
 * three lines: lib/markdown-html.js lets almost no HTML of the text through, DOMPurify keeps only the elements and
 * attributes named here, and the page's Content-Security-Policy runs and fetches nothing from elsewhere.
 *
 * The reader, the highlighter and the typesetter are loaded when the first text needs them.
 */

import { effect, html, useLayoutEffect, useMemo, useRef } from "../html.js";
import { Blocks } from "../lib/markdown-blocks.js";
import { htmlAsText, linkHtml, pictureHtml } from "../lib/markdown-html.js";
import { mathExtensions } from "../lib/markdown-math.js";
import { isDue, keptParts, partsOf, without } from "../lib/markdown-open.js";
import { plain } from "../lib/bidi.js";
import { copyText } from "./copy.js";
import { later } from "./markdown.js";

/** @typedef {import("../vendor/marked.js").Token} Token */
/**
 * @typedef {object} Engine
 * @property {(text: string) => Token[]} lexer
 * @property {(tokens: Token[]) => string} parser
 * @property {(html: string) => DocumentFragment} clean
 * @property {(html: string) => DocumentFragment} cleanMath
 * @property {(html: string) => DocumentFragment} cleanCode
 */
/**
 * @typedef {object} Wardrobe - what a block is dressed with
 * @property {Engine} made
 * @property {boolean} streaming
 * @property {Map<string, Element>} formulas those that have been typeset
 * @property {Set<() => unknown>} missed what was asked for and not there yet
 * @property {Framed[]} [plain] takes the code, which is then left as it is
 */
/** @typedef {{ code: Element, language: string, text: string }} Framed - where code is shown, and what is copied of it */
/** @typedef {typeof import("../vendor/highlight.js").default} Highlighter */
/** @typedef {typeof import("../vendor/katex.js").default} Typesetter */

const TAGS = (
  "a b blockquote br code del details dd dl dt em h1 h2 h3 h4 h5 h6 hr i img input kbd li mark ol p pre s small " +
  "span strong sub summary sup table tbody td th thead tr u ul"
).split(" ");
const ATTRIBUTES = ["href", "title", "src", "alt", "class", "start", "align", "type", "checked", "disabled"];
const CLASSES = /^(?:language-[\w+#.-]{1,40}|math-inline|math-display|dead-link|hljs-[\w-]+)$/;

/** Colouring longer code while it comes would take too long; what comes after is coloured when all is complete. */
const MOST_WHILE_STREAMING = 6000;
/** Beyond this, code is never coloured. */
const MOST_COLOURED = 200_000;

const engine = later(async () => {
  const [{ Marked }, { default: purify }] = await Promise.all([
    import("../vendor/marked.js"),
    import("../vendor/purify.js"),
  ]);
  const origin = location.origin;
  const marked = new Marked({ gfm: true, breaks: true });
  marked.use({
    extensions: /** @type {any} */ (mathExtensions),
    renderer: {
      html: (token) => htmlAsText(token.text, token.type === "html" && "block" in token && Boolean(token.block)),
      link(token) {
        return linkHtml(token.href, this.parser.parseInline(token.tokens), origin);
      },
      image: (token) => pictureHtml(token.href, token.text, origin),
    },
  });
  // One sanitiser for each kind of HTML: to be told other rules takes them longer than their work.
  const common = { RETURN_DOM_FRAGMENT: /** @type {true} */ (true), ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };
  /** @param {import("../vendor/purify.js").Config} rules */
  const sanitiser = (rules) => {
    const own = purify(window);
    own.setConfig({ ...common, ...rules });
    own.addHook("uponSanitizeAttribute", (_element, attribute) => {
      if (attribute.attrName !== "class") return;
      attribute.attrValue = attribute.attrValue
        .split(/\s+/)
        .filter((name) => CLASSES.test(name))
        .join(" ");
      attribute.keepAttr = attribute.attrValue !== "";
    });
    return (/** @type {string} */ text) =>
      /** @type {DocumentFragment} */ (/** @type {unknown} */ (own.sanitize(text)));
  };
  return /** @type {Engine} */ ({
    lexer: (text) => marked.lexer(text),
    parser: (tokens) => marked.parser(tokens),
    clean: sanitiser({ ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES }),
    cleanCode: sanitiser({ ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] }),
    cleanMath: sanitiser({
      USE_PROFILES: { mathMl: true },
      ADD_TAGS: ["semantics"],
      FORBID_ATTR: ["style", "class", "href", "mathbackground"],
    }),
  });
});

const highlighter = later(async () => /** @type {Highlighter} */ ((await import("../vendor/highlight.js")).default));
const typesetter = later(async () => /** @type {Typesetter} */ ((await import("../vendor/katex.js")).default));

/**
 * @param {{ text: string, streaming?: boolean }} props
 *   streaming: more will be appended, and only the last block is made anew
 */
export function Drawn({ text, streaming = false }) {
  const made = engine();
  const blocks = useMemo(() => made && new Blocks(made.lexer), [made]);
  // What is settled is handed to Preact as the same node, which it need not look at again.
  const settled = useMemo(() => new WeakMap(), [made, streaming]);
  if (!made || !blocks)
    return html`
      <div class="markdown plain" dir="auto">${text}</div>
    `;
  const tokens = blocks.read(text, streaming);
  /**
   * @param {Token} token
   * @param {number} index
   */
  const block = (token, index) => {
    const isLast = streaming && index === tokens.length - 1;
    const known = isLast ? undefined : settled.get(token);
    if (known) return known;
    const node = html`
      <${Block} key=${index} engine=${made} token=${token} isWhole=${!streaming} streaming=${isLast} />
    `;
    if (!isLast) settled.set(token, node);
    return node;
  };
  return html`
    <div class="markdown">${tokens.map(block)}</div>
  `;
}

/**
 * One block, made anew only when its text has changed.
 *
 * @param {{ engine: Engine, token: Token, isWhole: boolean, streaming: boolean }} props
 */
function Block({ engine: made, token, isWhole, streaming }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const open = useRef(/** @type {OpenBlock | null} */ (null));
  // Once the text is whole, a link may have got its address by a line far below: the HTML says whether anything has
  // changed.
  const text = useMemo(() => (streaming ? token.raw : made.parser([token])), [made, token.raw, isWhole, streaming]);
  useLayoutEffect(
    // Runs again when the highlighter or the typesetter has arrived, if this block has asked for it.
    () =>
      effect(() => {
        if (!place.current) return;
        if (streaming) {
          open.current ??= new OpenBlock(place.current, made);
          open.current.show(token);
        } else {
          const formulas = open.current?.formulas ?? new Map();
          open.current = null;
          place.current.replaceChildren(dressed(text, { made, streaming, formulas, missed: new Set() }));
        }
      }),
    [text, streaming],
  );
  return html`
    <div class="markdown-block" dir="auto" ref=${place}></div>
  `;
}

/** The block that is being written: what is new of it is made, what was there before stays the same elements. */
class OpenBlock {
  /** @type {Map<string, Element>} */
  formulas = new Map();

  #place;
  #made;
  /** @type {Set<() => unknown>} */
  #missed = new Set();
  /** @type {import("../lib/markdown-open.js").Open | null} */
  #open = null;
  /** @type {OpenCode | null} */
  #code = null;

  /**
   * @param {Element} place
   * @param {Engine} made
   */
  constructor(place, made) {
    this.#place = place;
    this.#made = made;
  }

  /** @param {Token} token */
  show(token) {
    // All are asked: whoever asks is told when they arrive.
    const arrived = [...this.#missed].filter((load) => load());
    if (arrived.length) {
      this.#missed.clear();
      this.#open = this.#code = null;
    }
    const before = this.#open;
    this.#open = partsOf(token);
    if (token.type === "code" && this.#code?.grow(token)) return;
    this.#code = null;
    const kept = keptParts(before, this.#open);
    const list = kept > 0 && this.#place.querySelector("ul, ol, tbody");
    if (list) this.#goOn(list, without(token, kept), kept);
    else this.#anew(token);
  }

  /** @param {Token} token */
  #anew(token) {
    /** @type {Wardrobe} */
    const wardrobe = this.#wardrobe();
    if (token.type === "code") wardrobe.plain = [];
    this.#place.replaceChildren(dressed(this.#made.parser([token]), wardrobe));
    const [framed] = wardrobe.plain ?? [];
    if (!framed) return;
    this.#code = new OpenCode(framed, token, wardrobe);
    this.#code.grow(token);
  }

  /**
   * Replaces all parts of *list* but the first *kept*.
   *
   * @param {Element} list
   * @param {Token} rest
   * @param {number} kept
   */
  #goOn(list, rest, kept) {
    for (let last = list.children[kept]; last && list.lastChild !== last; ) list.lastChild?.remove();
    list.children[kept]?.remove();
    const more = dressed(this.#made.parser([rest]), this.#wardrobe()).querySelector("ul, ol, tbody");
    // The white space in front of the first part is there already.
    while (more?.firstChild && more.firstChild !== more.firstElementChild) more.firstChild.remove();
    list.append(...(more?.childNodes ?? []));
  }

  /** @returns {Wardrobe} */
  #wardrobe() {
    return { made: this.#made, streaming: true, formulas: this.formulas, missed: this.#missed };
  }
}

/** Code that is being written: its whole lines are coloured now and then, what has come since is plain. */
class OpenCode {
  #framed;
  #wardrobe;
  #lang;
  /** How much of the text is in colours, and how much is in nodes that stay. */
  #coloured = 0;
  #settled = 0;
  #rest = new Text();

  /**
   * @param {Framed} framed
   * @param {Token} token
   * @param {Wardrobe} wardrobe
   */
  constructor(framed, token, wardrobe) {
    this.#framed = framed;
    this.#lang = /** @type {any} */ (token).lang;
    this.#wardrobe = wardrobe;
    framed.text = "";
    framed.code.replaceChildren(this.#rest);
  }

  /**
   * Shows more of it.
   *
   * @param {Token} token
   * @returns {boolean} whether it is more of the same
   */
  grow(token) {
    if (token.type !== "code" || token.lang !== this.#lang) return false;
    // As marked and the browser's reader have it.
    const text = `${token.text.replace(/\n$/, "")}\n`.replaceAll("\0", "\uFFFD");
    const { code, language, text: before } = this.#framed;
    if (!text.startsWith(before.slice(0, this.#settled))) return false;
    this.#framed.text = text;
    const complete = token.text.replace(/\n$/, "").lastIndexOf("\n") + 1;
    if (complete < MOST_WHILE_STREAMING && isDue(this.#coloured, complete)) {
      const coloured = colours(text.slice(0, complete), language, this.#wardrobe);
      if (coloured) {
        unhide(coloured);
        code.replaceChildren(coloured, this.#rest);
        this.#coloured = this.#settled = complete;
      }
    }
    if (complete > this.#settled) {
      this.#rest.data = shown(text.slice(this.#settled, complete));
      this.#settled = complete;
      this.#rest = new Text();
      code.append(this.#rest);
    }
    this.#rest.data = shown(text.slice(this.#settled));
    return true;
  }
}

/**
 * Returns *text*, which is HTML, as what is shown.
 *
 * @param {string} text
 * @param {Wardrobe} wardrobe
 */
function dressed(text, wardrobe) {
  const content = wardrobe.made.clean(text);
  for (const link of content.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const formula of content.querySelectorAll("code.math-inline, code.math-display")) typeset(formula, wardrobe);
  for (const code of content.querySelectorAll("code:not(pre > code, .math-inline, .math-display)")) unhide(code);
  for (const pre of content.querySelectorAll("pre")) frame(pre, wardrobe);
  for (const table of content.querySelectorAll("table")) {
    const scroller = document.createElement("div");
    scroller.className = "markdown-table";
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.ariaLabel = "Table";
    table.replaceWith(scroller);
    scroller.append(table);
  }
  return content;
}

/**
 * @param {Element} formula
 * @param {Wardrobe} wardrobe
 */
function typeset(formula, { made, formulas, missed }) {
  const katex = typesetter();
  if (!katex) {
    missed.add(typesetter);
    return;
  }
  const displayMode = formula.classList.contains("math-display");
  const key = `${displayMode} ${formula.textContent}`;
  const known = formulas.get(key);
  if (known) {
    formula.replaceWith(known.cloneNode(true));
    return;
  }
  try {
    const options = {
      displayMode,
      output: /** @type {const} */ ("mathml"),
      throwOnError: true,
      strict: /** @type {const} */ ("ignore"),
      maxSize: 20,
      maxExpand: 500,
    };
    const text = katex
      .renderToString(formula.textContent ?? "", options)
      // The TeX, which would be shown as text.
      .replace(/<annotation[^>]*>[^<]*<\/annotation>/g, "")
      // Our policy refuses styles, and says so in the console.
      .replace(/ style="[^"]*"/g, "");
    const result = document.createElement(displayMode ? "div" : "span");
    result.className = displayMode ? "markdown-formula" : "markdown-math";
    result.append(made.cleanMath(text));
    formulas.set(key, result);
    // A copy stays here: what is shown moves on with its block.
    formula.replaceWith(result.cloneNode(true));
  } catch (error) {
    // No TeX, or more than the typesetter knows: it stays as it was written.
    /** @type {HTMLElement} */ (formula).title = error instanceof Error ? error.message : "";
  }
}

/**
 * Puts code into its frame, with its language, a button to copy it, and colours.
 *
 * @param {HTMLPreElement} pre
 * @param {Wardrobe} wardrobe
 */
function frame(pre, wardrobe) {
  const code = pre.querySelector("code") ?? pre;
  const language = /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? "";
  /** @type {Framed} */
  const framed = { code, language, text: code.textContent ?? "" };
  const box = document.createElement("figure");
  box.className = "markdown-code";
  const head = document.createElement("figcaption");
  const name = document.createElement("span");
  name.textContent = language || "text";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "markdown-copy";
  copy.textContent = "Copy";
  copy.onclick = async () => {
    copy.textContent = (await copyText(framed.text)) ? "Copied" : "Could not copy";
    setTimeout(() => (copy.textContent = "Copy"), 1600);
  };
  head.append(name, copy);
  pre.replaceWith(box);
  pre.tabIndex = 0;
  box.append(head, pre);
  if (wardrobe.plain) {
    wardrobe.plain.push(framed);
    return;
  }
  const most = wardrobe.streaming ? MOST_WHILE_STREAMING : MOST_COLOURED;
  const coloured = framed.text.length < most ? colours(framed.text, language, wardrobe) : null;
  if (coloured) code.replaceChildren(coloured);
  unhide(code);
}

/**
 * Returns code in colours; null if it has none.
 *
 * @param {string} text
 * @param {string} language
 * @param {Wardrobe} wardrobe
 */
function colours(text, language, { made, missed }) {
  if (!language) return null;
  const hljs = highlighter();
  if (!hljs) missed.add(highlighter);
  return hljs?.getLanguage(language)
    ? made.cleanCode(hljs.highlight(text, { language, ignoreIllegals: true }).value)
    : null;
}

/**
 * Shows what hides in code: characters that turn the direction of what follows make it read other than it runs.
 *
 * @param {Node} code
 */
function unhide(code) {
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = /** @type {Text} */ (texts.currentNode);
    const text = shown(node.data);
    if (text !== node.data) node.data = text;
  }
}

/** @param {string} text of code */
function shown(text) {
  return text
    .split(/(\s+)/)
    .map((part) => (/^[ \t\n]*$/.test(part) ? part : plain(part)))
    .join("");
}
