"""The logs: they follow, yield to who reads, are filtered, and keep up with a flood."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.program import Program, hostler
from tests.ui import printer
from tests.ui.browsing import Site, visiting

pytestmark = pytest.mark.browser

CONFIG = f"""
models:
  talker:
    cmd: {shlex.join([sys.executable, printer.PROGRAM])} --port ${{PORT}}
    checkEndpoint: /
"""

FRAMES = """
(pane, most) => new Promise((done) => {
  let frames = 0;
  let renders = 0;
  const observer = new MutationObserver(() => { renders += 1; });
  observer.observe(pane, {childList: true, subtree: true, characterData: true});
  const look = () => {
    frames += 1;
    if (frames < most) requestAnimationFrame(look);
    else { observer.disconnect(); done({frames, renders}); }
  };
  requestAnimationFrame(look);
})
"""
"""Returns how often a pane was drawn in so many frames."""


@pytest.fixture
def site(tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """A window on a Hostler with a model that prints what it is told to."""
    with hostler(tmp_path, CONFIG) as program, visiting(program, chromium) as site:
        assert httpx.post(f"{program.url}/api/models/load/talker").status_code == 200
        yield site
        assert site.problems == []


def say(program: Program, text: str) -> None:
    """Has the model print *text*."""
    assert httpx.post(f"{program.url}/upstream/talker/print", content=text).status_code == 200


def lines(program: Program, query: str) -> None:
    """Has the model print numbered lines."""
    assert httpx.post(f"{program.url}/upstream/talker/lines?{query}").status_code == 200


def from_bottom(page: Page) -> int:
    """Returns how many pixels the log is scrolled up from its end."""
    found: int = page.locator(".log-scroll").evaluate("e => Math.round(e.scrollHeight - e.scrollTop - e.clientHeight)")
    return found


@pytest.mark.parametrize("address", ["/logs?tab=upstream", "/logs?tab=model&model=talker"])
def test_log_follows_until_somebody_scrolls_up_and_again_when_asked(site: Site, address: str) -> None:
    page = site.open(address)
    lines(site.program, "count=300")
    expect(page.get_by_text("slot 299:")).to_be_in_viewport()
    assert from_bottom(page) <= 1
    assert page.locator(".log-row").count() < 100  # of 300: only what can be seen is in the page

    page.locator(".log-scroll").evaluate("e => { e.scrollTop -= 2000; }")
    expect(page.get_by_role("button", name="Jump to newest")).to_be_visible()
    where = from_bottom(page)
    first = page.locator(".log-row").first.inner_text()
    say(site.program, "one more\nand another\n")
    expect(page.get_by_role("button", name=re.compile("2 new"))).to_be_visible()

    assert page.locator(".log-row").first.inner_text() == first
    assert from_bottom(page) > where

    page.get_by_role("button", name="Jump to newest").click()

    expect(page.get_by_text("and another")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Jump to newest")).to_have_count(0)
    assert from_bottom(page) <= 1


def test_filter_shows_matching_lines_alone_and_survives_patterns_that_never_end(site: Site) -> None:
    page = site.open("/logs?tab=upstream")
    lines(site.program, "count=200")
    field = page.get_by_role("searchbox", name="Filter upstream log")

    field.fill("SLOT 1[0-9]:")
    expect(page.locator(".log-row")).to_have_count(10)
    say(site.program, "slot 15: again\nslot 5: not this\n")
    expect(page.locator(".log-row").last).to_have_text("slot 15: again")

    field.fill("slot (1")
    expect(page.get_by_role("alert")).to_contain_text("Not a regular expression")

    field.fill(r"^(\S*\s*)*(\d*)*(.*)*\1x$")
    expect(page.get_by_role("alert")).to_contain_text("takes too long")

    field.fill("")
    expect(page.get_by_text("not this")).to_be_in_viewport()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_what_a_model_prints_changes_nothing_but_text(site: Site) -> None:
    page = site.open("/logs?tab=upstream")

    say(
        site.program,
        '\x1b[1;31mred\x1b[0m <img src=x onerror="window.hacked=1"> \x1b]0;title\x07\x1b[2J\x1b[10Aup\u202eexe.txt\n'
        " 10 %\r 90 %\rdone \n",
    )

    row = page.locator(".log-row", has_text="red <img")
    expect(row).to_have_text(re.compile('^red <img src=x onerror="window.hacked=1"> up.U[+]202E.exe.txt$'))
    expect(row.locator("span").first).to_have_css("font-weight", "700")
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    expect(page.get_by_text("90 %")).to_have_count(0)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("wrap", [True, False], ids=["wrapped", "not wrapped"])
def test_ten_thousand_lines_a_second_are_drawn_once_a_frame(site: Site, *, wrap: bool) -> None:
    page = site.open("/logs?tab=both")
    upstream = page.locator("section[aria-label='Upstream log']")
    if not wrap:
        upstream.get_by_role("button", name="Wrap long lines").click()
    lines(site.program, "rate=10000")
    expect(upstream.locator(".log-row").last).to_contain_text(re.compile(r"slot \d{5}"))

    seen = upstream.evaluate(FRAMES, 60)
    assert 0 < seen["renders"] <= seen["frames"] + 1, "it is drawn more than once a frame"
    assert page.locator(".log-row").count() < 250
    # Who reads meanwhile is not moved, as long as the page keeps those lines; of a flood, not for long.
    lines(site.program, "rate=200")
    upstream.locator(".log-scroll").hover()
    page.mouse.wheel(0, -200)
    expect(upstream.get_by_role("button", name="Jump to newest")).to_be_visible()
    place = "([x, y]) => document.elementFromPoint(x, y).textContent"
    box = upstream.locator(".log-scroll").bounding_box()
    assert box is not None
    point = [box["x"] + 40, box["y"] + 100]
    before = page.evaluate(place, point)
    upstream.evaluate(FRAMES, 10)

    assert page.evaluate(place, point) == before
