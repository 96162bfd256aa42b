r"""Bytes -> server-sent events, whatever they are cut into, and the end of a stream without keeping the stream.

Lines end with LF, CRLF or CR, events with an empty line; a byte order mark, comments and fields other than `data` are passed over.
Some servers forget the empty lines: what has none for a while is taken line by line, so that those are understood, too.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

LONGEST = 1 << 20
"""Bytes of the longest line that is kept. A longer one is left out."""

PATIENCE = 1 << 16
"""Bytes in which an empty line is waited for."""

Intake = tuple[Callable[[bytes], None], int]
"""What takes bytes, and how many it may take."""

Event = list[bytes]
"""The values of an event's `data` lines, in their order. Nearly always one."""

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_BOM = b"\xef\xbb\xbf"


class Reader:
    """Cuts a stream into events, as they come."""

    __slots__ = ("_buffer", "_is_skipping", "_seen")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seen = 0
        """Bytes of the buffer that are known to hold no event's end."""
        self._is_skipping = False
        """Whether the rest of a line that is too long is awaited."""

    def add(self, chunk: bytes) -> None:
        """Takes up the next bytes."""
        self._buffer += chunk
        if self._is_skipping:
            end = line_end(self._buffer)
            self._is_skipping = not end
            del self._buffer[: end or len(self._buffer)]

    def next(self) -> Event | None:
        """Returns the next event that has data; None: it has not come in full."""
        while (block := self._block()) is not None:
            if event := data_of(block):
                return event
        return None

    def rest(self) -> bytes:
        """Returns what has come and not been read, and forgets it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._seen = 0
        return rest

    def _block(self) -> bytes | None:
        end = event_end(self._buffer, max(self._seen - 3, 0))
        if not end:
            # What was looked at when it was too long already has no line's end.
            known = self._seen if self._seen > PATIENCE else 0
            self._seen = len(self._buffer)
            end = last_line_end(self._buffer, known) if self._seen > PATIENCE else 0
        if not end:
            if self._seen > LONGEST:
                self.rest()
                self._is_skipping = True
            return None
        block = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._seen = 0
        return block


class Tail:
    """Keeps the lines that reach into the last SIZE bytes of a stream, from the beginning of the first of them.

    It holds on to chunks as they came, in two lists: the older is dropped when the younger is long enough to do alone. So a
    chunk costs an append and a comparison, and memory is about twice SIZE and the longest line or chunk.
    """

    SIZE = 4096
    """All that matters at the end of a stream, in every dialect, are its last few events; this is room for a dozen or two."""

    __slots__ = ("_is_skipping", "_older", "_size", "_younger")

    def __init__(self) -> None:
        self._older: list[bytes] = []
        self._younger: list[bytes] = []
        self._size = 0
        """Bytes in the younger list."""
        self._is_skipping = False

    def add(self, chunk: bytes) -> None:
        """Takes up the next bytes."""
        self._younger.append(chunk)
        self._size += len(chunk)
        if self._size > self.SIZE:
            self._turn(chunk)

    def intake(self, taken: int) -> Intake:
        """Returns what takes the next bytes, and how many; see `Meter.intake`."""
        self._size += taken
        if taken and self._size > self.SIZE:
            self._turn(self._younger[-1])
        return self._younger.append, self.SIZE - self._size

    def _turn(self, chunk: bytes) -> None:
        """Cuts behind the last line in *chunk*; if it has no line's end, only looks that the line does not get too long."""
        if self._is_skipping:
            start = line_end(chunk)
            self._younger = [chunk[start:]] if start else []
            self._size = len(chunk) - start if start else self.SIZE
            self._is_skipping = not start
        elif end := last_line_end(chunk):
            self._younger[-1] = chunk[:end]
            self._older = self._younger
            rest = chunk[end:]
            self._younger = [rest] if rest else []
            self._size = len(rest)
        elif self._size > LONGEST:
            self._older, self._younger = [], []
            # So that the next chunk comes here, too.
            self._size = self.SIZE
            self._is_skipping = True

    def events(self) -> Iterator[Event]:
        """Yields the events in the lines kept, the last one first. That is taken as it is; the first may be torn."""
        if self._is_skipping:
            return
        kept = b"".join(self._older + self._younger)
        start = last_line_end(kept, before=max(len(kept) - self.SIZE, 0))
        event: Event = []
        for line in _backwards(kept[start:]):
            if line.startswith(b"data:"):
                event.insert(0, _value(line))
            elif not line and event:
                yield event
                event = []
        if event:
            yield event


def _backwards(text: bytes) -> Iterator[bytes]:
    """Yields the lines of *text*, the last one first; cut off a few at a time, since mostly the last few are all that is asked for."""
    if b"\r" in text:
        yield from reversed(text.splitlines())
        return
    lines = [text]
    while lines:
        text, *lines = text.rsplit(b"\n", 8)
        yield from reversed(lines)
    yield text


def data_of(block: bytes) -> Event:
    """Returns the values of the `data` lines in *block*."""
    return [_value(line) for line in block.removeprefix(_BOM).splitlines() if line.startswith(b"data:")]


def _value(line: bytes) -> bytes:
    return line[6:] if line[5:6] == b" " else line[5:]


def event_end(text: bytes | bytearray, start: int) -> int:
    """Returns where an event's end is over that lies behind *start*, 0 if there is none.

    It is the first one, unless the stream ends its lines now in this way and now in that.
    """
    for end in _EVENT_ENDS:
        at = text.find(end, start)
        if at >= 0:
            return at + len(end)
    return 0


def line_end(text: bytes | bytearray) -> int:
    """Returns where the first line's end is over, 0 if there is none."""
    ends = [at + 1 for at in (text.find(b"\n"), text.find(b"\r")) if at >= 0]
    return min(ends, default=0)


def last_line_end(text: bytes | bytearray, start: int = 0, before: int | None = None) -> int:
    """Returns where the last line's end is over that lies between *start* and *before*, 0 if there is none."""
    return max(text.rfind(b"\n", start, before), text.rfind(b"\r", start, before)) + 1
