"""The playground's chat and comparison, with real streams of fake models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.program import Program, hostler
from tests.ui.browsing import CONFIG, SERVER, Site, visiting

pytestmark = pytest.mark.browser

SLOW = CONFIG.replace(
    f"{SERVER} --port ${{PORT}}\n    description: Takes",
    f"{SERVER} --port ${{PORT}} --start-delay 2\n    description: Takes",
)
"""qwen takes two seconds to load: `expect` looks once a second after a while."""

ENDLESS = {"events": 1000, "interval_s": 0.05}

BROKEN_TOO_SOON = {"events": 3, "crash_after": 2, "interval_s": 0.3}


@pytest.fixture
def slow(tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """A window on a Hostler of which a model takes a while to load."""
    assert SLOW != CONFIG
    with hostler(tmp_path, SLOW) as running, visiting(running, chromium) as site:
        yield site
        assert site.problems == []


def open_chat(
    site: Site, extra: Mapping[str, object], *, path: str = "/playground/chat?model=llama", **settings: object
) -> Page:
    """Goes to the chat, or another page, with *extra* members in each request: the fake model's knobs."""
    chosen = json.dumps({"extra": json.dumps(extra), **settings})
    site.page.add_init_script(f"localStorage['hostler.playground.chat-settings'] ??= {json.dumps(chosen)}")
    return site.open(path)


def sent(request: Request) -> Any:
    """Returns the JSON of a request's body."""
    return json.loads(request.post_data or "")


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name=re.compile("^Message")).fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_answer_comes_by_each_api_and_in_the_page_s_session(site: Site, dialect: str) -> None:
    page = open_chat(site, {"say": "Hello, **you**."}, dialect=dialect)

    with page.expect_request("**/v1/**") as asked:
        say(page, "Hello?")
    expect(page.locator(".chat-content strong")).to_have_text("you")
    expect(page.get_by_role("list", name="What it took")).to_contain_text("in all")
    assert re.fullmatch(r"lspg-[a-z0-9]{5}", asked.value.header_value("X-Session-ID") or "")
    assert site.violations() == []


def test_answer_goes_on_while_another_page_is_shown_and_can_be_stopped(site: Site) -> None:
    page = open_chat(site, ENDLESS)
    say(page, "Go on")
    expect(page.locator(".chat-content")).to_contain_text("fake 2")

    page.get_by_role("link", name="Models", exact=True).first.click()
    page.locator("main h1", has_text="Models").wait_for(state="attached")
    page.go_back()
    expect(page.locator(".chat-content")).to_contain_text("fake 20")
    page.get_by_role("button", name="Stop").click()

    expect(page.get_by_role("list", name="What it took")).to_contain_text("stopped by you")
    expect(page.locator(".chat-content")).to_contain_text("fake 20")
    answer = httpx.get(f"{site.program.url}/api/inflight").json()
    assert answer["requests"] == []


def test_question_is_asked_again_and_edited(site: Site) -> None:
    page = open_chat(site, {"say": "First."})
    say(page, "One")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".chat-answer .chat-foot")).to_have_count(1)

    page.locator(".chat-asked").hover()
    page.get_by_role("button", name="Edit your message").click()
    page.get_by_role("textbox", name="Your message").fill("Two")
    with page.expect_request("**/v1/chat/completions") as asked:
        page.keyboard.press("Enter")

    expect(page.locator(".chat-asked-text")).to_have_text("Two")
    expect(page.locator(".chat-answer .chat-foot")).to_have_count(1)
    assert [turn["content"] for turn in sent(asked.value)["messages"]] == ["Two"]


def test_picture_is_attached_and_what_is_none_is_refused(site: Site, tmp_path: Path) -> None:
    page = open_chat(site, {"say": "A page."})
    page.screenshot(path=tmp_path / "page.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "words.txt").write_text("words", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(
        [tmp_path / name for name in ("page.png", "broken.png", "words.txt")]
    )

    expect(page.get_by_role("alert")).to_have_text(
        ["broken.png is broken: no picture can be seen in it.", "words.txt is no JPEG, PNG, GIF or WebP."]
    )
    with page.expect_request("**/v1/chat/completions") as asked:
        say(page, "What is this?")
    [turn] = sent(asked.value)["messages"]
    assert [part["type"] for part in turn["content"]] == ["text", "image_url"]


def test_conversations_are_kept_opened_deleted_and_brought_back(site: Site) -> None:
    page = open_chat(site, {"say": "Yes."})
    for title in ("The first one", "The second one"):
        say(page, title)
        expect(page.locator(".chat-foot")).to_be_visible()
        page.get_by_role("button", name="New chat").click()
    page.reload()
    page.get_by_role("button", name="Conversations").click()
    page.get_by_role("button", name=re.compile("^The first one")).click()
    expect(page.locator(".chat-asked-text")).to_have_text("The first one")

    entries = page.locator(".chat-list-entry")
    page.get_by_role("button", name="Delete “The first one”").click()
    expect(entries).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(entries).to_have_count(2)
    expect(page.locator(".chat-asked-text")).to_have_text("The first one")


def test_model_that_does_not_start_is_told_of_with_a_way_to_try_again(site: Site) -> None:
    page = open_chat(site, {}, path="/playground/chat?model=broken")
    say(page, "Hello?")

    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("The model could not be started")
    expect(failure).to_contain_text("exited with code 3")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".chat-answer .chat-foot")).to_have_count(1)
    # It is not tried again at once: the next request is told for how long.
    expect(failure).to_contain_text("It is tried again in")
    assert all(re.search(r"50[03] \(", problem) for problem in site.problems)
    site.problems.clear()


def test_answer_that_breaks_off_keeps_what_was_said(site: Site) -> None:
    page = open_chat(site, BROKEN_TOO_SOON)
    say(page, "Hello?")

    expect(page.get_by_role("alert")).to_contain_text("The answer broke off")
    expect(page.locator(".chat-content")).to_contain_text("fake 0")
    assert all("ERR_INCOMPLETE_CHUNKED_ENCODING" in problem for problem in site.problems)
    site.problems.clear()


def test_who_waits_is_told_why(slow: Site) -> None:
    page = open_chat(slow, ENDLESS)
    say(page, "Go on")
    expect(page.locator(".chat-content")).to_contain_text("fake 1")
    page.get_by_role("button", name="New chat").click()
    picker = page.get_by_role("combobox", name="Model")
    picker.fill("qwen")
    page.keyboard.press("Enter")
    say(page, "And you?")

    waiting = page.locator(".chat-waiting")
    expect(waiting).to_contain_text("Next in line for qwen")
    expect(waiting).to_contain_text("Llama has to go first; it still answers a request.")
    [served, _] = httpx.get(f"{slow.program.url}/api/inflight").json()["requests"]
    httpx.post(f"{slow.program.url}/api/inflight/{served['id']}/cancel")
    expect(waiting).to_contain_text("qwen is being loaded")
    expect(page.locator(".chat-content")).to_contain_text("fake 1")
    slow.problems.clear()  # The answer that was cancelled for its sake.


def test_comparison_shows_the_swap(slow: Site) -> None:
    for side, model in (("a", "llama"), ("b", "qwen")):
        slow.page.add_init_script(f"localStorage['hostler.playground.compare-model-{side}'] = '\"{model}\"'")
    page = open_chat(slow, {"say": "Yes. " * 50, "interval_s": 0.05}, path="/playground/compare")
    say(page, "Are you there?")
    first, second = (page.get_by_role("region", name=f"{which} model") for which in ("First", "Second"))

    expect(second.locator(".chat-waiting")).to_contain_text("in line for")
    expect(first.get_by_role("list", name="What it took")).to_be_visible()
    expect(second.get_by_role("list", name="What it took")).to_contain_text("swap")
    lanes = page.get_by_role("group", name="What they did, and for how long")
    expect(lanes).to_contain_text("queued")
    expect(lanes).to_contain_text("loads")
    assert slow.violations() == []


HOSTILE = r"""
<img src=x onerror="hurt()"> <svg onload="hurt()"><a href="javascript:hurt()">x</a></svg>

<iframe src="javascript:hurt()"></iframe>

<style>* { display: none }</style>

[a](javascript:hurt()) [b](/unload) [c](ORIGIN/unload) [d](data:text/html,x) [e](java&#115;cript:hurt()) [fine](https://example.org/)

![f](ORIGIN/unload) ![g](https://example.org/x.png) ![h](data:image/svg+xml;base64,PHN2Zz4=)

$\href{javascript:hurt()}{x}$ $\rule{500em}{500em}$ $\htmlStyle{color:red}{x}$ $\fcolorbox{red}{blue}{y}$

```js class id=x
let a = "RLO";
```

<b class="button" id="app" name="body">b</b> <form action="/unload"><button>go</button></form> <base href="//example.org">
"""


def test_hostile_markdown_changes_nothing_but_text(site: Site) -> None:
    site.page.add_init_script("window.hurt = () => { window.isHurt = true; };")
    fetched: list[str] = []
    site.page.on("request", lambda request: fetched.append(request.url))
    text = HOSTILE.replace("ORIGIN", site.program.url).replace("RLO", "\u202e")
    page = open_chat(site, {"say": text})
    say(page, "Hurt me")
    expect(page.locator(".chat-foot")).to_be_visible()
    expect(page.locator(".markdown .hljs-keyword")).to_have_text("let")
    expect(page.locator(".markdown math")).not_to_have_count(0)

    found = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll(".markdown *")];
          const attributes = all.flatMap((element) => [...element.attributes].map(({ name }) => name));
          return {
            isHurt: Boolean(window.isHurt),
            tags: all.map(({ localName }) => localName),
            attributes: attributes.filter((name) => /^on|^(style|id|name|action|srcset|xlink:href)$/.test(name)),
            links: [...document.querySelectorAll(".markdown a")].map((link) => [link.href, link.rel, link.target]),
          };
        }"""
    )
    assert found["isHurt"] is False
    assert not {"script", "style", "svg", "iframe", "form", "button[type=submit]", "base", "img"} & set(found["tags"])
    assert found["attributes"] == []
    rules = ["noopener noreferrer nofollow", "_blank"]
    assert found["links"] == [["https://example.org/", *rules], ["https://example.org/x.png", *rules]]
    expect(page.locator(".markdown pre").last).to_contain_text("\u2039U+202E\u203a")
    assert not [url for url in fetched if "example.org" in url or url.endswith("/unload")]


def test_chat_by_keyboard_alone(site: Site) -> None:
    page = open_chat(site, {"say": "Yes."})
    area = page.get_by_role("textbox", name="Message")
    area.focus()
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-asked-text")).to_have_text("One\ntwo")
    expect(page.locator(".chat-foot")).to_be_visible()
    expect(area).to_be_focused()

    for _ in range(5):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.ariaLabel") == "Ask again":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".chat-answer .chat-foot")).to_have_count(1)


def test_captured_request_is_replayed_in_the_chat(site: Site) -> None:
    body = {
        "model": "llama",
        "say": "Yes.",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Are you there?"}],
    }
    httpx.post(f"{site.program.url}/v1/chat/completions", json=body).raise_for_status()
    page = site.open("/activity?capture=1")
    page.get_by_role("button", name=re.compile("playground|replay", re.IGNORECASE)).first.click()

    expect(page.get_by_role("textbox", name="Message")).to_have_value("Are you there?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".chat-content")).to_have_text("Yes.")


def test_chat_fits_a_phone(program: Program, chromium: Browser) -> None:
    with visiting(program, chromium, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as site:
        page = open_chat(
            site, {"say": "```text\n" + "x" * 300 + "\n```\n\n| a | b |\n|---|---|\n| " + "y" * 200 + " | z |\n"}
        )
        say(page, "w" * 200)
        expect(page.locator(".markdown td").last).to_be_visible()

        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name=re.compile("^Settings")).click()
        expect(page.get_by_role("complementary", name="Settings")).to_be_visible()
        assert site.violations() == []
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary", name="Settings")).to_have_count(0)
        assert site.problems == []
