"""The playground's tabs that are no chat: pictures, speech, recordings, rankings, load tests; and whom they ask."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.program import hostler
from tests.ui.browsing import CONFIG, SERVER, Site, visiting

pytestmark = pytest.mark.browser

SLOW = CONFIG.replace(f"{SERVER} --port", f"{SERVER} --start-delay 1 --port")
"""Every model takes a second to load: long enough to be seen waiting."""

NEVER_READY = CONFIG.replace(f"{SERVER} --port", f"{SERVER} --start-delay 600 --port")


@pytest.fixture
def slow(tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """A window on a Hostler whose models take their time."""
    with hostler(tmp_path, SLOW) as running, visiting(running, chromium) as site:
        yield site
        assert site.problems == []


@pytest.fixture
def never_ready(tmp_path: Path, chromium: Browser) -> Iterator[Site]:
    """A window on a Hostler whose models load for as long as they are let."""
    with hostler(tmp_path, NEVER_READY) as running, visiting(running, chromium) as site:
        yield site
        assert site.problems == []


def choose(page: Page, label: str, name: str) -> None:
    picker = page.get_by_role("combobox", name=label, exact=True)
    picker.click()
    picker.fill(name)
    picker.press("Enter")


def png() -> bytes:
    """Returns a picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\x80\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_pictures_are_painted_shown_whole_and_kept(site: Site) -> None:
    asked: list[object] = []

    def paint(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(json={"images": [base64.b64encode(png()).decode()] * 2})

    page = site.open("/playground/images?model=llama")
    # The fake upstream's pictures are too broken to be looked at.
    page.route("**/sdapi/v1/txt2img", paint)
    page.get_by_label("How", exact=True).select_option("sdapi")
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_role("button", name="Ask the model for its LoRAs").click()
    page.get_by_label("Add a LoRA").select_option("fake-lora")
    page.get_by_label("Strength of fake-lora").fill("0.5")
    page.get_by_label("Prompt", exact=True).fill("a <b>cat</b>")
    page.get_by_role("button", name="Paint").click()
    expect(page.locator(".picture-open img")).to_have_count(2)

    assert asked == [
        {
            "model": "llama", "prompt": "a <b>cat</b>", "width": 1024, "height": 1024, "steps": 20, "cfg_scale": 7, "seed": -1,
            "batch_size": 2, "lora": [{"path": "/loras/fake-lora.safetensors", "multiplier": 0.5}],
        }
    ]  # fmt: skip
    assert site.violations() == []
    page.locator(".picture-open").first.click()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Picture 2 of 2")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "a-b-cat-b-2.png"


def test_picture_that_cannot_be_shown_is_said_to_be_one(site: Site) -> None:
    page = site.open("/playground/images?model=llama")
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.keyboard.press("Enter")

    expect(page.get_by_text("The browser cannot show what came.")).to_be_visible()


def test_pictures_are_changed_by_an_upload(site: Site) -> None:
    page = site.open("/playground/images?model=llama")
    page.get_by_label("How", exact=True).select_option("edit")
    page.get_by_label("What is to be changed").fill("a hat")
    expect(page.get_by_role("button", name="Paint")).to_be_disabled()
    page.get_by_label("Picture to change").set_input_files(
        FilePayload(name="cat.png", mimeType="image/png", buffer=png())
    )
    with page.expect_request("**/v1/images/edits") as asked:
        page.get_by_role("button", name="Paint").click()

    assert asked.value.method == "POST"
    expect(page.locator(".picture-batch")).to_have_count(1)


def test_failure_is_told_in_the_server_s_words_and_can_be_tried_again(site: Site) -> None:
    page = site.open("/playground/images?model=broken")
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.keyboard.press("Enter")
    notice = page.get_by_role("alert").filter(has_text="exited with code 3")
    expect(notice).to_be_visible()
    notice.get_by_role("button", name="Try again").click()
    expect(notice).to_be_visible()

    assert site.violations() == []
    # The browser notes each answer that is an error; what has just failed to start is refused for a while.
    assert all(re.search(r"50[03] \(", problem) for problem in site.problems)
    site.problems.clear()


def test_task_that_waits_says_why_goes_on_elsewhere_and_can_be_cancelled(never_ready: Site) -> None:
    page = never_ready.open("/playground/images?model=llama")
    page.get_by_label("Prompt", exact=True).fill("a cat")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Llama is being loaded")).to_be_visible()
    page.get_by_role("tab", name="Rerank").click()
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_text("Stopped after")).to_be_visible()


def test_words_are_spoken_by_a_voice_that_the_server_tells_of(site: Site) -> None:
    page = site.open("/playground/speech?model=llama")
    expect(page.get_by_label("Voice", exact=True)).to_have_value("alloy")
    page.get_by_label("Text", exact=True).fill("Hello, world")
    page.get_by_role("button", name="Speak", exact=True).click()
    expect(page.locator("audio")).to_be_attached()
    # The model is ready now: to ask for its voices costs nothing.
    expect(page.get_by_label("Voice", exact=True)).to_have_value("fake-voice")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "hello-world.mp3"
    assert site.violations() == []


def test_recording_is_transcribed_and_anything_else_refused(site: Site) -> None:
    page = site.open("/playground/transcription")
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value("whisper")
    field = page.locator("input[type=file]")
    field.set_input_files(FilePayload(name="page.html", mimeType="text/html", buffer=b"<p>"))
    expect(page.get_by_role("alert")).to_contain_text("page.html is none of these: MP3, WAV, OGG.")
    field.set_input_files(FilePayload(name="talk.mp3", mimeType="audio/mpeg", buffer=b"ID3" + bytes(9000)))
    page.get_by_role("button", name="Transcribe").click()

    expect(page.locator(".transcript")).to_have_text("fake")
    assert site.violations() == []


def test_documents_are_ranked_by_keyboard_and_as_json(site: Site) -> None:
    page = site.open("/playground/rerank?model=llama")
    page.get_by_label("Document 4", exact=True).focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("Whales are no fish.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".ranking > li")).to_have_count(5)
    assert page.locator(".ranking-score").all_inner_texts() == ["1.0000", "0.5000", "0.3333", "0.2500", "0.2000"]
    expect(page.locator(".ranking-foot")).to_contain_text("2 tokens")
    assert site.violations() == []

    page.get_by_role("button", name="As JSON").click()
    assert json.loads(page.get_by_label("JSON", exact=True).input_value())["documents"][4] == "Whales are no fish."
    page.get_by_label("JSON", exact=True).fill('{"query": "q", "documents": [1]}')
    expect(page.get_by_text("Document 1 must be a text")).to_be_visible()
    expect(page.get_by_role("button", name="Rank", exact=True)).to_be_disabled()


def test_load_test_shows_what_swapping_does_to_each_request(slow: Site) -> None:
    page = slow.open("/playground/load-test")
    for name in ("llama", "qwen", "llama"):
        choose(page, "Add a request to", name)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    expect(page.get_by_text("The test is over.")).to_be_attached()

    lanes = page.get_by_role("list", name="Requests", exact=True).get_by_role("listitem")
    expect(lanes).to_have_count(3)
    expect(lanes.nth(0)).to_have_attribute("aria-label", re.compile("1, llama, done: .*while models were swapped"))
    expect(lanes.nth(1)).to_have_attribute(
        "aria-label", re.compile("2, qwen, done: .*in the queue, .*while models were swapped")
    )
    memory = page.get_by_role("list", name="Models in memory").get_by_role("listitem")
    expect(memory).to_have_count(2)
    expect(page.get_by_text("3 done")).to_be_visible()
    assert slow.violations() == []


def test_queue_of_a_load_test_is_ordered_by_keys_and_kept(site: Site) -> None:
    page = site.open("/playground/load-test")
    for name in ("llama", "qwen"):
        choose(page, "Add a request to", name)
    page.get_by_role("button", name="llama, number 1").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("button", name="llama, number 2")).to_be_focused()
    page.reload()

    expect(page.locator(".load-item")).to_have_text(["qwen", "llama"])


def test_load_test_is_stopped(slow: Site) -> None:
    page = slow.open("/playground/load-test")
    choose(page, "Add a request to", "llama")
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).click()

    expect(page.get_by_text("1 stopped")).to_be_visible()


def test_any_name_may_be_typed_and_pins_come_first(site: Site) -> None:
    site.page.request.put(f"{site.program.url}/api/profiles/active", data={"name": "night"})
    page = site.open("/playground/rerank")
    picker = page.get_by_role("combobox", name="Model", exact=True)
    picker.click()
    expect(page.get_by_role("group").first).to_contain_text("Profile night")
    assert site.violations() == []
    picker.fill("hidden/one.two")
    picker.press("Enter")
    page.get_by_role("button", name="Rank", exact=True).click()

    expect(page.locator(".ranking-foot")).to_contain_text("hidden/one.two")


def test_model_is_chosen_by_keys_alone(site: Site) -> None:
    page = site.open("/playground/rerank?model=llama")
    picker = page.get_by_role("combobox", name="Model", exact=True)
    picker.focus()
    page.keyboard.type("QW")
    page.keyboard.press("Enter")
    expect(picker).to_have_value("qwen")
    page.keyboard.type("gpt")
    expect(page.get_by_role("option", name="gpt-4o-mini")).to_be_visible()
    page.keyboard.press("Escape")
    expect(picker).to_have_value("qwen")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(picker).to_have_value("whisper")
