"""Carries a log to standard output, from a thread of its own.

A pipe that nobody empties stops this thread and nothing else; when it flows again, a line in it says how much was lost.
The thread is a daemon and writes beneath Python's buffer, whose lock it would otherwise hold when the interpreter ends.
It starts with the first bytes and ends with `flush`; bytes written after that start another one.

A line after a while of silence is written at once, those that follow closely are written together: a thread that wakes for each
of them costs the loop more than the line itself (10 µs a request, measured).
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from app.telemetry.ring import ByteRing, Piece

CHUNK = 64 << 10
"""Most bytes of one write: what a pipe holds."""

GATHER_S = 0.02
GATHER_BYTES = 16 << 10
"""How long, and how much, is gathered after a write before the next one."""


class Outlet:
    """Follows *ring* into *file*. Does not close it.

    lock: guards *ring*; held by those who call `nudge`.
    """

    def __init__(self, file: BinaryIO, ring: ByteRing, lock: threading.RLock) -> None:
        # the same for its whole life
        self._file: BinaryIO = getattr(file, "raw", file)
        self._ring = ring
        self._turn = threading.Condition(lock)

        # as things are
        self._position = ring.end
        self._lost = 0
        """Bytes that could not be written, and of which the reader has not been told."""
        self._thread: threading.Thread | None = None
        self._ending = False
        self._is_idle = False
        """Whether the thread waits for the next bytes, however few."""

    def nudge(self) -> None:
        """Sees to it that what the ring has more is written. Returns at once."""
        if self._ring.end == self._position:
            return
        if self._thread is None:
            self._ending = False
            self._thread = threading.Thread(target=self._run, name="standard output", daemon=True)
            self._thread.start()
        if self._is_idle or self._ring.end - self._position >= GATHER_BYTES:
            self._turn.notify_all()

    def flush(self, within_s: float) -> bool:
        """Waits until everything is written and the thread has ended; returns whether it came to that in time."""
        with self._turn:
            self.nudge()
            self._ending = True
            self._turn.notify_all()
            return self._turn.wait_for(lambda: self._thread is None, within_s)

    def _run(self) -> None:
        while (piece := self._next()) is not None:
            data = piece.marked()
            try:
                _write(self._file, data)
            except (OSError, ValueError):
                # Its reader has gone, or the disk is full, or it was closed. There is no better place to complain to
                # than the one that fails, so: go on, and tell the reader if there ever is one again.
                self._lost += len(piece.data) + piece.dropped
            with self._turn:
                self._turn.wait_for(lambda: self._ending or self._ring.end - self._position >= GATHER_BYTES, GATHER_S)

    def _next(self) -> Piece | None:
        with self._turn:
            while True:
                piece = self._ring.since(self._position, CHUNK)
                if piece.data:
                    self._position = piece.position
                    lost, self._lost = self._lost, 0
                    return piece._replace(dropped=piece.dropped + lost)
                if self._ending:
                    self._thread = None
                    self._turn.notify_all()
                    return None
                self._is_idle = True
                self._turn.wait()
                self._is_idle = False


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written: int | None = file.write(rest)
        if written is None:
            # A terminal that another of its users has set to non-blocking.
            select.select([], [file], [])
        else:
            rest = rest[written:]
