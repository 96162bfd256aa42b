"""What happens on the server is seen on a page that is open: nothing is reloaded by hand."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.program import PATIENCE_S, Program, hostler, running
from tests.ui.browsing import CONFIG, SERVER, Site, visiting

pytestmark = pytest.mark.browser


@contextmanager
def asking(program: Program, model: str, **knobs: object) -> Iterator[list[int]]:
    """Has a stream under way; the statuses of its answer are in the list when it has ended."""
    statuses: list[int] = []

    def ask() -> None:
        with suppress(httpx.TransportError):  # the end of the test cuts it
            statuses.append(program.chat(model, stream=True, **knobs).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        httpx.post(f"{program.url}/api/models/unload", timeout=PATIENCE_S)
        thread.join(PATIENCE_S)


def lightness(page: Page) -> float:
    """Returns how light the page's ground is, from 0 to 1."""
    colour: str = page.evaluate(
        """() => {
          const context = document.createElement("canvas").getContext("2d");
          context.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
          context.fillRect(0, 0, 1, 1);
          return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).join(" ");
        }"""
    )
    return sum(map(int, colour.split())) / 3 / 255


def test_who_waits_is_seen_with_the_reason_and_can_be_cancelled(site: Site) -> None:
    page = site.open("/activity")
    with asking(site.program, "llama", events=2000, interval_s=0.05):
        flights = page.get_by_role("region", name="Requests in flight").locator("tbody tr")
        expect(flights).to_have_count(1)
        with asking(site.program, "qwen") as statuses:
            waiting = flights.filter(has_text="qwen")
            expect(waiting).to_contain_text("Waiting, #1")
            expect(waiting).to_contain_text("for llama, which serves 1 request")
            waiting.get_by_role("button", name=re.compile("Cancel")).click()
            expect(flights).to_have_count(1)
            site.program.until(lambda: bool(statuses))
        assert statuses[0] >= 400
        expect(page.get_by_role("region", name="Requests", exact=True)).to_contain_text("qwen")


def test_an_edited_configuration_shows_its_models_and_a_broken_one_its_mistake(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    page = site.open("/models")
    names = page.locator("aside").get_by_role("list", name="Models")

    file.write_text(CONFIG.replace("profiles:", f"  newcomer:\n    cmd: {SERVER} --port ${{PORT}}\nprofiles:"))
    assert httpx.post(f"{site.program.url}/api/config/reload", timeout=PATIENCE_S).is_success
    expect(names).to_contain_text("newcomer")

    file.write_text(CONFIG.replace("  qwen:\n", "  qwen:\n    ttl: [soon]\n"))
    line = file.read_text().split("\n").index("    ttl: [soon]") + 1
    assert not httpx.post(f"{site.program.url}/api/config/reload", timeout=PATIENCE_S).is_success
    banner = page.get_by_role("region", name="Configuration")
    expect(banner).to_contain_text(f"config.yaml:{line}")
    expect(banner).to_contain_text("qwen")
    # What is in force is still what was read before.
    expect(names).to_contain_text("newcomer")
    banner.get_by_role("button", name="Dismiss").click()
    expect(banner).to_have_count(0)


def test_a_hostler_that_is_gone_is_told_of_and_one_that_is_back_is_followed(tmp_path: Path, chromium: Browser) -> None:
    with hostler(tmp_path, CONFIG) as program, visiting(program, chromium) as site:
        program.chat("llama")
        page = site.open("/models")
        row = page.locator(".models-row", has=page.get_by_role("link", name="Llama"))
        expect(row).to_contain_text("ready")
        program.end()

        banner = page.get_by_role("region", name="Connection")
        expect(banner).to_contain_text("as of")
        expect(page.locator("html")).not_to_have_attribute("data-connection", "open")
        # What is not known is not claimed, and nothing can be pressed that cannot work.
        expect(row.get_by_role("button", name="Unload Llama")).to_be_disabled()
        expect(page.locator(".models-old")).to_be_visible()

        (tmp_path / "second").mkdir()
        address = program.url.removeprefix("http://")
        file = str(tmp_path / "config.yaml")
        again = [sys.executable, "-m", "app.cli", "serve", "--config", file, "--listen", address]
        with running(tmp_path / "second", again):
            expect(banner).to_have_count(0)
            expect(row).to_contain_text("stopped")
            expect(row.get_by_role("button", name="Load Llama")).to_be_enabled()


def test_the_theme_follows_the_system_while_the_page_is_open(site: Site) -> None:
    page = site.open("/settings")
    page.emulate_media(color_scheme="light")
    assert lightness(page) > 0.8
    page.emulate_media(color_scheme="dark")
    assert lightness(page) < 0.3


@pytest.mark.parametrize(("forced", "system"), [("dark", "light"), ("light", "dark")])
def test_a_chosen_theme_is_there_before_the_page_is(site: Site, forced: str, system: str) -> None:
    held: list[Route] = []
    site.page.emulate_media(color_scheme="light" if system == "light" else "dark")
    site.page.add_init_script(f"localStorage['hostler.mode'] = JSON.stringify({forced!r})")
    # Without the program nothing is drawn but the ground: that is the first frame.
    site.page.route("**/main.js", lambda route: held.append(route))
    site.page.goto(f"{site.program.url}/ui/models", wait_until="commit")
    expect(site.page.locator("html")).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")

    assert site.page.locator("#app").inner_html() == ""
    expect(site.page.locator("html")).to_have_attribute("data-mode", forced)
    assert (lightness(site.page) < 0.3) == (forced == "dark")
    for route in held:
        route.continue_()
    site.page.locator("html[data-connection=open]").wait_for(state="attached")
    assert (lightness(site.page) < 0.3) == (forced == "dark")


def test_an_address_is_enough_to_see_the_same(site: Site) -> None:
    site.program.chat("llama")
    site.program.chat("broken")
    page = site.open("/activity?status=5xx")
    rows = page.get_by_role("region", name="Requests", exact=True).locator("tbody tr.activity-row")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("broken")
    site.problems.clear()

    page = site.open("/activity?capture=1")
    expect(page.get_by_role("dialog")).to_contain_text("/v1/chat/completions")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/ui/activity$"))

    page = site.open("/models/gpt-4o-mini?tab=logs")
    expect(page.get_by_role("tab", name="Logs", selected=True)).to_be_visible()
    expect(page.get_by_role("log", name="Log of Llama")).to_contain_text("listening")
    page.get_by_role("tab", name="Details").click()
    page.get_by_role("link", name="Playground").first.click()
    page.get_by_role("tab", name="Rerank").click()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("tab", name="Details", selected=True)).to_be_visible()
