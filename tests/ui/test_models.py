"""The models: what is done with them is seen at once, and who waits is told why."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.program import Program, hostler
from tests.ui.browsing import SERVER, Site, visiting

pytestmark = pytest.mark.browser

CONFIG = f"""
models:
  llama:
    cmd: env HF_TOKEN=hf-secret {SERVER} --port ${{PORT}} --model llama
    name: Llama
    aliases: [gpt-4o-mini]
    env: [API_KEY=other-secret]
  qwen:
    cmd: {SERVER} --port ${{PORT}}
  slow:
    cmd: {SERVER} --port ${{PORT}} --start-delay 600
  broken:
    cmd: {shlex.quote(sys.executable)} -c "raise SystemExit(3)" ${{PORT}}
  hidden/one.two:
    cmd: {SERVER} --port ${{PORT}}
    unlisted: true
profiles:
  night: {{description: Small things only, pins: {{gpt-5: llama, qwen: ""}}}}
selectors:
  best: {{strategy: warm, targets: [llama, qwen]}}
peers:
  lab: {{proxy: http://127.0.0.1:9, models: [deepseek]}}
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A Hostler with models of which one runs at a time."""
    with hostler(tmp_path, CONFIG) as running:
        yield running


@pytest.fixture
def site(program: Program, chromium: Browser) -> Iterator[Site]:
    """A window on it."""
    with visiting(program, chromium) as site:
        yield site
        assert site.problems == []


@contextmanager
def asking(program: Program, model: str) -> Iterator[threading.Thread]:
    """Is a request for *model* that takes longer than any test."""

    def ask() -> None:
        # It ends when it is cancelled, and at the latest with Hostler.
        with contextlib.suppress(httpx.HTTPError):
            body = {"model": model, "delay_s": 600, "messages": []}
            httpx.post(f"{program.url}/v1/chat/completions", json=body, timeout=600)

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    yield client


def load(program: Program, model: str) -> int:
    return httpx.post(f"{program.url}/api/models/load/{model}", timeout=60).status_code


def row(page: Page, name: str) -> Locator:
    return page.locator(".models-row", has=page.get_by_role("link", name=name, exact=True))


def button(where: Page | Locator, name: str) -> Locator:
    return where.get_by_role("button", name=name, exact=True)


def test_model_is_loaded_and_unloaded_and_the_row_says_so(site: Site) -> None:
    page = site.open("/models")

    button(page, "Load Llama").click()
    expect(row(page, "Llama").locator(".state-text")).to_have_text("ready")
    expect(page.locator(".page-subtitle")).to_contain_text("1 ready")
    button(page, "Unload Llama").click()

    expect(row(page, "Llama").locator(".state-text")).to_have_text("stopped")


def test_load_that_is_cancelled_ends(site: Site) -> None:
    page = site.open("/models")

    button(page, "Load slow").click()
    expect(row(page, "slow").locator(".state-text")).to_have_text(re.compile(r"^loading for \d"))
    button(page, "Cancel loading slow").click()

    expect(row(page, "slow").locator(".state-text")).to_have_text("stopped")
    expect(button(page, "Load slow")).to_be_enabled()


def test_swap_is_in_the_timeline_with_the_planners_reason(site: Site) -> None:
    page = site.open("/models")
    assert load(site.program, "llama") == 200
    assert load(site.program, "qwen") == 200

    lane = page.get_by_role("group", name="qwen", exact=True)
    expect(lane.locator(".timeline-bar.ready")).to_be_visible()
    mark = lane.get_by_role("button")
    expect(mark).to_have_attribute(
        "aria-label", re.compile("qwen in place of llama: group .* runs one model at a time$")
    )
    page.get_by_text("changes, in words").click()

    expect(page.locator(".models-story li").first).to_contain_text("in place of llama: group (default) runs one model")


def test_failure_is_told_in_the_servers_words(site: Site) -> None:
    page = site.open("/models")

    button(page, "Load broken").click()

    expect(row(page, "broken")).to_contain_text("exited with code 3")
    expect(page.locator(".toasts")).to_contain_text("exited with code 3")
    expect(button(page, "Try again to load broken")).to_be_visible()
    # The browser tells of the answer 500, too.
    site.problems.clear()


def test_who_waits_sees_for_whom_and_can_be_cancelled(site: Site) -> None:
    page = site.open("/models")
    assert load(site.program, "llama") == 200

    with asking(site.program, "llama"):
        expect(row(page, "Llama").locator(".models-count")).to_have_text("serves 1\u00a0request")
        with asking(site.program, "qwen") as waiting:
            turn = page.locator(".models-turn")
            expect(turn).to_contain_text("waits for Llama to finish 1\u00a0request, then qwen loads")
            turn.get_by_role("button", name=re.compile("Cancel request")).click()
            expect(turn).to_have_count(0)
            waiting.join(10)
            assert not waiting.is_alive()

        row(page, "Llama").locator(".models-count").click()
        expect(row(page, "Llama").locator(".models-users")).to_contain_text("POST /v1/chat/completions")


def test_unloading_what_is_used_is_asked_for_first(site: Site) -> None:
    page = site.open("/models")
    assert load(site.program, "llama") == 200

    with asking(site.program, "llama"):
        expect(row(page, "Llama").locator(".models-count")).to_be_visible()
        button(page, "Unload all").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("1\u00a0request in flight will be cut.")
        button(dialog, "Keep").click()
        expect(row(page, "Llama").locator(".state-text")).to_have_text("ready")
        button(page, "Unload Llama").click()
        button(dialog, "Unload").click()

        expect(row(page, "Llama").locator(".state-text")).to_have_text("stopped")


def test_search_is_in_the_address_and_pins_and_unlisted_ones_are_remembered(site: Site) -> None:
    page = site.open("/models?q=one")
    expect(page.locator(".models-row")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    expect(page.locator(".models-row")).to_have_count(6)

    page.get_by_role("switch", name="Show unlisted models").uncheck()
    page.get_by_role("button", name="Keep qwen at the top").click()
    page.reload()

    expect(page.locator(".models-row").first).to_contain_text("qwen")
    expect(page.locator(".models-row")).to_have_count(5)


def test_profiles_and_selectors_say_what_names_mean(site: Site) -> None:
    page = site.open("/models")
    profiles = page.get_by_role("region", name="Profiles")
    expect(profiles).to_contain_text("qwen")
    expect(profiles).to_contain_text("disabled")
    expect(page.get_by_role("region", name="Selectors")).to_contain_text("warm")

    button(page, "Use the profile night").click()

    expect(profiles).to_contain_text("active")
    assert httpx.get(f"{site.program.url}/api/profiles").json()["active"] == "night"


def test_keyboard_alone_loads_a_model_and_opens_its_page(site: Site) -> None:
    page = site.open("/models")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("llama")
    button(page, "Load Llama").focus()
    page.keyboard.press("Enter")
    expect(row(page, "Llama").locator(".state-text")).to_have_text("ready")

    row(page, "Llama").get_by_role("link", name="Llama", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Activity").focus()
    page.keyboard.press("End")

    expect(page).to_have_url(re.compile(r"/ui/models/llama\?tab=details$"))
    expect(page.get_by_role("tabpanel")).to_contain_text("Process id")


def test_page_of_a_model_shows_its_log_and_its_command_without_secrets(site: Site) -> None:
    assert load(site.program, "llama") == 200
    page = site.open("/models/gpt-4o-mini?tab=logs")
    expect(page.get_by_role("tabpanel")).to_contain_text("fake upstream 'llama' on port")

    page.get_by_role("tab", name="Details").click()

    command = page.get_by_role("region", name="Command")
    expect(command).to_contain_text("HF_TOKEN=[REDACTED]")
    expect(command).to_contain_text("API_KEY")
    expect(page.locator("body")).not_to_contain_text(re.compile("hf-secret|other-secret"))
    expect(page.get_by_role("region", name="Swapping")).to_contain_text("runs one model at a time")


def test_model_that_there_is_not_is_said_so_with_a_way_back(site: Site) -> None:
    page = site.open("/models/llamas")
    expect(page.locator("main")).to_contain_text("There is no model “llamas”")

    page.get_by_role("link", name="All models").click()

    expect(page.locator(".models-row").first).to_be_visible()


def test_page_in_the_middle_of_things_is_accessible(site: Site) -> None:
    page = site.open("/models")
    assert load(site.program, "llama") == 200
    with asking(site.program, "llama"):
        row(page, "Llama").locator(".models-count").click()
        with asking(site.program, "qwen"):
            expect(page.locator(".models-turn")).to_be_visible()
            page.get_by_text(re.compile("changes?, in words$")).click()

            assert site.violations() == []
