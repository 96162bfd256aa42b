import assert from "node:assert/strict";
import { test } from "node:test";
import { Marked } from "../../../node_modules/marked/lib/marked.esm.js";
import { Blocks } from "../../../ui/static/lib/markdown-blocks.js";
import { htmlAsText, linkHtml, linkTarget, pictureHtml } from "../../../ui/static/lib/markdown-html.js";
import { mathExtensions } from "../../../ui/static/lib/markdown-math.js";
import { isDue, keptParts, partsOf, without } from "../../../ui/static/lib/markdown-open.js";

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

test("as many blocks are read as arrive and as are being written, however long the text is", () => {
  const counts = [10, 100].map((length) => {
    let read = 0;
    let events = 0;
    const blocks = new Blocks((text) => {
      const tokens = marked.lexer(text);
      read += tokens.filter(({ type }) => type !== "space").length;
      return tokens;
    });
    const text = `A paragraph of **some** words, $x$ and \`code\`.\n\n- one\n- two\n\n`.repeat(length);
    for (let at = 0; at <= text.length; at += 7, events++) blocks.read(text.slice(0, at), true);
    const all = marked.lexer(text).filter(({ type }) => type !== "space").length;

    assert.ok(read <= events + 4 * all, `${read} blocks read for ${events} events and ${all} blocks`);
    return read / events;
  });

  assert.ok(counts[1] < counts[0] * 1.1, `${counts}`);
});

const OPEN = [
  "- one\n- **two** of\n  them\n- $x$ and\n\n  more\n- [ ] task\n- [x] done\n  1. inner\n  2. second\n\n- after\n* other",
  "3. three\n4. four `code`\n\n5. five\n   > quoted\n6. ```js\n   let a;\n   ```\n7. [a](https://example.org) *b*\n",
  "- a\n- b\n\n\n- c\n\n# Title\n\n- d",
  "| a | b |\n|---|:-:|\n| 1 | *2* |\n| $x$ | `3` |\n| only\n| 4 | 5 | 6 |\n\nwords",
  "a | b\n-|-\nc \\| d | e\n**f** | g\n",
];

/** The HTML of a block's parts, and of what is around them. */
function cut(token) {
  const found = marked.parser([token]).match(
    token.type === "list" ? /^(<[uo]l[^>]*>)\n([^]*)(<\/[uo]l>\n)$/ : /^([^]*<tbody>)([^]*)(<\/tbody><\/table>\n)$/,
  );
  return found ? found.slice(1) : ["", "", ""];
}

test("a block that grows is the same by what is kept and what is new of it as when all of it is made anew", () => {
  let reused = 0;
  for (const text of OPEN) {
    for (const step of [1, 2, 5, 13]) {
      let before = null;
      let kept = [];
      for (let length = 1; length <= text.length; length += step) {
        const token = marked.lexer(text.slice(0, length)).find(({ type }) => type !== "space");
        const open = token && partsOf(token);
        if (open) {
          const count = keptParts(before, open);
          reused += count;
          const rest = open.parts.map((_, index) => index).slice(count);
          const parts = token.items ? "items" : "rows";
          const only = (index) => ({ ...token, [parts]: [token[parts][index]] });
          kept = [...kept.slice(0, count), ...rest.map((index) => cut(only(index))[1])];

          assert.equal(kept.join(""), cut(token)[1], text.slice(0, length));
          assert.equal(kept.slice(count).join(""), cut(without(token, count))[1], text.slice(0, length));
        }
        before = open;
      }
    }
  }

  assert.ok(reused > 500, `${reused} parts were kept`);
});

test("of a list of many items only the last ones are made again", () => {
  const text = Array.from({ length: 200 }, (_, index) => `- item **${index}**\n`).join("");
  let before = null;
  let made = 0;
  let events = 0;
  for (let length = 2; length <= text.length; length += 6, events++) {
    const [token] = marked.lexer(text.slice(0, length));
    const open = partsOf(token);
    made += open.parts.length - keptParts(before, open);
    before = open;
  }

  assert.ok(made <= events + 200 * 2, `${made} items made in ${events} steps`);
});

test("a block with HTML is one piece, for HTML ends where it likes", () => {
  for (const text of ["- a\n- b</li></ul>", "- a <b>\n- b", "| a |\n|---|\n| <b> |", "- <!-- a\n- b -->"])
    assert.equal(partsOf(marked.lexer(text)[0]), null, text);
  assert.equal(partsOf(marked.lexer("words")[0]), null);
  assert.equal(partsOf(marked.lexer("- 1 < 2\n- 3")[0])?.parts.length, 2);
});

test("another head keeps nothing", () => {
  const of = (text) => partsOf(marked.lexer(text)[0]);

  assert.equal(keptParts(of("1. a\n2. b"), of("1. a\n2. b\n3. c")), 1);
  assert.equal(keptParts(of("1. a\n2. b"), of("2. a\n2. b")), 0);
  assert.equal(keptParts(of("|a|\n|-|\n|b|"), of("|a|\n|:-:|\n|b|")), 0);
  assert.equal(keptParts(null, of("- a")), 0);
});

test("long code is coloured a few times while it comes, short code with each line", () => {
  let coloured = 0;
  let times = 0;
  let work = 0;
  for (let complete = 20; complete <= 6000; complete += 20) {
    if (!isDue(coloured, complete)) continue;
    coloured = complete;
    work += complete;
    times++;
  }

  assert.ok(isDue(100, 120));
  assert.ok(!isDue(120, 120));
  assert.ok(times < 80, `${times} times`);
  assert.ok(work < 6000 * 20, `${work} characters coloured for 6000`);
  assert.ok(6000 - coloured < 400);
});
