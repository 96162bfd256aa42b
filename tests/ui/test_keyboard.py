"""The main tasks without a mouse, and the focus is always to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.program import Program
from tests.ui.browsing import Site

pytestmark = pytest.mark.browser

MOST_STOPS = 60
"""Presses of Tab within which everything on a page is reached."""

NAME_OF = """(element) => {
  const label = element.labels?.[0]?.textContent ?? "";
  return (element.getAttribute("aria-label") ?? (label || element.textContent || element.title)).trim().slice(0, 50);
}"""

FOCUSED = (
    f"""() => {{ const nameOf = {NAME_OF};"""
    """
  const element = document.activeElement;
  const own = getComputedStyle(element);
  // A field in a frame of its own may leave it to the frame to show the focus.
  const framed = [element, element.parentElement, element.parentElement?.parentElement].filter(Boolean).map(getComputedStyle)
    .some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none");
  const box = element.getBoundingClientRect();
  return {
    name: nameOf(element),
    tag: element.tagName,
    marked: framed || own.borderColor === own.getPropertyValue("--focus"),
    seen: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    html: element.outerHTML.slice(0, 200),
  };
}"""
)

REACHABLE = (
    f"""(name) => {{ const nameOf = {NAME_OF};"""
    """
  const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
  return [...all].some((element) => element.tabIndex >= 0 && element.checkVisibility() && nameOf(element).startsWith(name));
}"""
)


def tab_to(page: Page, name: str, *, key: str = "Tab") -> None:
    """Presses *key* until what is called *name* has the focus; all on the way is to show that it has it."""
    # A view may still be on its way.
    page.wait_for_function(REACHABLE, arg=name)
    passed: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        now = page.evaluate(FOCUSED)
        assert now["tag"] == "BODY" or (now["marked"] and now["seen"]), now
        passed.append(now["name"])
        if now["name"].startswith(name):
            return
    raise AssertionError(f"{name} is not among {passed}")


def command(page: Page, words: str) -> None:
    """Runs what the command palette finds first for *words*."""
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search commands")
    expect(field).to_be_focused()
    page.keyboard.type(words)
    expect(page.get_by_role("dialog").get_by_role("option", selected=True)).to_contain_text(words, ignore_case=True)
    page.keyboard.press("Enter")
    expect(field).to_have_count(0)


def test_a_model_is_loaded_and_unloaded(site: Site) -> None:
    page = site.open("/models")
    row = page.locator(".models-row", has=page.get_by_role("link", name="Llama"))

    tab_to(page, "Load Llama")
    page.keyboard.press("Enter")
    expect(row.get_by_role("button", name="Unload Llama")).to_be_visible()
    # The focus is where it was, on the button that now does the opposite.
    expect(row.get_by_role("button", name="Unload Llama")).to_be_focused()
    # While the load itself is still told of as under way, unloading is asked for first.
    expect(row).not_to_contain_text("serves")
    page.keyboard.press("Space")
    expect(row.get_by_role("button", name="Load Llama", exact=True)).to_be_visible()


def test_the_palette_goes_anywhere_and_gives_the_focus_back(site: Site) -> None:
    page = site.open("/activity")
    command(page, "Load qwen")
    command(page, "Models")
    expect(page).to_have_url(f"{site.program.url}/ui/models")
    expect(page.get_by_role("button", name="Unload qwen")).to_be_visible()
    command(page, "Theme: dark")
    expect(page.locator("html")).to_have_attribute("data-mode", "dark")

    tab_to(page, "Find a model")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search commands")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox", name="Find a model")).to_be_focused()


def test_a_profile_is_chosen(site: Site) -> None:
    page = site.open("/models")
    tab_to(page, "Profile")
    with page.expect_response("**/api/profiles/active") as answer:
        page.keyboard.press("ArrowDown")
    assert answer.value.ok
    expect(page.get_by_label("Profile", exact=True)).to_have_value("night")


def test_the_theme_is_changed(site: Site) -> None:
    page = site.open("/settings")
    tab_to(page, "Theme")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-mode", "light")
    page.keyboard.press("Space")
    expect(page.locator("html")).to_have_attribute("data-mode", "dark")


def test_a_capture_is_found_opened_and_closed(site: Site, program: Program) -> None:
    program.chat("llama")
    program.chat("broken")
    page = site.open("/activity")
    rows = page.get_by_role("region", name="Requests", exact=True).locator("tbody tr.activity-row")
    expect(rows).to_have_count(2)

    tab_to(page, "Filters")
    page.keyboard.press("Enter")
    tab_to(page, "2xx")
    page.keyboard.press("Space")
    expect(rows).to_have_count(1)
    tab_to(page, "View capture")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Request")).to_be_visible()
    tab_to(page, "Pretty")
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("tab", name="Raw", selected=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate(FOCUSED)["name"].startswith("View capture")


def test_keys_that_follow_at_once_are_for_what_was_opened(site: Site, program: Program) -> None:
    program.chat("llama")
    page = site.open("/activity")
    tab_to(page, "Export")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Export")).to_be_focused()

    history = page.get_by_role("region", name="History")
    tab_to(page, "Columns")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    columns = page.get_by_role("dialog", name="Columns")
    expect(columns.get_by_role("checkbox").first).to_be_visible()
    expect(columns.get_by_role("checkbox", checked=False).first).to_be_focused()
    page.keyboard.press("Escape")
    expect(history.get_by_role("button", name="Columns")).to_be_focused()


def test_tabs_are_one_stop_and_the_arrows_move_in_them(site: Site) -> None:
    page = site.open("/models/llama")
    tab_to(page, "Activity")
    while page.evaluate("document.activeElement.role") != "tab":
        tab_to(page, "Activity")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Details")).to_be_focused()
    expect(page.get_by_role("tab", name="Details")).to_have_attribute("aria-selected", "true")
    expect(page).to_have_url(f"{site.program.url}/ui/models/llama?tab=details")


def test_a_message_is_sent_and_its_answer_stopped(site: Site) -> None:
    settings = '{"extra": "{\\"events\\": 500, \\"interval_s\\": 0.05}"}'
    site.page.add_init_script(f"localStorage['hostler.playground.chat-settings'] ??= {settings!r}")
    page = site.open("/playground/chat?model=llama")
    tab_to(page, "Message")
    page.keyboard.type("Tell me a long story")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-answer")).to_contain_text("fake 2")
    tab_to(page, "Stop")
    page.keyboard.press("Enter")
    expect(page.get_by_label("What it took")).to_contain_text("stopped by you")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_a_view_that_comes_late_does_not_take_the_focus_away(site: Site) -> None:
    held: list[Route] = []
    site.page.route("**/playground/composer.js", lambda route: held.append(route))
    with site.page.expect_request("**/playground/composer.js"):
        page = site.open("/playground/chat?model=llama")
    tab_to(page, "Hardware")
    for route in held:
        route.continue_()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    expect(page.get_by_role("link", name="Hardware")).to_be_focused()

    # Who comes by a link wants to write.
    page.get_by_role("link", name="Logs", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Logs", level=1)).to_be_visible()
    page.get_by_role("link", name="Playground", exact=True).first.press("Enter")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


@contextmanager
def without_commands(site: Site) -> Iterator[Page]:
    """Opens a page whose palette has nothing to offer yet: the module that knows the commands comes when the block ends."""
    held: list[Route] = []
    site.page.route("**/state/commands.js", lambda route: held.append(route))
    page = site.open("/activity")
    with page.expect_request("**/state/commands.js"):
        yield page
    page.evaluate("'the request is with us'")
    for route in held:
        route.continue_()
    assert held


def test_what_is_typed_before_the_palette_has_its_commands_is_not_lost(site: Site) -> None:
    with without_commands(site) as page:
        sidebar = page.locator(".shell").get_attribute("class")
        page.keyboard.press("Control+k")
        # "[" and "?" alone are other shortcuts, of the page.
        page.keyboard.type("[?")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        page.keyboard.type("load qwen")
        page.keyboard.press("Enter")

        field = page.get_by_role("combobox", name="Search commands")
        expect(field).to_have_value("load qwen")
        expect(field).to_be_focused()
        expect(page.get_by_role("dialog", name="Commands").get_by_role("status")).to_contain_text("once the commands")
        assert site.violations() == []
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{site.program.url}/ui/models")
    expect(page.get_by_role("button", name="Unload qwen")).to_be_visible()
    assert page.locator(".shell").get_attribute("class") == sidebar


def test_a_profile_is_chosen_in_the_first_moment_of_a_visit(site: Site) -> None:
    """The commands are there before the profiles are: Enter waits for both."""
    site.page.goto(f"{site.program.url}/ui/models")
    site.page.keyboard.press("Control+k")
    site.page.keyboard.type("profile night")
    site.page.keyboard.press("Enter")
    expect(site.page.get_by_role("dialog")).to_have_count(0)
    expect(site.page.get_by_label("Profile", exact=True)).to_have_value("night")


def test_the_arrows_pressed_before_the_palette_has_its_commands_count(site: Site) -> None:
    with without_commands(site) as page:
        page.keyboard.press("/")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
    options = page.get_by_role("dialog").get_by_role("option")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    field = page.get_by_role("combobox", name="Search commands")
    expect(field).to_have_attribute("aria-activedescendant", options.nth(1).get_attribute("id") or "")
    expect(field).to_be_focused()
    assert site.violations() == []


def test_escape_closes_the_palette_before_it_has_its_commands(site: Site) -> None:
    with without_commands(site) as page:
        tab_to(page, "Filters")
        page.keyboard.press("Control+k")
        page.keyboard.type("models")
        page.keyboard.press("Enter")
        expect(page.get_by_role("combobox", name="Search commands")).to_have_value("models")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name="Filters")).to_be_focused()
    page.wait_for_load_state("networkidle")
    expect(page).to_have_url(f"{site.program.url}/ui/activity")
