"""The two logs as live events, from wherever a client stands."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.endpoints.event_topics import message

if TYPE_CHECKING:
    from app.telemetry.logs import LogBook
    from app.telemetry.ring import Piece

LOGS = "logData"
"""The topic by which the bus says that there is more in the logs; they themselves are read where they are."""

SOURCES = ("proxy", "upstream")
"""The logs that are sent, in the order of their histories."""

_SEEN = re.compile(rb"([0-9a-f]{8})-([0-9]{1,18})-([0-9]{1,18})")


class LogFrames:
    """The two logs as events, from wherever a client stands. Clients that stand at the same place share the work."""

    KEPT = 8
    """Pieces kept for others: two logs, and clients that are not all at the same place."""

    def __init__(self, book: LogBook, run: str) -> None:
        self._book = book
        self._run = run
        self._made: OrderedDict[tuple[str, int, int, int], bytes] = OrderedDict()

    history = 100 << 10
    """Bytes of each log that newcomers are told. Source: compatibility specification 3.11."""

    def places(self, seen: bytes) -> dict[str, int]:
        """Returns where a client begins in each log. seen: the last id it has got, or b''."""
        known = _SEEN.fullmatch(seen)
        if known is None or known[1].decode() != self._run:
            return {source: self._book.beginning(source) for source in SOURCES}
        return {
            source: min(int(place), self._book.end(source))
            for source, place in zip(SOURCES, known.groups()[1:], strict=True)
        }

    def after(self, places: dict[str, int], limit: int) -> bytes:
        """Returns what comes after *places*, up to *limit* bytes of each log, and moves them behind it."""
        parts = []
        for source, place in places.items():
            piece = self._book.since(source, place, limit)
            data = whole(piece)
            if not data:
                continue
            places[source] = end = piece.position - (len(piece.data) - len(data))
            frame = self._frame(source, end, piece._replace(data=data))
            identity = "-".join([self._run, *(str(places[each]) for each in SOURCES)])
            parts += [f"id:{identity}\n".encode(), frame]
        return b"".join(parts)

    def has_more(self, places: Mapping[str, int]) -> bool:
        """Whether there is something after *places*: more than what may be the beginning of a character."""
        return any(self._book.end(source) - place > 3 for source, place in places.items())

    def _frame(self, source: str, end: int, piece: Piece) -> bytes:
        known = (source, end, len(piece.data), piece.dropped)
        frame = self._made.get(known)
        if frame is None:
            text = piece.marked().decode("utf-8", "replace")
            frame = self._made[known] = message(LOGS, {"data": text, "source": source})
            if len(self._made) > self.KEPT:
                self._made.popitem(last=False)
        return frame


def whole(piece: Piece) -> bytes:
    """Returns the data without a character at its end that is not complete yet."""
    data = piece.data
    for back in range(1, min(len(data), 3) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if back < length else data
    return data
