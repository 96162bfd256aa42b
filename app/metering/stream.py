"""An answer that is streamed: the events up to the first content and the last ones are read, those between are let by.

What a stream says of its cost, every dialect says where it opens or where it closes; between lie hundreds of events with a
token each. Even looking for a word in each of them costs as much as forwarding it, so they are not looked at at all. What follows
from it: usage that is said only in the middle, more than `Tail.SIZE` before the end, is missed.
"""

from __future__ import annotations

from msgspec.structs import replace

from app.metering.content import has_content
from app.metering.documents import Document, document
from app.metering.extractors import extract
from app.metering.plain import plain_content, plain_end
from app.metering.sse import Event, Intake, Reader, Tail, data_of
from app.metering.usage import Tally, Usage

_DONE = [b"[DONE]"]


class Stream:
    """Reads one stream."""

    __slots__ = ("_opening", "_tail", "_tally", "has_content")

    def __init__(self) -> None:
        self._tally = Tally()
        self._opening = Reader()
        self._tail = Tail()
        self.has_content = False
        """Whether the first event with generated content has come."""

    def add(self, chunk: bytes) -> None:
        """Takes up the next bytes."""
        if self.has_content:
            self._tail.add(chunk)
            return
        self._opening.add(chunk)
        while (event := self._opening.next()) is not None:
            if self._read(event):
                self.has_content = True
                self._tail.add(self._opening.rest())
                return

    def intake(self, taken: int) -> Intake:
        """Returns what takes the next bytes, and how many; see `Meter.intake`."""
        return self._tail.intake(taken)

    def plain_usage(self) -> Usage | None:
        """Returns what the end of a usual stream says, in a third of the time that `close` takes; None: it is no such stream.

        There will be no more. Read as by `close`, from the last event backwards; it says the same.
        """
        opened = self._tally
        if not self.has_content or opened.found or opened.stop_reason or opened.error_message:
            return None
        cost: Usage | None = None
        stop_reason = ""
        for event in self._tail.events():
            if event == _DONE:
                continue
            said = plain_end(event[0]) if len(event) == 1 else None
            if said is None or (said.found and cost is not None):
                return None
            stop_reason = stop_reason or said.stop_reason
            if said.found:
                cost = said
            if cost is not None and stop_reason:
                break
        if cost is None:
            return Usage(stop_reason=stop_reason)
        return cost if cost.stop_reason == stop_reason else replace(cost, stop_reason=stop_reason)

    def close(self) -> Tally:
        """Reads what is still to be read, for there will be no more, and returns what it all has said.

        Of what was kept of the end, events are read from the last one backwards until it is known why the stream ended and what
        it has cost; so most of it is not even parsed. Each is read by itself, and they are put together in their order.
        """
        self._read(data_of(self._opening.rest()))
        closing: list[Tally] = []
        has_cost = has_reason = False
        for event in self._tail.events():
            said = Tally()
            for each in documents(event):
                extract(each, said)
            closing.append(said)
            has_cost, has_reason = has_cost or said.found, has_reason or said.stop_reason != ""
            if has_cost and has_reason:
                break
        for said in reversed(closing):
            self._tally.add(said)
        return self._tally

    def _read(self, event: Event) -> bool:
        """Takes up what *event* says; returns whether it has content."""
        if len(event) == 1 and (content := plain_content(event[0])) is not None:
            return content
        found = documents(event)
        for each in found:
            extract(each, self._tally)
        return any(map(has_content, found))


def documents(event: Event) -> list[Document]:
    """Returns what the lines of *event* hold: each a document, as careless servers have it, or one document in all of them."""
    if event == _DONE:
        return []
    found = [each for line in event if (each := document(line)) is not None]
    if not found and len(event) > 1:
        joined = document(b"\n".join(event))
        return [] if joined is None else [joined]
    return found
