"""One meter per response. It stands in the path of every request: what it does for a chunk of a stream is next to nothing."""

from __future__ import annotations

import sys

from app.metering.bodies import WHOLE, Body
from app.metering.encoding import INFLATERS, Decoder, Undecodable
from app.metering.extractors import extract
from app.metering.failures import cut, failure
from app.metering.plain import plain_usage
from app.metering.sse import Intake
from app.metering.stream import Stream
from app.metering.usage import Tally, Usage

_EVENT_STREAM = "text/event-stream"

_INFILL = "/infill"
"""What a path begins with of which an answer may be an array that stands for its last element."""


def usage_of(body: bytes, path: str, status: int, content_type: str = "", content_encoding: str = "") -> Usage:
    """Returns the usage of a response that has come in one piece: what a `Meter` would say, of a usual one in a third of the time.

    For the rest see there.
    """
    if status == 200 and not content_encoding and len(body) <= WHOLE and _EVENT_STREAM not in content_type.lower():
        usage = None if path.startswith(_INFILL) else plain_usage(body)
        if usage is not None:
            return usage
    meter = Meter(path, status, content_type, content_encoding)
    if body:
        meter.feed(body)
    return meter.finish()


class Meter:
    """Reads what one response says of its cost, beside its way to the client. Whatever comes, it raises nothing.

    It is given the body's bytes as they come from the upstream, in any pieces, then asked once for the usage. A response that
    breaks off is asked as well: it may have said something. Of a response with another status than 200 only its message is read.

    path: what the upstream was asked for.
    content_type, content_encoding: as the upstream has them, empty if it has none.
    """

    __slots__ = ("_decoder", "_failure", "_path", "_sink", "_status")

    def __init__(self, path: str, status: int, content_type: str = "", content_encoding: str = "") -> None:
        self._path = path
        self._status = status
        self._decoder: Decoder | None = None
        self._failure = ""
        """Why the body could not be decoded."""
        self._sink: Stream | Body | _Blind
        is_stream = status == 200 and _EVENT_STREAM in content_type.lower()
        self._sink = Stream() if is_stream else Body()
        if content_encoding and (encoding := content_encoding.strip().lower()) not in {"", "identity"}:
            if encoding in INFLATERS:
                self._decoder = Decoder(INFLATERS[encoding]())
            else:
                self._sink = _Blind()

    @property
    def has_content(self) -> bool:
        """Whether the first generated content has come: the clock is read by whoever feeds.

        In a stream, events that only open it, say who speaks or keep it alive are none; in all else the first byte is one.
        """
        return self._sink.has_content

    def feed(self, chunk: bytes) -> None:
        """Takes up the next bytes, as the upstream sent them."""
        if self._decoder is None:
            self._sink.add(chunk)
            return
        try:
            for piece in self._decoder.decode(chunk):
                self._sink.add(piece)
        except Undecodable as error:
            self._failure = str(error)
            self._decoder = None
            self._sink = _Blind()

    def intake(self, taken: int = 0) -> Intake:
        """Returns what takes the next bytes, instead of `feed` and in less time, and how many it may take. For when content has come.

        With the chunk that makes it more, this is to be asked again. taken: bytes that were taken since it was asked the last time.
        """
        return (self.feed, sys.maxsize) if self._decoder is not None else self._sink.intake(taken)

    def finish(self) -> Usage:
        """Returns the usage: there will be no more bytes. Asked once."""
        if self._decoder is not None and not self._decoder.has_ended:
            self._failure = "unexpected end of data"
        elif self._failure:
            # Nothing is believed that stands in a broken answer.
            return Usage(error_message=self._broken())
        sink = self._sink
        if isinstance(sink, Stream):
            if not self._failure and (usage := sink.plain_usage()) is not None:
                return usage
            tally = sink.close()
        elif self._status != 200:
            body = sink.beginning()
            return Usage(error_message=self._broken() if self._failure else failure(self._status, body))
        else:
            is_infill = self._path.startswith(_INFILL)
            if not (is_infill or self._failure) and (usage := plain_usage(sink.beginning())) is not None:
                return usage
            tally = Tally()
            for document in sink.documents(is_infill=is_infill):
                extract(document, tally)
        if self._failure:
            # Whoever hung up in the middle may have read the opening.
            tally.error_message = self._broken()
        return tally.usage()

    def _broken(self) -> str:
        """Returns what a broken body is recorded with. Source: compatibility specification 6.3."""
        what = "decompression" if self._status == 200 else "decode"
        return cut(f"response {what} failed: {self._failure}")


class _Blind:
    """Takes the place of what reads an answer that cannot be read."""

    __slots__ = ("has_content",)

    def __init__(self) -> None:
        self.has_content = False

    def add(self, _: bytes) -> None:
        self.has_content = True

    def intake(self, taken: int) -> Intake:  # noqa: ARG002 - as Body has it
        return self.add, sys.maxsize

    def beginning(self) -> bytes:
        return b""

    def documents(self, *, is_infill: bool) -> tuple[()]:  # noqa: ARG002 - as Body has it
        return ()
