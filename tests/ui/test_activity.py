"""The activity: what was asked is found again, in the order and the columns one likes, and what is under way can be ended."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.program import Program
from tests.ui.browsing import Site

pytestmark = pytest.mark.browser

ROWS = "main .activity-table .activity-row"


@contextlib.contextmanager
def asking(program: Program, model: str) -> Iterator[list[int]]:
    """Is a request that nobody answers; gives what becomes of it, once it is over."""
    ended: list[int] = []

    def ask() -> None:
        # It ends when it is cancelled, and at the latest with Hostler.
        with contextlib.suppress(httpx.HTTPError):
            body = {"model": model, "delay_s": 600, "messages": []}
            ended.append(httpx.post(f"{program.url}/v1/chat/completions", json=body, timeout=600).status_code)

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    yield ended
    client.join(30)


def test_requests_appear_as_they_end_and_totals_count_what_is_known(site: Site) -> None:
    page = site.open("/activity")
    expect(page.get_by_text("Nothing is in flight")).to_be_visible()
    for _ in range(3):
        assert site.program.chat("llama").status_code == 200

    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator(f"{ROWS} td.is-cached, {ROWS} td.cached").first).to_have_text("\N{EN DASH}")
    expect(page.locator(".activity-totals")).to_contain_text("3")


def test_request_in_flight_is_seen_and_cancelled(site: Site) -> None:
    page = site.open("/activity")
    with asking(site.program, "llama") as ended:
        row = page.locator(".activity-inflight-table tbody tr")
        expect(row).to_contain_text("/v1/chat/completions")
        row.get_by_role("button", name="Cancel").click()

        expect(page.get_by_text("Nothing is in flight")).to_be_visible()
    assert ended == [502]
    expect(page.locator(ROWS)).to_contain_text("502")


def test_filters_order_and_page_are_in_the_address(site: Site) -> None:
    for model in ("llama", "qwen", "nobody"):
        for _ in range(4):
            site.program.chat(model)
    page = site.open("/activity?model=llama&model=nobody&sort=id&order=asc")

    expect(page.locator(ROWS)).to_have_count(8)
    expect(page.locator(f"{ROWS} >> nth=0")).to_contain_text("Llama")
    page.get_by_role("button", name="Filter").first.click()
    page.get_by_label("Other codes").fill("404")
    expect(page.locator(ROWS)).to_have_count(4)
    assert "status=404" in page.url
    # Who is sent the address sees the same.
    page.reload()
    expect(page.locator(ROWS)).to_have_count(4)


def test_capture_is_opened_by_its_address_and_the_focus_comes_back(site: Site) -> None:
    assert site.program.chat("llama", messages=[{"role": "user", "content": "Who are you?"}]).status_code == 200
    page = site.open("/activity?capture=1")
    dialog = page.get_by_role("dialog")

    expect(dialog).to_contain_text("Who are you?")
    assert site.violations() == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert "capture" not in page.url
    view = page.locator(ROWS).get_by_role("button", name="View")
    view.click()
    expect(dialog).to_contain_text("Who are you?")
    page.keyboard.press("Escape")
    expect(view).to_be_focused()


def test_columns_are_chosen_and_remembered(site: Site) -> None:
    assert site.program.chat("llama").status_code == 200
    page = site.open("/activity")
    history = page.locator("main section, main .card").filter(has=page.locator(".activity-table"))
    expect(page.get_by_role("columnheader", name="Path")).to_have_count(0)
    history.get_by_role("button", name="Columns").last.click()
    page.get_by_label("Path", exact=True).check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="Path")).to_be_visible()

    page.reload()
    expect(page.get_by_role("columnheader", name="Path")).to_be_visible()


def test_what_is_shown_is_exported_as_markdown_and_all_of_it_as_a_table(site: Site) -> None:
    assert site.program.chat("llama").status_code == 200
    page = site.open("/activity")
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_role("button", name="Export").click()
    page.get_by_role("menuitem", name="Markdown").click()
    expect(page.get_by_role("textbox", name="Markdown")).to_have_value(
        re.compile(r"Requests \| 1 \|[\s\S]*\| llama \|")
    )
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="CSV").click()
    assert download.value.path().read_text().startswith("id,timestamp,model")
