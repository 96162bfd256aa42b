"""Takes pictures of every page of the web UI: `python -m tests.ui.screenshots [FOLDER]`.

A Hostler runs with models that only talk, and is used as it would be; the pages are taken in light and dark, on a laptop and a phone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.program import ROOT, Program, hostler
from tests.ui import machine
from tests.ui.browsing import PATIENCE_MS
from tests.ui.conftest import FLAGS
from tests.ui.demo import CHAT, CODER, CONFIG, PAINTER, SMALL, busy, furnish, use

QUALITY = 48

SIZES = {"": (1280, 800), "phone-": (360, 740)}


@dataclass
class Shot:
    """A page, and what is done on it before its picture is taken."""

    name: str
    path: str
    about: str
    act: Callable[[Page], object] = lambda page: None
    meanwhile: bool = False
    """Whether requests are in flight and wait while it is taken."""


def say(page: Page, text: str, label: str = "Message") -> None:
    page.get_by_role("textbox", name=label).fill(text)
    page.keyboard.press("Enter")


def chat(page: Page) -> None:
    say(page, "How do I solve a quadratic equation without losing digits?")
    expect(page.get_by_label("What it took")).to_be_visible()
    page.locator("math").first.wait_for()


def compare(page: Page) -> None:
    say(page, "Tell me a story about rain.", "Message to both")
    expect(page.get_by_label("What it took")).to_have_count(2)


def paint(page: Page) -> None:
    for prompt in ("a lighthouse in fog", "the same, at night", "a harbour in the morning, seen from above"):
        page.get_by_label("Prompt", exact=True).fill(prompt)
        page.get_by_role("button", name="Paint", exact=True).click()
        expect(page.get_by_role("button", name="Paint", exact=True)).to_be_enabled()


def load(page: Page) -> None:
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_text("The test is over.").wait_for(state="attached")


def captured(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("tab", name="Chat").last.wait_for()


def palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search commands")).to_be_focused()
    page.keyboard.type("load")
    page.get_by_role("dialog").get_by_role("option").first.wait_for()


def asked_for(page: Page) -> None:
    page.get_by_placeholder("Filter lines").first.fill("POST /v1|stopping|starting")


def below(page: Page) -> None:
    page.locator(".models-list").first.evaluate("list => list.closest('section').scrollIntoView()")
    page.mouse.wheel(0, -110)


SHOTS = [
    Shot("activity", "/activity", "What was asked, what it took, and what is in flight.", meanwhile=True),
    Shot("capture", "/activity?capture=3", "One exchange: headers, the conversation, the bodies.", captured),
    Shot("models", "/models", "How each model stands, who waits, and what was in memory when.", meanwhile=True),
    Shot("models-list", "/models", "The models themselves, with what each can do.", below, meanwhile=True),
    Shot("model", f"/models/{CHAT}", "One model: what it does now, and its own requests.", meanwhile=True),
    Shot("model-details", f"/models/{CHAT}?tab=details", "Its command, its settings, how it runs beside others."),
    Shot("chat", "/playground/chat", "A conversation: thoughts, formulas, code, and what the answer took.", chat),
    Shot("compare", "/playground/compare", "Two models, one question: what it costs to swap between them.", compare),
    Shot("images", "/playground/images", "Pictures from a prompt.", paint),
    Shot("load-test", "/playground/load-test", "Many requests at once: each one's wait, load and answer.", load),
    Shot("logs", "/logs?tab=both", "Hostler's log and the model servers' beside each other.", asked_for),
    Shot("performance", "/performance", "The machine over time."),
    Shot("hardware", "/hardware", "What the machine is."),
    Shot("configuration", "/configuration", "The configuration in force, and what a reload would change."),
    Shot("settings", "/settings", "Appearance, clients, version."),
    Shot("palette", "/models", "Everything from the keyboard.", palette),
]

KEPT = {
    "playground.chat-model": CHAT,
    "playground.compare-model-a": CHAT,
    "playground.compare-model-b": CODER,
    "playground.images-model": PAINTER,
    "playground.rerank-model": "bge-reranker-v2",
    "playground.load-queue": [CHAT, CODER, SMALL, CHAT, SMALL, CODER],
    "playground.load-max-tokens": 48,
    "configuration.model": CHAT,
}


def take(program: Program, browser: Browser, folder: Path, size: str, shots: list[Shot]) -> None:
    width, height = SIZES[size]
    is_phone = size != ""
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", has_touch=is_phone, is_mobile=is_phone
    )
    context.set_default_timeout(2 * PATIENCE_MS)
    kept = {f"hostler.{key}": json.dumps(value) for key, value in KEPT.items()}
    context.add_init_script(
        f"for (const [key, value] of Object.entries({json.dumps(kept)})) localStorage[key] ??= value"
    )
    page = context.new_page()
    page.route("**/api/hardware", lambda route: route.fulfill(json=machine.hardware(machine.now())))
    page.route(
        "**/api/performance*", lambda route: route.fulfill(json=machine.performance(machine.now(), (CHAT, CODER)))
    )
    for shot in shots:
        page.goto(f"{program.url}/ui{shot.path}")
        page.locator("html[data-connection=open]").wait_for(state="attached")
        page.locator("main h1").wait_for(state="attached")
        shot.act(page)
        # For what is drawn once, a little after it is there: charts, pictures, fonts.
        page.wait_for_timeout(900)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.wait_for_timeout(150)
            page.screenshot(path=folder / f"{shot.name}-{size}{scheme}.jpg", type="jpeg", quality=QUALITY)
    context.close()


def main(folder: Path, only: list[str]) -> None:
    """Writes the pictures, and a page that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    chosen = [shot for shot in SHOTS if not only or shot.name in only]
    expect.set_options(timeout=2 * PATIENCE_MS)
    with tempfile.TemporaryDirectory(prefix="hostler-") as temporary:
        furnish(Path(temporary))
        with hostler(Path(temporary), CONFIG) as program, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("HOSTLER_CHROMIUM", found), args=[*FLAGS]
            )
            use(program)
            for size in SIZES:
                take(program, browser, folder, size, [shot for shot in chosen if not shot.meanwhile])
                with busy(program):
                    take(program, browser, folder, size, [shot for shot in chosen if shot.meanwhile])
            browser.close()
    lines = [f"| [{s.name}]({s.name}-light.jpg) | {s.about} | {_links(s)} |" for s in SHOTS]
    (folder / "README.md").write_text(
        "# Pictures of the web UI\n\nMade by `python -m tests.ui.screenshots`, of a Hostler with models that only talk, on a\nmachine that is made up.\n\n"
        "| page | what it shows | others |\n|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def _links(shot: Shot) -> str:
    others = {"dark": "dark", "phone": "phone-light", "phone, dark": "phone-dark"}
    return ", ".join(f"[{words}]({shot.name}-{name}.jpg)" for words, name in others.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots", sys.argv[2:])
