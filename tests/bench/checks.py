"""Whether an answer is what the fake upstream sent, however the proxy framed it."""

from __future__ import annotations

import re

from tests.bench.upstream import COMPLETION, EVENTS, STREAM_BYTES

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)

INCOMPLETE = "incomplete"
"""Says that more has to come; compared by identity."""


def small_fault(answer: bytes) -> str:
    """Returns what is wrong with an answer to "small": INCOMPLETE, or nothing if nothing is."""
    body_at = answer.find(b"\r\n\r\n") + 4
    if body_at == 3:
        return INCOMPLETE
    if not answer.startswith(b"HTTP/1.1 200 "):
        return "not a 200"
    if length := _LENGTH.search(answer, 0, body_at):
        if int(length[1]) != len(COMPLETION):
            return f"content-length {length[1]!r} instead of {len(COMPLETION)}"
        if len(answer) - body_at < len(COMPLETION):
            return INCOMPLETE
        body: bytes | None = answer[body_at:]
    elif _CHUNKED.search(answer, 0, body_at):
        if not answer.endswith(b"0\r\n\r\n"):
            return INCOMPLETE
        body = _unchunked(answer[body_at:])
    else:
        return "neither length nor chunks"
    return "" if body == COMPLETION else "another body"


class StreamCheck:
    """Says what is wrong with an answer to "stream" or "paced": INCOMPLETE, or nothing if nothing is.

    The events hold no carriage return, so that the end of the last chunk cannot be inside one.
    """

    def __init__(self) -> None:
        self._known = b""
        """A framed body that was found right; most proxies frame the next one alike, and comparing is cheap."""

    def __call__(self, answer: bytes) -> str:
        body_at = answer.find(b"\r\n\r\n") + 4
        if body_at == 3:
            return INCOMPLETE
        if not answer.startswith(b"HTTP/1.1 200 "):
            return "not a 200"
        if not _CHUNKED.search(answer, 0, body_at):
            return "not chunked"
        if not answer.endswith(b"\r\n0\r\n\r\n"):
            return INCOMPLETE
        framed = answer[body_at:]
        if framed == self._known:
            return ""
        body = _unchunked(framed)
        if body is None:
            return "broken chunks"
        if body.count(b"\n\n") != EVENTS or not body.endswith(b"data: [DONE]\n\n"):
            return f"{body.count(b'data: ')} events instead of {EVENTS}"
        if len(body) != STREAM_BYTES:
            return f"{len(body)} bytes of events instead of {STREAM_BYTES}"
        self._known = framed
        return ""


def _unchunked(framed: bytes) -> bytes | None:
    """Returns the body without its chunks, None if sizes and chunks do not agree. No body here holds a line end of HTTP."""
    lines = framed.split(b"\r\n")
    sizes, chunks = lines[0:-3:2], lines[1:-3:2]
    try:
        agree = [int(size, 16) for size in sizes] == list(map(len, chunks))
    except ValueError:
        return None
    return b"".join(chunks) if agree and lines[-3:] == [b"0", b"", b""] else None
