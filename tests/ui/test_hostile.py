"""What others write (models, clients, configurations, model servers) is text on the page and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.ports import START_PORT
from tests.program import PATIENCE_S, Program, hostler
from tests.ui import talker
from tests.ui.browsing import Site, visiting

pytestmark = pytest.mark.browser

EVIL = '<script>pwned=1</script>"><img src=x onerror=pwned=1>\u202egpj.exe🙂'
EVIL_SHOWN = '<script>pwned=1</script>"><img src=x onerror=pwned=1>\u2039U+202E\u203agpj.exe🙂'

NAME = "<svg onload=pwned=1>\u202etxt.exe"
NAME_SHOWN = "<svg onload=pwned=1>\u2039U+202E\u203atxt.exe"

DESCRIPTION = "<iframe src=javascript:pwned=1></iframe> [x](javascript:pwned=1)"

PROFILE = "<details open ontoggle=pwned=1>\u2066"
PROFILE_SHOWN = "<details open ontoggle=pwned=1>\u2039U+2066\u203a"

ANSWER = (
    r"""
Said <script>pwned=1</script> and <img src=x onerror=pwned=1> inline.

<script>pwned=1</script>

<style>body { display: none !important } @import url(https://elsewhere.example/a.css);</style>

<iframe srcdoc="<script>parent.pwned=1</script>"></iframe><svg onload=pwned=1><animate onbegin=pwned=1></svg>

<form action="/unload"><button autofocus onfocus=pwned=1>press</button></form><base href="https://elsewhere.example/">

[one](javascript:pwned=1) [two](JaVaScRiPt&colon;pwned=1) [three](data:text/html,<script>pwned=1</script>) [four](vbscript:x)
[five](/unload) [six](//elsewhere.example/x "t\" onmouseover=pwned=1") [seven](https://good.example/a"onclick=pwned=1)
<javascript:pwned=1> <a href="javascript:pwned=1">eight</a>

![a](https://elsewhere.example/pixel.png) ![b](javascript:pwned=1) ![c](data:image/svg+xml,<svg onload=pwned=1>) ![d](/unload)

$x^2$ $\href{javascript:pwned=1}{nine}$ $\htmlData{x=y}{\includegraphics{https://elsewhere.example/f.png}}$ $\unicode{<script>pwned=1</script>}$

<math><mtext><table><mglyph><style><!--</style><img title="--><img src=x onerror=pwned=1>"></table></mtext></math>

```python"><img src=x onerror=pwned=1>
if access != "user":  # <script>pwned=1</script>
    x = "RIGHT_TO_LEFT ISOLATEadminPOP ISOLATE"
```

| a | b |
|---|---|
| <video src=x onerror=pwned=1> | `<b onclick=pwned=1>` |

The end of it.
""".replace("RIGHT_TO_LEFT", "\u202e")
    .replace("ISOLATE", "\u2066")
    .replace("POP", "\u2069")
)

LOG = (
    b"long " + b"y" * 30_000 + b"\n"
    b"<script>pwned=1</script><img src=x onerror=pwned=1>\n"
    b"\x1b]8;;javascript:pwned=1\x07press me\x1b]8;;\x07 \x1b]0;Bank\x07titled\n"
    b"first\x1b[2J\x1b[1;1H\x1b[999Aover it \x1b[38;5;999;48;2;1m\x1b[<script>coloured\n"
    b"with\x00nul \xff\xfe bytes \xe2\x80\xae turned\n"
    b"the end of the log\n"
)

WATCH = """
window.refusals = [];
addEventListener("securitypolicyviolation", (event) => refusals.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

LINKS = """() => [...document.querySelectorAll("a[href], area[href], form[action], [src], [srcdoc], [formaction], base, meta[http-equiv]")]
  .map((element) => element.outerHTML.slice(0, 300))"""

HANDLERS = """() => [...document.querySelectorAll("*")]
  .flatMap((element) => [...element.attributes].map(({ name }) => name)).filter((name) => /^on/i.test(name))"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A Hostler whose model, profile and answers are hostile, and a model that refuses with a hostile message."""
    commands = {}
    for name in ("talks", "refuses"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "headers.json").write_text(json.dumps({"X-Evil": "<script>pwned=1</script>", "Set-Cookie": "a=<b>"}))
        commands[name] = shlex.join([sys.executable, talker.PROGRAM, str(folder), "--port"]) + " ${PORT}"
    (tmp_path / "talks" / "answer.md").write_text(ANSWER)
    (tmp_path / "talks" / "thoughts.md").write_text("<img src=x onerror=pwned=1> thinking")
    (tmp_path / "talks" / "log.txt").write_bytes(LOG)
    (tmp_path / "talks" / "page.html").write_text("<!doctype html><script>pwned=1</script><h1>a page</h1>")
    message = "No: <script>pwned=1</script>\n<img src=x onerror=pwned=1>\u202eoops"
    (tmp_path / "refuses" / "error.json").write_text(json.dumps({"error": {"message": message}}))
    evil = {"cmd": commands["talks"], "name": NAME, "description": DESCRIPTION, "aliases": ['"onmouseover="pwned=1']}
    config = {
        "captureBuffer": 8,
        "startPort": START_PORT,
        "models": {EVIL: evil, "refuses": {"cmd": commands["refuses"], "description": DESCRIPTION}},
        "profiles": {PROFILE: {"description": DESCRIPTION, "pins": {"a<b>": EVIL}}},
    }
    with hostler(tmp_path, json.dumps(config, ensure_ascii=False)) as running:
        yield running


@pytest.fixture
def site(program: Program, chromium: Browser) -> Iterator[Site]:
    """A window that notices whatever is more than text."""
    with visiting(program, chromium) as site:
        beyond: list[str] = []

        def dismissed(dialog: Dialog) -> None:
            beyond.append(dialog.message)
            dialog.dismiss()

        site.page.add_init_script(WATCH)
        site.page.on("dialog", dismissed)
        site.page.on("popup", lambda page: beyond.append(page.url))
        site.page.on("request", lambda request: beyond.extend(elsewhere(request.url, program)))
        yield site
        assert beyond == []
        assert site.problems == []


def elsewhere(url: str, program: Program) -> list[str]:
    """Returns *url*, unless the page may ask for it."""
    ours = url.startswith((f"{program.url}/ui", f"{program.url}/api/", f"{program.url}/v1/", f"{program.url}/logs/"))
    return [] if ours or url.startswith(("data:image/", "blob:")) else [url]


def nothing_happened(page: Page) -> None:
    """Says what *page* has in it, or has done, that text cannot."""
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("refusals") == []
    assert page.evaluate(HANDLERS) == []
    # What was a tag in a text must not be an element: none of these are made by the page itself.
    assert (
        page.locator("main :is(script, iframe, object, embed, form[action], base, meta, video, style, link)").count()
        == 0
    )
    for html in page.evaluate(LINKS):
        for address in re.findall(r'\s(?:href|src|action|formaction)="([^"]*)"', html):
            assert not re.match(r"(?i)\s*(javascript|vbscript|data:text|data:image/svg)", address), html


def ask(program: Program, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "<script>pwned=1</script>\u202eask"}], **more}
    headers = {"User-Agent": "<img src=x onerror=pwned=1>", "X-Session-Id": "<b>session"}
    return httpx.post(f"{program.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


def test_names_and_descriptions_are_text_on_every_page(site: Site) -> None:
    for path in (
        "/models",
        "/configuration",
        "/playground/compare",
        "/playground/load-test",
        "/activity",
        "/logs?tab=model",
    ):
        page = site.open(path)
        expect(page.locator("aside").get_by_text(NAME_SHOWN)).to_be_visible()
        nothing_happened(page)

    page = site.open(f"/models/{quote(EVIL, safe='')}?tab=details")
    expect(page.locator("main").get_by_text(EVIL_SHOWN).first).to_be_visible()
    expect(page.locator("main").get_by_text(DESCRIPTION).first).to_be_visible()
    expect(page.get_by_label("Profile").locator("option").last).to_have_text(PROFILE_SHOWN)
    assert "\u202e" not in page.title()
    nothing_happened(page)


def test_an_answer_is_text_and_its_links_lead_nowhere_dangerous(site: Site) -> None:
    page = site.open(f"/playground/chat?model={quote(EVIL, safe='')}")
    page.get_by_role("textbox", name="Message").fill("# hello <img src=x onerror=pwned=1>")
    page.keyboard.press("Enter")
    answer = page.locator("article.chat-answer")

    expect(answer).to_contain_text("The end of it.")
    expect(answer.get_by_label("What it took")).to_be_visible()
    expect(answer).to_contain_text("Said <script>pwned=1</script> and <img src=x onerror=pwned=1> inline.")
    expect(answer.locator("math").first).to_be_visible()
    expect(answer.locator("pre", has_text="if access")).to_contain_text(
        "\u2039U+202E\u203a \u2039U+2066\u203aadmin\u2039U+2069\u203a"
    )
    expect(page.get_by_role("article", name="You")).to_contain_text("# hello <img src=x onerror=pwned=1>")
    links = answer.locator(".chat-content a").evaluate_all(
        "links => links.map(link => [link.href, link.target, link.rel])"
    )
    assert {target for _, target, _ in links} == {"_blank"}
    assert all("noopener" in rel and href.startswith("https://") for href, _, rel in links)
    # Every picture is in the answer itself, or there is none.
    assert answer.locator("img").count() == 0
    nothing_happened(page)


def test_a_refusal_is_text(site: Site) -> None:
    page = site.open("/playground/chat?model=refuses")
    page.get_by_role("textbox", name="Message").fill("hello")
    page.keyboard.press("Enter")

    expect(page.locator("main").get_by_role("alert")).to_contain_text(
        "<img src=x onerror=pwned=1>\u2039U+202E\u203aoops"
    )
    nothing_happened(page)
    site.problems.clear()  # the browser tells of every answer of status 400


def test_a_log_is_text_that_stays_in_its_lines(site: Site, program: Program) -> None:
    ask(program, EVIL)
    page = site.open("/logs?tab=upstream")
    log = page.get_by_role("log", name="Upstream log")

    expect(log).to_contain_text("the end of the log")
    expect(log).to_contain_text("<script>pwned=1</script><img src=x onerror=pwned=1>")
    expect(log).to_contain_text("press me")
    expect(log).to_contain_text("first")
    assert log.locator("a").count() == 0
    assert "Bank" not in page.title()
    shown = log.inner_text()
    assert not re.search(r"[\x00-\x08\x0e-\x1f\u202e]", shown)
    nothing_happened(page)


def test_a_capture_is_text(site: Site, program: Program) -> None:
    ask(program, EVIL, **{"<script>pwned=1</script>": {"__proto__": {"x": "\u202e"}}, "stream": True})
    ask(program, EVIL)
    page_of_model = httpx.post(f"{program.url}/upstream/{EVIL}/page.html?<script>pwned=1</script>", timeout=PATIENCE_S)
    assert page_of_model.status_code == 200
    records = program.get("/api/metrics/activity").json()["data"]
    captured = [record["id"] for record in records if record["has_capture"]]
    assert len(captured) >= 2

    for number in captured:
        page = site.open(f"/activity?capture={number}")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="Response")).to_be_visible()
        for way in dialog.get_by_role("tab").all():
            way.click()
            expect(way).to_have_attribute("aria-selected", "true")
            nothing_happened(page)
        if dialog.get_by_role("tab", name="Raw").count() == 2:
            for raw in dialog.get_by_role("tab", name="Raw").all():
                raw.click()
            # In the raw body, too, the turning is made visible and not done.
            expect(dialog.get_by_label("Body of the request")).to_contain_text("U+202E")
            expect(dialog.get_by_label("Body of the response")).to_contain_text("choices")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    expect(page.locator("main")).to_contain_text(NAME_SHOWN)
    nothing_happened(page)
