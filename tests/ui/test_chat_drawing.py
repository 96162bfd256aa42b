"""Markdown drawn bit by bit is what it would be had it come at once; and what is finished is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.browsing import Site

pytestmark = pytest.mark.browser

TEXTS = [
    "# Title\n\nWords with $x^2$, **bold** and `code`.\n\n- one $a_1$\n- **two**\n\n  more\n- [ ] three\n  1. in\n\n> quoted\n\nWords.",
    "| a | b |\n|---|--:|\n| $x$ | *1* |\n| 2 | `c` |\n| 3 | [d](https://example.org) |\n\nWords after the table.\n",
    '```python\ndef f(value):\n    # a comment\n    return "text"\n\n\ndef g():\n    return 1\n```\n\nWords after it.',
    "    indented code\n    <b>more</b>\n\nWords after the code.\n\n```\nno <i>language</i> &amp;\nand \u202e turned\n``",
    "1. <script>alert(1)</script>\n2. </ol></div><b>x\n3. <img src=x onerror=alert(1)> and $\\href{javascript:x}{y}$\n4. d",
    "7. seven\n8. ```js\n   let a = `b`;\n   ```\n9. [a](javascript:alert(1))\n",
]
"""Blocks of all kinds, some of them hostile."""

DRAWING = """
async (texts) => {
  const door = performance.getEntriesByType("resource").find(({ name }) => name.endsWith("/html.js")).name;
  const { html, render } = await import(door);
  const { Markdown } = await import(door.replace("html.js", "components/markdown.js"));
  const place = () => document.body.appendChild(document.createElement("div"));
  const draw = (into, text, streaming) => render(html`<${Markdown} text=${text} streaming=${streaming} />`, into);
  // What is loaded when it is first needed.
  const first = place();
  draw(first, "$x$\\n\\n```js\\nlet a;\\n```", false);
  while (!first.querySelector("math") || !first.querySelector(".hljs-keyword")) await new Promise(requestAnimationFrame);
  const result = { different: [], whole: [], cuts: 0, changed: 0 };
  // Code gets its colours in steps.
  const plain = (into) => {
    const copy = into.cloneNode(true);
    for (const code of copy.querySelectorAll("pre > code")) code.textContent = code.textContent;
    return copy.innerHTML;
  };
  for (const text of texts) {
    for (const step of [1, 4, 19]) {
      const growing = place();
      let finished = [];
      let contents = [];
      for (let length = 1; length < text.length; length += step) {
        draw(growing, text.slice(0, length), true);
        const fresh = place();
        draw(fresh, text.slice(0, length), true);
        result.cuts++;
        if (plain(growing) !== plain(fresh)) result.different.push([text.slice(0, length), plain(growing), plain(fresh)]);
        fresh.remove();
        finished.forEach((block, index) => {
          if (!growing.contains(block) || contents[index].some((node, at) => block.childNodes[at] !== node)) result.changed++;
        });
        // The last one grows, and the one before may only just have been settled.
        finished = [...growing.querySelectorAll(".markdown-block")].slice(0, -2);
        contents = finished.map((block) => [...block.childNodes]);
      }
      draw(growing, text, false);
      const whole = place();
      draw(whole, text, false);
      if (growing.innerHTML !== whole.innerHTML) result.whole.push([growing.innerHTML, whole.innerHTML]);
      growing.remove();
      whole.remove();
    }
  }
  return result;
}
"""


def test_markdown_that_grows_is_what_it_would_be_at_once_and_finished_blocks_are_left_alone(site: Site) -> None:
    page = site.open("/playground/chat")

    seen: Any = page.evaluate(DRAWING, TEXTS)
    assert seen["cuts"] > 500
    assert seen["different"] == []
    assert seen["whole"] == []
    assert seen["changed"] == 0


COUNTING = """
async () => {
  const door = performance.getEntriesByType("resource").find(({ name }) => name.endsWith("/html.js")).name;
  const { html, render } = await import(door);
  const { Markdown } = await import(door.replace("html.js", "components/markdown.js"));
  const place = document.body.appendChild(document.createElement("div"));
  const draw = (text) => render(html`<${Markdown} text=${text} streaming=${true} />`, place);
  draw("words");
  while (!place.querySelector(".markdown-block")) await new Promise(requestAnimationFrame);
  let made = 0;
  const observer = new MutationObserver(() => {});
  observer.observe(place, { childList: true, subtree: true });
  const count = (parts, separator) => {
    const text = parts.join(separator);
    made = 0;
    let events = 0;
    for (let length = 1; length <= text.length; length += 5, events++) {
      draw(text.slice(0, length));
      for (const { addedNodes } of observer.takeRecords())
        made += [...addedNodes].filter((node) => node.nodeType === Node.ELEMENT_NODE).length;
    }
    draw("");
    observer.takeRecords();
    return { made, events };
  };
  const words = (index) => `words of number ${index}`;
  const numbers = Array.from({ length: 150 }, (_, index) => index);
  return {
    paragraphs: count(numbers.map(words), "\\n\\n"),
    items: count(numbers.map((index) => `- ${words(index)}`), "\\n"),
    rows: count(["| a |", "|---|", ...numbers.map((index) => `| ${words(index)} |`)], "\\n"),
    lines: count(["```", ...numbers.map(words)], "\\n"),
  };
}
"""


def test_elements_made_while_an_answer_comes_are_as_many_as_its_pieces_not_pieces_times_blocks(site: Site) -> None:
    page = site.open("/playground/chat")

    seen: Any = page.evaluate(COUNTING)
    for kind, each in seen.items():
        assert each["events"] > 500
        # With each piece what is last is made anew, be it with the one in front of it; each of the 150 moves once.
        assert each["made"] <= 3 * each["events"] + 4 * 150, kind
