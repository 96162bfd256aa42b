import assert from "node:assert/strict";
import { test } from "node:test";
import { Marked } from "../../../node_modules/marked/lib/marked.esm.js";
import { Blocks } from "../../../ui/static/lib/markdown-blocks.js";
import { htmlAsText, linkHtml, linkTarget, pictureHtml } from "../../../ui/static/lib/markdown-html.js";
import { mathExtensions } from "../../../ui/static/lib/markdown-math.js";

const ORIGIN = "http://127.0.0.1:8080";
const marked = new Marked({ gfm: true, breaks: true }).use({ extensions: mathExtensions });
const rendered = (text) => marked.parse(text).trim();

test("links lead to other sites only", () => {
  assert.equal(linkTarget("https://example.org/a?b#c", ORIGIN), "https://example.org/a?b#c");
  assert.equal(linkTarget("mailto:a@example.org", ORIGIN), "mailto:a@example.org");
  const dead = [
    "javascript:alert(1)",
    " JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:http://127.0.0.1:8080/x",
    "/unload",
    "unload",
    "//evil.example",
    "#x",
    "",
    "http://127.0.0.1:8080/unload",
    "HTTP://127.0.0.1:8080/unload",
    "https://bank.example@evil.example/",
  ];
  for (const href of dead) assert.equal(linkTarget(href, ORIGIN), null, href);
});

test("a dead link says where it would have led, and cannot break out of its attribute", () => {
  assert.equal(
    linkHtml('javascript:"><img src=x onerror=alert(1)>', "text", ORIGIN),
    '<span class="dead-link" title="No link: javascript:&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">text</span>',
  );
});

test("pictures from elsewhere are links, those in the text are shown", () => {
  assert.match(
    pictureHtml("https://evil.example/x.png", '"><b>', ORIGIN),
    /^<a href="https:[^<]*>Picture: &quot;&gt;&lt;b&gt;<\/a>$/,
  );
  assert.match(
    pictureHtml("data:image/png;base64,AAAA", "a", ORIGIN),
    /^<img src="data:image\/png;base64,AAAA" alt="a">$/,
  );
  assert.match(pictureHtml("data:image/svg+xml;base64,AAAA", "a", ORIGIN), /^<span class="dead-link"/);
});

test("HTML is text, but for bare harmless tags", () => {
  assert.equal(htmlAsText("<sub>", false), "<sub>");
  assert.equal(htmlAsText("<br/>", false), "<br/>");
  assert.equal(htmlAsText("</kbd>", false), "</kbd>");
  for (const tag of [
    "<script>",
    "<img src=x onerror=y>",
    "<b onclick=x>",
    "<style>",
    "<a href=x>",
    "<svg>",
    "<!-- c -->",
    "<br\0>",
  ]) {
    assert.doesNotMatch(htmlAsText(tag, false), /</, tag);
  }
  assert.equal(
    htmlAsText("<script>alert('&')</script>\n", true),
    '<pre><code class="language-html">&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;</code></pre>\n',
  );
  assert.equal(htmlAsText("<details>\n<summary>a & b</summary>\n", true), "<details>\n<summary>a &amp; b</summary>\n");
});

test("formulas come out as code to be typeset, with their TeX escaped", () => {
  assert.equal(rendered("a $x<y$ b"), '<p>a <code class="math-inline">x&lt;y</code> b</p>');
  assert.equal(rendered("\\(a_1\\)"), '<p><code class="math-inline">a_1</code></p>');
  assert.equal(rendered("$$\nx^2\n$$"), '<code class="math-display">x^2</code>');
  assert.equal(rendered("\\[\nx\n\\]\nand"), '<code class="math-display">x</code><p>and</p>');
  assert.equal(rendered("see $$x$$ here"), '<p>see <code class="math-display">x</code> here</p>');
  assert.equal(rendered("$a_1 * b_2 * c$"), '<p><code class="math-inline">a_1 * b_2 * c</code></p>');
});

test("money and code are no formulas", () => {
  assert.equal(rendered("it costs $5 and $6"), "<p>it costs $5 and $6</p>");
  assert.equal(
    rendered("from $5 to 6$ or"),
    "<p>from $5 to 6$ or</p>".replace("$5 to 6$", '<code class="math-inline">5 to 6</code>'),
  );
  assert.equal(rendered("`$x$`"), "<p><code>$x$</code></p>");
  assert.equal(rendered("```\n$$x$$\n```"), "<pre><code>$$x$$\n</code></pre>");
  assert.equal(rendered("$$ never closed\n\nnext $$"), "<p>$$ never closed</p>\n<p>next $$</p>");
});

const LONG = [
  "# Title",
  "A paragraph\nof two lines.",
  "1. one\n2. two\n\n   more of two\n\n3. three",
  "- a\n  - b\n\n- c",
  "| a | b |\n|---|---|\n| 1 | 2 |",
  "```js\nlet a;\n\n# no title\n```",
  "> quoted\n> more",
  "$$\nx\n$$",
  "Setext\n======",
  "Last [link][x].",
  "[x]: https://example.org",
].join("\n\n");

test("a text that grows ends as it would have been read as a whole, wherever it was looked at", () => {
  const whole = marked
    .lexer(LONG)
    .filter(({ type }) => type !== "space" && type !== "def")
    .map(({ raw }) => raw);
  for (const step of [1, 3, 4, 17]) {
    const blocks = new Blocks((text) => marked.lexer(text));
    let last = [];
    for (let length = 0; length <= LONG.length; length += step) last = blocks.read(LONG.slice(0, length), true);

    assert.ok(last.length > 8, `${last.length} blocks in steps of ${step}`);
    assert.deepEqual(
      blocks.read(LONG, false).map(({ raw }) => raw),
      whole,
    );
  }
});

test("what is settled is not read again", () => {
  let read = 0;
  const blocks = new Blocks((text) => {
    read += text.length;
    return marked.lexer(text);
  });
  const paragraph = "Some words that make a paragraph of a common length, more or less. ";
  const text = Array.from({ length: 100 }, () => paragraph).join("\n\n");
  for (let length = 0; length < text.length; length += 20) blocks.read(text.slice(0, length), true);

  assert.ok(read < text.length * 15, `${read} characters read for ${text.length}`);
});

test("settled blocks keep their place and their text while more comes", () => {
  const blocks = new Blocks((text) => marked.lexer(text));
  let before = [];
  for (let length = 0; length <= LONG.length; length += 2) {
    const now = blocks.read(LONG.slice(0, length), true).map(({ raw }) => raw.trim());

    for (const [index, raw] of before.slice(0, -2).entries()) assert.equal(now[index], raw);
    before = now;
  }
});

test("another text begins anew", () => {
  const blocks = new Blocks((text) => marked.lexer(text));
  blocks.read("First paragraph.\n\nSecond paragraph, long enough.", true);

  assert.deepEqual(
    blocks.read("Else.", true).map(({ raw }) => raw),
    ["Else."],
  );
});
