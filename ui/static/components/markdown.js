/**
 * Markdown as elements: tables and lists, code in colours, formulas.
 *
 * The one place of the page where text becomes HTML. What a model says is hostile until shown otherwise, so there are
 * three lines: lib/markdown-html.js lets almost no HTML of the text through, DOMPurify keeps only the elements and
 * attributes named here, and the page's Content-Security-Policy runs and fetches nothing from elsewhere.
 *
 * The reader, the highlighter and the typesetter are loaded when the first text needs them.
 */

import { effect, html, signal, useLayoutEffect, useMemo, useRef } from "../html.js";
import { Blocks } from "../lib/markdown-blocks.js";
import { htmlAsText, linkHtml, pictureHtml } from "../lib/markdown-html.js";
import { mathExtensions } from "../lib/markdown-math.js";
import { plain } from "../lib/bidi.js";
import { copyText } from "./copy.js";

/** @typedef {import("../vendor/marked.js").Token} Token */
/**
 * @typedef {object} Engine
 * @property {(text: string) => Token[]} lexer
 * @property {(tokens: Token[]) => string} parser
 * @property {(html: string) => DocumentFragment} clean
 * @property {(html: string) => DocumentFragment} cleanMath
 * @property {(html: string) => DocumentFragment} cleanCode
 */
/** @typedef {typeof import("../vendor/highlight.js").default} Highlighter */
/** @typedef {typeof import("../vendor/katex.js").default} Typesetter */

const TAGS = (
  "a b blockquote br code del details dd dl dt em h1 h2 h3 h4 h5 h6 hr i img input kbd li mark ol p pre s small " +
  "span strong sub summary sup table tbody td th thead tr u ul"
).split(" ");
const ATTRIBUTES = ["href", "title", "src", "alt", "class", "start", "align", "type", "checked", "disabled"];
const CLASSES = /^(?:language-[\w+#.-]{1,40}|math-inline|math-display|dead-link|hljs-[\w-]+)$/;

/** Colouring longer code anew with each word would take too long; it is coloured when it is complete. */
const MOST_WHILE_STREAMING = 6000;
/** Beyond this, code is never coloured. */
const MOST_COLOURED = 200_000;

/**
 * A part of the page that is loaded when it is first asked for; null until it is there.
 *
 * @template T
 * @param {() => Promise<T>} load
 */
function later(load) {
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
export function Markdown({ text, streaming = false }) {
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
  // Once the text is whole, a link may have got its address by a line far below: the HTML says whether anything has
  // changed.
  const text = useMemo(() => made.parser([token]), [made, token.raw, isWhole]);
  useLayoutEffect(
    // Runs again when the highlighter or the typesetter has arrived, if this block has asked for it.
    () =>
      effect(() => {
        const content = made.clean(text);
        dress(content, made, streaming);
        place.current?.replaceChildren(content);
      }),
    [text, streaming],
  );
  return html`
    <div class="markdown-block" dir="auto" ref=${place}></div>
  `;
}

/**
 * @param {DocumentFragment} content
 * @param {Engine} made
 * @param {boolean} streaming
 */
function dress(content, made, streaming) {
  for (const link of content.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const formula of content.querySelectorAll("code.math-inline, code.math-display")) typeset(formula, made);
  for (const code of content.querySelectorAll("code:not(pre > code, .math-inline, .math-display)")) unhide(code);
  for (const pre of content.querySelectorAll("pre")) frame(pre, made, streaming);
  for (const table of content.querySelectorAll("table")) {
    const scroller = document.createElement("div");
    scroller.className = "markdown-table";
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.ariaLabel = "Table";
    table.replaceWith(scroller);
    scroller.append(table);
  }
}

/**
 * @param {Element} formula
 * @param {Engine} made
 */
function typeset(formula, made) {
  const katex = typesetter();
  if (!katex) return;
  const displayMode = formula.classList.contains("math-display");
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
    formula.replaceWith(result);
  } catch (error) {
    // No TeX, or more than the typesetter knows: it stays as it was written.
    /** @type {HTMLElement} */ (formula).title = error instanceof Error ? error.message : "";
  }
}

/**
 * Puts code into its frame, with its language, a button to copy it, and colours.
 *
 * @param {HTMLPreElement} pre
 * @param {Engine} made
 * @param {boolean} streaming
 */
function frame(pre, made, streaming) {
  const code = pre.querySelector("code") ?? pre;
  const text = code.textContent ?? "";
  const language = /language-([\w+#.-]+)/.exec(code.className)?.[1] ?? "";
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
    copy.textContent = (await copyText(text)) ? "Copied" : "Could not copy";
    setTimeout(() => (copy.textContent = "Copy"), 1600);
  };
  head.append(name, copy);
  pre.replaceWith(box);
  pre.tabIndex = 0;
  box.append(head, pre);
  const coloured =
    language && text.length < (streaming ? MOST_WHILE_STREAMING : MOST_COLOURED) ? colours(text, language) : null;
  if (coloured !== null) code.replaceChildren(made.cleanCode(coloured));
  unhide(code);
}

/**
 * Returns HTML of code in colours; null if it has none.
 *
 * @param {string} text
 * @param {string} language
 */
function colours(text, language) {
  const hljs = highlighter();
  return hljs?.getLanguage(language) ? hljs.highlight(text, { language, ignoreIllegals: true }).value : null;
}

/**
 * Shows what hides in code: characters that turn the direction of what follows make it read other than it runs.
 *
 * @param {Element} code
 */
function unhide(code) {
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = /** @type {Text} */ (texts.currentNode);
    const shown = node.data
      .split(/(\s+)/)
      .map((part) => (/^[ \t\n]*$/.test(part) ? part : plain(part)))
      .join("");
    if (shown !== node.data) node.data = shown;
  }
}
