"""What the page of a model's server can do in a browser that remembers the visitor's key."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.program import Program, hostler
from tests.ui import talker

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PAGE = "<!doctype html><title>theirs</title><p>of the model's server</p><script>%s</script>"

TRIES = """
const tries = {
  storage: () => { localStorage.setItem("theirs", "1"); return "stored"; },
  read: () => fetch(OURS + "/api/metrics/activity", { credentials: "include" }).then((answer) => answer.text()),
  unload: () => fetch(OURS + "/api/models/unload", { method: "POST", mode: "no-cors", credentials: "include" }),
  visit: () => fetch(OURS + "/unload", { mode: "no-cors", credentials: "include" }),
  picture: () => new Promise((done) => {
    const image = new Image(); image.onload = image.onerror = done; image.src = OURS + "/unload";
  }),
};
window.outcome = (async () => {
  const told = {};
  for (const [name, attempt] of Object.entries(tries)) {
    try { await attempt(); told[name] = "done"; } catch (error) { told[name] = error.name; }
  }
  return told;
})();
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    (tmp_path / "pages").mkdir()
    command = [sys.executable, talker.PROGRAM, str(tmp_path / "pages"), "--port"]
    config = f"apiKeys: [sk-secret]\nmodels:\n  site:\n    cmd: {shlex.join(command)} ${{PORT}}\n"
    with hostler(tmp_path, config, "--pages-listen", "127.0.0.1:0") as running:
        running.until(lambda: "models' own pages are on port" in running.text())
        (tmp_path / "pages" / "index.html").write_text(PAGE % f"const OURS = {running.url!r};{TRIES}")
        yield running


@pytest.fixture
def page(program: Program, chromium: Browser) -> Iterator[Page]:
    """A window whose visitor has shown the key to both ports, and has visited Hostler's page."""
    with chromium.new_context(http_credentials={"username": "", "password": "sk-secret"}) as context:
        page = context.new_page()
        page.goto(f"{program.url}/ui/favicon.svg")
        page.evaluate("localStorage.setItem('ours', 'secret')")
        yield page


def statuses(program: Program) -> set[str]:
    """Returns how the tries to unload were answered, as the access log has it; the model's own `/unload` is not among them."""
    found: list[str] = []

    def all_logged() -> bool:
        # Three tries, each of which the browser may make again with the key; the log is a moment behind.
        found[:] = re.findall(r'"(?:GET /unload|POST /api/models/unload) [^"]*" (\d+)', program.text())
        return len(found) >= 3

    program.until(all_logged)
    return set(found)


def test_page_at_our_address_is_nobodys(program: Program, page: Page) -> None:
    page.goto(f"{program.url}/upstream/site/")
    told = page.evaluate("outcome")

    assert page.title() == "theirs"
    assert page.evaluate("origin") == "null"
    assert (told["storage"], told["read"]) == ("SecurityError", "TypeError")
    assert statuses(program) in ({"401"}, {"403"}, {"401", "403"})


def test_page_that_answers_a_form_is_nobodys_either(program: Program, page: Page) -> None:
    page.goto("about:blank")
    page.set_content(f"<form method=post action={program.url}/upstream/site/index.html><button>send</button></form>")
    page.get_by_text("send").click()
    page.wait_for_url("**/index.html")
    told = page.evaluate("outcome")

    assert page.title() == "theirs"
    assert (told["storage"], told["read"]) == ("SecurityError", "TypeError")
    assert statuses(program) in ({"401"}, {"403"}, {"401", "403"})


def test_page_on_its_own_port_is_itself_and_not_us(program: Program, page: Page) -> None:
    found = re.search(r"models' own pages are on port (\d+)", program.text())
    assert found is not None
    page.goto(f"http://127.0.0.1:{found[1]}/upstream/site/")
    told = page.evaluate("outcome")

    assert (told["storage"], told["read"]) == ("done", "TypeError")
    assert page.evaluate("localStorage.getItem('ours')") is None
    assert statuses(program) in ({"403"}, {"401", "403"})
