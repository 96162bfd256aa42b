"""Fixtures of the page's tests: one Chromium for all of them, a Hostler and a fresh window for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.program import Program, hostler
from tests.ui.browsing import CONFIG, PATIENCE_MS, Site, visiting

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-features=SpareRendererForSitePerProcess",
    # A window that is not in front is drawn all the same.
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser: the one of `HOSTLER_CHROMIUM`, or the first that is on the path."""
    names = (os.environ.get("HOSTLER_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium here: make browser")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A Hostler with the models of `browsing.CONFIG`."""
    with hostler(tmp_path, CONFIG) as running:
        yield running


@pytest.fixture
def site(program: Program, chromium: Browser) -> Iterator[Site]:
    """A window on it. Whatever the browser complains of fails the test."""
    with visiting(program, chromium) as site:
        yield site
        assert site.problems == []
