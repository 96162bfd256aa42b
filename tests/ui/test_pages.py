"""Every page: it opens by its address, is accessible, and the browser has nothing to complain of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.program import Program, hostler
from tests.ui.browsing import CONFIG, Site, visiting

pytestmark = pytest.mark.browser

PAGES = {
    "/": "Activity",
    "/activity": "Activity",
    "/models": "Models",
    "/models/llama": "Llama",
    "/models/hidden%2Fone.two": "hidden/one.two",
    "/playground": "Playground",
    "/playground/compare": "Playground",
    "/playground/images": "Playground",
    "/playground/speech": "Playground",
    "/playground/transcription": "Playground",
    "/playground/rerank": "Playground",
    "/playground/load-test": "Playground",
    "/logs": "Logs",
    "/performance": "Performance",
    "/hardware": "Hardware",
    "/settings": "Settings",
    "/configuration": "Configuration",
}
"""Addresses below `/ui`, and what the page's heading says."""


def fits(page: Page) -> bool:
    """Returns whether the page is no wider than its window."""
    held: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return held


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One for all: these tests only look."""
    with hostler(tmp_path_factory.mktemp("pages"), CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def window(program: Program, chromium: Browser) -> Iterator[Site]:
    """A window that has fetched before what all pages share, as a visitor's has."""
    with visiting(program, chromium) as site:
        yield site


@pytest.fixture(scope="module")
def phone(program: Program, chromium: Browser) -> Iterator[Site]:
    """A small window of somebody who likes it dark."""
    with visiting(program, chromium, viewport={"width": 360, "height": 740}, color_scheme="dark") as site:
        yield site


@pytest.mark.parametrize(("path", "heading"), PAGES.items())
def test_page_opens_by_its_address_and_is_accessible(window: Site, path: str, heading: str) -> None:
    window.problems.clear()
    page = window.open(path)

    expect(page.locator("main h1")).to_contain_text(heading)
    page.locator("main [aria-busy=true]").wait_for(state="detached")
    assert window.violations() == []
    assert fits(page)
    page.set_viewport_size({"width": 2560, "height": 1440})
    assert fits(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    assert window.problems == []


@pytest.mark.parametrize("path", ["/activity", "/activity?capture=1", "/models/llama", "/models/llama?tab=details"])
def test_what_has_happened_fits_a_phone(program: Program, chromium: Browser, path: str) -> None:
    program.chat("llama", stream=True)
    with visiting(program, chromium, viewport={"width": 360, "height": 740}, is_mobile=True) as site:
        page = site.open(path)
        page.locator("main [aria-busy=true], .capture-wait").first.wait_for(state="detached")

        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert site.problems == []


@pytest.mark.parametrize("path", PAGES)
def test_page_is_accessible_in_the_dark_and_fits_a_phone(phone: Site, path: str) -> None:
    page = phone.open(path)
    page.locator("main [aria-busy=true]").wait_for(state="detached")

    assert phone.violations() == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert phone.problems == []
