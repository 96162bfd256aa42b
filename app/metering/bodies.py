"""An answer that comes whole: kept and read at its end if it is of ordinary size, otherwise only its two ends are kept.

Large answers are vectors and images; what they cost is said before or after those. Whether a member found at one end is the
answer's own, and not that of something within, shows without reading what lies between: cut off before it, the rest is a
document of its own as soon as it is opened; cut off behind it, the beginning is one as soon as it is closed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from app.metering.documents import Document, document, last_element
from app.metering.sse import Intake

WHOLE = 1 << 20
"""Bytes of the largest body that is read whole; that takes about half a millisecond."""

EDGE = 1 << 16
"""Bytes kept of each end of a larger one."""

_MEMBERS = (b'"usage"', b'"timings"', b'"metrics"')

_TRIES = 8
"""Closing braces behind a member's name of which one must be the member's own. Usage holds few objects."""


class Body:
    """Keeps what is needed of one body."""

    __slots__ = ("_first", "_head", "_older", "_size", "_younger", "has_content")

    def __init__(self) -> None:
        self._younger: list[bytes] = []
        """The bytes from the start or, if that is too long, the last ones."""
        self._size = 0
        """Bytes in it."""
        self._older: list[bytes] = []
        """Those before it, if the body is too long."""
        self._head = b""
        """The first EDGE bytes, if the body is too long."""
        self._first = b""
        """What it begins with, blanks left out."""
        self.has_content = False
        """Whether anything has come."""

    def add(self, chunk: bytes) -> None:
        """Takes up the next bytes. What does not begin as JSON does is not kept: sounds and images are long."""
        if not self._first:
            self._first = chunk.lstrip()[:1]
            self.has_content = bool(self._first)
        if self._first not in (b"{", b"["):
            return
        self._younger.append(chunk)
        self._size += len(chunk)
        self._bound()

    def _bound(self) -> None:
        """Lets go of what lies too far back."""
        if self._size > (EDGE if self._head else WHOLE):
            self._head = self._head or self._joined()[:EDGE]
            self._older, self._younger, self._size = self._younger, [], 0

    def intake(self, taken: int) -> Intake:
        """Returns what takes the next bytes, and how many; see `Meter.intake`."""
        if self._first not in (b"{", b"["):
            return self.add, sys.maxsize
        self._size += taken
        self._bound()
        return self._younger.append, (EDGE if self._head else WHOLE) - self._size

    def beginning(self) -> bytes:
        """Returns the body, or only its beginning if it is too long."""
        return self._head or self._joined()

    def documents(self, *, is_infill: bool) -> Iterator[Document]:
        """Yields what tells of the answer's cost.

        is_infill: whether an array stands for its last element. Source: compatibility specification 6.3.
        """
        is_array = self._first == b"["
        if is_array and not is_infill:
            return
        if self._head:
            yield from _at_the_start(self._head)
            tail = self._joined()[-EDGE:].rstrip()
            yield from _at_the_end(tail[:-1] if is_array else tail)
        elif (found := (last_element if is_array else document)(self._joined())) is not None:
            yield found

    def _joined(self) -> bytes:
        return b"".join(self._older + self._younger)


def _at_the_start(head: bytes) -> Iterator[Document]:
    for member in _MEMBERS:
        end = head.find(member)
        for _ in range(_TRIES if end >= 0 else 0):
            end = head.find(b"}", end) + 1
            if not end:
                break
            if (found := document(head[:end] + b"}")) is not None:
                yield found
                break


def _at_the_end(tail: bytes) -> Iterator[Document]:
    for member in _MEMBERS:
        start = tail.rfind(member)
        if start >= 0 and (found := document(b"{" + tail[start:])) is not None:
            yield found
