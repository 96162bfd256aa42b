"""Whether a text occurs in a capture: in its path, headers, bodies, or in what a stream of events says in pieces."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from app.telemetry.capture_record import BrokenCapture
from app.telemetry.redact import redacted_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from app.telemetry.capture_record import Capture

_WINDOW = 64 << 10
"""Bytes looked through at a time: one look at everything would keep the event loop's thread from running."""

_SPOKEN = re.compile(
    rb'"(?:content|text|delta|reasoning|reasoning_content|thinking|partial_json|arguments)"\s*:\s*"((?:[^"\\]|\\.){0,65536})"'
)
"""The members of an event that carry a piece of what a model says, in every dialect."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found."""

    ids: list[int]
    """The newest first."""
    is_complete: bool
    """Whether everything was looked through."""


class Needle:
    """A text to be found, whatever the case of its ASCII letters and however JSON escapes it."""

    def __init__(self, text: str) -> None:
        plain = text.encode("utf-8", "surrogatepass")
        spellings = [
            plain,
            json.dumps(text)[1:-1].encode(),
            json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
        ]
        self._spellings = list(dict.fromkeys(each.lower() for each in spellings))
        self._overlap = max(map(len, self._spellings))

    def is_in(self, capture: Capture) -> bool:
        """Returns whether *capture* holds it."""
        if self._found(capture.path.encode("utf-8", "surrogatepass")) or self._found(capture.error.encode()):
            return True
        for headers in (capture.req_headers, capture.resp_headers or ()):
            if any(self._found(b"%b: %b" % each) for each in redacted_headers(headers)):
                return True
        if any(body is not None and self._found(body) for body in (capture.req_body, capture.resp_body)):
            return True
        spoken = b"" if capture.resp_body is None else _spoken(capture.resp_body)
        return self._found(spoken)

    def _found(self, hay: bytes) -> bool:
        for start in range(0, len(hay), _WINDOW):
            if start:
                sleep(0)  # without it a thread of the interpreter keeps the others waiting for 5 ms
            window = hay[start : start + _WINDOW + self._overlap].lower()
            if any(each in window for each in self._spellings):
                return True
        return False


def look_through(
    readers: Iterable[tuple[int, Callable[[], Capture]]], needle: Needle, limit: int, until: float
) -> tuple[Found, list[tuple[int, BrokenCapture]]]:
    """Returns the first *limit* captures that hold *needle*, and those that could not be read. Blocks.

    readers: id of each capture, the newest first, and what reads it, with its secrets.
    until: the monotonic time at which it ends.
    """
    ids: list[int] = []
    broken: list[tuple[int, BrokenCapture]] = []
    for number, read in readers:
        if len(ids) >= limit or monotonic() >= until:
            return Found(ids, is_complete=False), broken
        sleep(0)
        try:
            capture = read()
        except BrokenCapture as exc:
            broken.append((number, exc))
            continue
        # Secrets cannot be found. To take them out costs more than to look, so that is done for those that match.
        if needle.is_in(capture) and (capture.is_redacted or needle.is_in(capture.without_secrets())):
            ids.append(number)
    return Found(ids, is_complete=True), broken


def _spoken(body: bytes) -> bytes:
    """Returns the pieces of what is said in a stream of events, put together; a word is often in several events."""
    if not body.startswith((b"data:", b"event:", b":")):
        return b""
    # One event at a time, so that no single step is long.
    return b"".join(piece for line in body.split(b"\n") for piece in _SPOKEN.findall(line))
