from __future__ import annotations

import json

import pytest

from tests.endpoints.event_fixtures import FOLDER, texts

pytestmark = pytest.mark.anyio


async def test_recordings_are_what_is_sent_now() -> None:
    kept = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.iterdir()}

    assert kept == await texts(), "run: python -m tests.endpoints.event_fixtures"


def test_recordings_show_every_type_of_event() -> None:
    shown = {event["type"] for file in FOLDER.iterdir() for event in json.loads(file.read_text())["events"]}

    assert shown == {
        "logData", "modelStatus", "uiConfig", "profileChanged", "inflight", "queue", "activity", "reload", "resync",
    }  # fmt: skip
