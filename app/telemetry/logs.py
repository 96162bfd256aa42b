"""Logs: what every model's server prints, and what we say ourselves.

One stream for each model, one with all of them (`upstream`), one with our own lines (`proxy`), and one with whatever
`logToStdout` asks for (`combined`), which standard output follows.

Theory of operation
-------------------
- A write goes into its rings at once, under a lock: from any thread, in about a microsecond, whoever reads or does not.
  Nothing is queued for anybody: readers are cursors into the rings (`ring`).
- Readers are *told* in batches, every `TICK` seconds or after `URGENT` bytes, so that a busy server does not wake each of
  them for each line. A lone line is seen `TICK` late.
- The book is made before the event loop is. Readers need it entered; writers do not, and until then, and after it was left,
  standard output is told of each write directly.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

import anyio

from app.telemetry.handler import BookHandler, severity_of
from app.telemetry.json_lines import json_line
from app.telemetry.outlet import Outlet
from app.telemetry.ring import ByteRing, Piece
from app.telemetry.times import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from app.config.catalog import LogSettings
    from app.launchers.protocol import LogSink

HISTORY = 100 << 10
"""Bytes of each stream that newcomers are shown. Source: compatibility specification 3.11."""

BACKLOG = 1 << 20
"""Bytes by which a reader of everything, as standard output is, may be behind before the oldest are dropped."""

TICK = 0.05
"""Seconds between two batches of news for readers."""

URGENT = 16 << 10
"""Bytes written after which readers are told at once: well under a ring, so that a burst is read before it is lost."""

CHUNK = 64 << 10
"""Bytes given to a reader at a time."""

Level = Literal["DEBUG", "INFO", "WARN", "ERROR"]

_SEVERITY: dict[Level, int] = {"DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {ord("\t"): "\t", ord("\n"): "\n    "}
"""Control characters are shown and not obeyed, and no text can begin a line that looks like one of ours."""


class LogStream:
    """One log. Guarded by the book's lock."""

    __slots__ = ("announced", "changed", "mark", "ring")

    def __init__(self, capacity: int = HISTORY) -> None:
        self.ring = ByteRing(capacity)
        self.mark = 0
        """Where the newest run of the model begins."""
        self.announced = 0
        """Up to where readers have been told."""
        self.changed: anyio.Event | None = None
        """What readers wait for; None when nobody does."""


class LogBook:
    """All the logs there are. To be entered inside the event loop, and flushed at the very end."""

    def __init__(self, settings: LogSettings, stdout: BinaryIO | None = None, *, as_json: bool = False) -> None:
        """Prepares. as_json: whether our own lines are JSON objects; then `logTimeFormat` is nothing to them."""
        # the same for its whole life
        self.as_json = as_json
        self._lock = threading.RLock()  # re-entrant, because the garbage collector may log while we hold it
        self._proxy = LogStream()
        self._upstream = LogStream(BACKLOG)
        self._combined = LogStream(BACKLOG)
        self._own = {"proxy": self._proxy, "upstream": self._upstream, "combined": self._combined}
        self._outlet = None if stdout is None else Outlet(stdout, self._combined.ring, self._lock)
        self.handler = BookHandler(self)
        """Brings `logging` records here; see `BookHandler`."""
        self.on_news: Callable[[], None] | None = None
        """Told, in the event loop and at most every `TICK` or `URGENT` bytes, that `end` of some stream has moved."""

        # as things are
        self._models: dict[str, LogStream] = {}
        self._closed = False
        self._when_closed: set[Callable[[], None]] = set()
        self._unannounced = 0
        self._armed: Literal["", "later", "now"] = ""
        """How readers will be told of what they have not been told of yet."""

        # while it is entered
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._timer: asyncio.TimerHandle | None = None

        self.reconfigure(settings)

    def reconfigure(self, settings: LogSettings) -> None:
        """Takes other settings, for lines to come."""
        with self._lock:
            self._severity = severity_of(settings.level)
            self.logs_access = self._severity <= _SEVERITY["INFO"]
            """Whether access lines are wanted at all."""
            self._stamp = Stamp(settings.time_format) or None
            self._proxy_route = (
                (self._proxy, self._combined) if settings.to_stdout in {"proxy", "both"} else (self._proxy,)
            )
            self._upstream_route = (
                (self._upstream, self._combined) if settings.to_stdout in {"upstream", "both"} else (self._upstream,)
            )
        self.handler.reconfigure(self._severity)

    # writing: from any thread

    def write_access(self, line: str) -> None:
        """Adds an access line, without its end, to our own log. The caller has made it harmless."""
        if self.logs_access:
            self._write(f"{self._time()}[INFO] {line}\n".encode("utf-8", "replace"), self._proxy_route)

    def record(self, level: Level, message: str, fields: Mapping[str, object]) -> None:
        """Adds a JSON object to our own log, if *level* is worth a line. To be used where `as_json` is set."""
        if _SEVERITY[level] >= self._severity:
            self._write(json_line(level, message, fields), self._proxy_route)

    def proxy_line(self, level: Level, text: str) -> None:
        """Adds *text* to our own log, if *level* is worth a line."""
        if _SEVERITY[level] < self._severity:
            return
        if self.as_json:
            self.record(level, text, {})
            return
        shown = text if text.isprintable() else text.rstrip("\n").translate(_SHOWN)
        self._write(f"{self._time()}[{level}] {shown}\n".encode("utf-8", "replace"), self._proxy_route)

    def model_sink(self, model: str) -> LogSink:
        """Returns what takes the output of a new run of *model*, byte for byte."""
        stream = self._stream(model)
        with self._lock:
            stream.mark = stream.ring.end

        def sink(data: bytes) -> None:
            if data:
                self._write(data, (stream, *self._upstream_route))

        return sink

    def _time(self) -> str:
        return "" if self._stamp is None else self._stamp.at(datetime.now(UTC)) + " "

    def _write(self, data: bytes, route: tuple[LogStream, ...]) -> None:
        with self._lock:
            for stream in route:
                stream.ring.append(data)
            loop = self._loop
            if loop is None:
                if self._outlet is not None:
                    self._outlet.nudge()
                return
            self._unannounced += len(data)
            if self._armed and (self._unannounced < URGENT or self._armed == "now"):
                return
            self._armed = "now" if self._unannounced >= URGENT else "later"
            if threading.get_ident() == self._loop_thread:
                self._arm(self._armed)
            else:
                loop.call_soon_threadsafe(self._arm, self._armed)

    # reading: in the event loop

    @property
    def names(self) -> tuple[str, ...]:
        """Every stream: ours, then the models that have one."""
        with self._lock:
            return (*self._own, *self._models)

    def history(self, name: str) -> bytes:
        """Returns the last `HISTORY` bytes of a stream; nothing for one that does not exist yet."""
        with self._lock:
            stream = self._own.get(name) or self._models.get(name)
            if stream is None:
                return b""
            return stream.ring.since(stream.ring.position_before(HISTORY), HISTORY).data

    def end(self, name: str) -> int:
        """Returns up to where readers of one of our own streams have been told, `proxy` for instance: a place in it."""
        with self._lock:
            return self._own[name].announced

    def beginning(self, name: str) -> int:
        """Returns the place in one of our own streams from where to its `end` there are at most `HISTORY` bytes."""
        with self._lock:
            stream = self._own[name]
            return stream.ring.position_before(stream.ring.end - stream.announced + HISTORY)

    def since(self, name: str, place: int, limit: int = CHUNK) -> Piece:
        """Returns up to *limit* bytes of one of our own streams from *place* on, no further than its `end`.

        For readers that are told by `on_news`. Those that ask from the same place after the same news get the same bytes.
        """
        with self._lock:
            stream = self._own[name]
            piece = stream.ring.since(place, limit)
            excess = piece.position - max(stream.announced, place + piece.dropped)
            return piece if excess <= 0 else Piece(piece.data[:-excess], piece.position - excess, piece.dropped)

    def tail(self, model: str, lines: int = 10) -> str:
        """Returns the last lines that the newest run of *model* printed, plain: for an error message."""
        with self._lock:
            stream = self._models.get(model)
            if stream is None:
                return ""
            start = max(stream.mark, stream.ring.position_before(CHUNK))
            data = stream.ring.since(start, CHUNK).data
        # Of a line that overwrites itself, as progress bars do, the last state is what one would have seen.
        text = _ANSI.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        seen = [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
        return "\n".join([line.translate(_SHOWN) for line in seen if line][-lines:])

    def subscribe(self, name: str, *, history: bool) -> Follower:
        """Returns a reader of a stream: `proxy`, `upstream`, `combined` or, whether it has printed anything or not, a model."""
        with self._lock:
            stream = self._own.get(name) or self._stream(name)
            return Follower(self, stream, stream.ring.position_before(HISTORY if history else 0))

    @contextmanager
    def told_of_end(self, hurry: Callable[[], None]) -> Iterator[None]:
        """Has *hurry* called in the event loop when the book is closed while inside: for readers that are busy with what they have."""
        self._when_closed.add(hurry)
        try:
            yield
        finally:
            self._when_closed.discard(hurry)

    def close(self) -> None:
        """Ends all readers once they have read what there is. Writing goes on."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._announce)

    def flush(self, within_s: float = 1.0) -> bool:
        """Waits until standard output has everything, and returns whether it came to that in time. Blocks."""
        return self._outlet is None or self._outlet.flush(within_s)

    async def __aenter__(self) -> Self:
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._loop_thread = threading.get_ident()
            for stream in self._own.values():
                # What was written before there was a loop is no news.
                stream.announced = stream.ring.end
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        with self._lock:
            self._loop = None
            if self._timer is not None:
                self._timer.cancel()
            self._announce()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.flush)

    async def _next(self, stream: LogStream, position: int) -> Piece | None:
        """Waits for what comes after *position*; None at the end."""
        while True:
            with self._lock:
                piece = stream.ring.since(position, CHUNK)
                if piece.data:
                    return piece
                if self._closed:
                    return None
                assert self._loop is not None, "the log book must be entered before it can be followed"
                if stream.changed is None:
                    stream.changed = anyio.Event()
                changed = stream.changed
            await changed.wait()

    def _stream(self, model: str) -> LogStream:
        with self._lock:
            stream = self._models.get(model)
            if stream is None:
                stream = self._models[model] = LogStream()
            return stream

    def _arm(self, when: Literal["later", "now"]) -> None:
        loop = asyncio.get_running_loop()
        if when == "now":
            loop.call_soon(self._announce)
        else:
            self._timer = loop.call_later(TICK, self._announce)

    def _announce(self) -> None:
        """Wakes whoever has something to read."""
        with self._lock:
            self._armed = ""
            self._unannounced = 0
            if self._timer is not None:
                self._timer.cancel()
            for stream in (*self._own.values(), *self._models.values()):
                if stream.changed is not None and (self._closed or stream.ring.end != stream.announced):
                    stream.changed.set()
                    stream.changed = None
                stream.announced = stream.ring.end
            if self._outlet is not None:
                self._outlet.nudge()
        if self._closed:
            for hurry in self._when_closed:
                hurry()
        if self.on_news is not None:
            self.on_news()


class Follower:
    """One reader's place in a stream: iterate over it for the bytes. Nothing need be closed.

    One that is too slow finds a line in the bytes that says how many it has missed (`Piece.marked`).
    """

    __slots__ = ("_book", "_position", "_stream")

    def __init__(self, book: LogBook, stream: LogStream, position: int) -> None:
        self._book = book
        self._stream = stream
        self._position = position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._book._next(self._stream, self._position)  # noqa: SLF001 - one thing in two parts
        if piece is None:
            raise StopAsyncIteration
        self._position = piece.position
        return piece.marked()
