"""What the page tells of the machine, of itself and of the configuration."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.program import Program, hostler
from tests.ui.browsing import CONFIG, Site, visiting

pytestmark = pytest.mark.browser


def test_performance_draws_what_was_sampled_and_fetches_only_what_is_new(site: Site) -> None:
    site.page.add_init_script("localStorage.setItem('hostler.performance.refresh', '\"5\"')")
    with site.page.expect_request(re.compile(r"/api/performance\?after=")) as later:
        page = site.open("/performance")
        memory = page.get_by_role("region", name="Memory and swap")
        expect(memory.locator("canvas")).to_be_visible()
        expect(memory.get_by_role("button", name=re.compile(r"^Memory .*GiB of .*GiB"))).to_be_visible()

    assert "after=20" in later.value.url

    memory.get_by_text("In numbers").click()
    expect(memory.get_by_role("row", name=re.compile("^Memory"))).to_contain_text("%")

    memory.locator(".chart-plot").focus()
    page.keyboard.press("ArrowLeft")
    expect(memory.locator("[aria-live]")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d: Memory \d"))


def test_performance_that_is_switched_off_is_said_in_words(tmp_path: Path, chromium: Browser) -> None:
    config = CONFIG + "performance: {disabled: true}\n"
    with hostler(tmp_path, config) as program, visiting(program, chromium) as site:
        page = site.open("/performance")

        expect(page.get_by_text("The machine is not being watched")).to_be_visible()
        assert all("503" in problem for problem in site.problems)


def test_hardware_is_told_as_cards_and_as_text(site: Site) -> None:
    page = site.open("/hardware")
    expect(page.get_by_role("region", name="Processors")).to_contain_text("core")

    page.get_by_role("tab", name="Text").click()

    expect(page.get_by_label("The machine as text")).to_contain_text("Operating system")


def test_settings_hold_at_once_and_after_loading_anew(site: Site) -> None:
    page = site.open("/settings")

    page.get_by_label("Solarized").check()
    page.get_by_label("Dark").check()
    page.get_by_label("Title").fill("Attic")

    for _ in range(2):
        expect(page.locator("html")).to_have_attribute("data-palette", "solarized")
        expect(page.locator("html")).to_have_attribute("data-mode", "dark")
        expect(page).to_have_title(re.compile("Attic"))
        page.reload()
        page.locator("html[data-connection=open]").wait_for(state="attached")

    page.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Forget them").click()

    expect(page).to_have_title(re.compile("Hostler"))
    expect(page.locator("html")).not_to_have_attribute("data-mode", "dark")


def test_settings_say_where_to_point_clients(site: Site) -> None:
    page = site.open("/settings")

    page.get_by_role("tab", name="Anthropic").click()

    expect(page.get_by_label("Example for Anthropic")).to_contain_text(f"curl {site.program.url}/v1/messages")


def test_configuration_is_reloaded_after_telling_what_that_changes(tmp_path: Path, chromium: Browser) -> None:
    secret = "--api-key tell-nobody"
    config = CONFIG.replace("--port ${PORT}", f"--port ${{PORT}} --model {secret}", 1)
    file = tmp_path / "config.yaml"
    with hostler(tmp_path, config) as program, visiting(program, chromium) as site:
        page = site.open("/configuration?model=llama")
        model = page.get_by_role("group", name="Values of llama")
        expect(model).to_contain_text("name: Llama (not the default)")
        assert "tell-nobody" not in page.content()

        file.write_text(config.replace("name: Llama", "name: Camel"))
        page.get_by_role("button", name="Reload…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("changed llama name")
        dialog.get_by_role("button", name="Reload now").click()

        expect(model).to_contain_text("name: Camel")
        expect(page.get_by_role("region", name="Last reload")).to_contain_text("taken over")
        assert site.problems == []


def test_reload_that_failed_is_told_with_its_place_and_remedy(
    program: Program, chromium: Browser, tmp_path: Path
) -> None:
    with visiting(program, chromium) as site:
        page = site.open("/configuration")
        (tmp_path / "config.yaml").write_text(CONFIG.replace("captureBuffer: 8", "captureBuffer: soon"))

        program.process.send_signal(signal.SIGHUP)

        told = page.get_by_role("region", name="Last reload")
        expect(told).to_contain_text("failed")
        expect(told).to_contain_text("config.yaml:2 at captureBuffer")
        expect(told).to_contain_text("What to do: write e.g. captureBuffer: 4")
        assert site.problems == []


def test_search_finds_settings_by_the_words_above_them(site: Site) -> None:
    page = site.open("/configuration")

    page.get_by_role("searchbox", name="Search the configuration").fill("qwen timeouts connect")

    expect(page.get_by_role("group", name="Values of")).to_have_count(1)
    expect(page.get_by_role("group", name="Values of qwen")).to_contain_text("connect: 30")
