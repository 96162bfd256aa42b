"""The log of all finished requests: who adds to it, who reads it, and its life.

Adding is for the path of every request and takes a microsecond. Writing is the business of one thread (`activity_writer`),
reading of two others at most, each with a deadline: the loop waits for neither.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import anyio

from app.errors import Unavailable
from app.telemetry.activity_writer import QUEUE, RETRY_S, Writer

if TYPE_CHECKING:
    from types import TracebackType

    from app.scheduler.history import Learned
    from app.telemetry.activity_record import ActivityRecord
    from app.telemetry.store import StoreSettings
    from planners.protocol import ModelId

logger = logging.getLogger(__name__)

QUERY_S = 10.0
"""Seconds that one question may take, the wait for what is to be written first included."""

WRITE_S = 10.0
"""Seconds that a change of the store, or its end, may take."""

READERS = 2
"""Questions that are worked on at the same time."""

OPS = 10_000
"""Steps of SQLite's machine, a fraction of a millisecond, between two looks at the clock."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store is."""

    is_degraded: bool
    """There is to be a file, and it cannot be written: the newest records are in memory."""
    lost: int
    """Records lost since the start."""
    unwritten: int
    """Records that wait to be written."""


class ActivityLog:
    """All finished requests. To be entered in the event loop before the first is added; left, everything is written."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        queue: int = QUEUE,
        retry_s: float = RETRY_S,
        on_batch: Callable[[Sequence[ActivityRecord]], None] | None = None,
    ) -> None:
        """Prepares.

        queue: records that may wait for the disk. retry_s: between two attempts at a file that could not be written.
        on_batch: shown all records, in batches, in the thread that writes.
        """
        self._writer = Writer(settings, queue=queue, retry_s=retry_s, on_batch=on_batch)
        self._readers = anyio.CapacityLimiter(READERS)
        self.add: Callable[[ActivityRecord], int] = self._writer.add
        """Takes a record in and returns its number, which is higher than any before. Never blocks."""

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._writer.start)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            if not await anyio.to_thread.run_sync(self._writer.stop, WRITE_S):
                logger.warning(
                    "the disk is too slow: %d activity records or more are not written", self._writer.unwritten
                )

    async def flush(self, within_s: float = WRITE_S) -> bool:
        """Returns when all that was added so far is written; whether it came to that in time."""
        return await anyio.to_thread.run_sync(self._writer.flush, within_s)

    @property
    def health(self) -> StoreHealth:
        """How the store is, now."""
        return StoreHealth(self._writer.is_degraded, self._writer.lost, self._writer.unwritten)

    async def read(self, question: Callable[[sqlite3.Connection], T], within_s: float = QUERY_S) -> T:
        """Returns what *question* makes of the store, in a worker thread. It sees all that was added before.

        The connection is for reading, and for as long as the call takes.
        Raises Unavailable when it takes longer than *within_s* or when the store cannot be read.
        """
        deadline = time.monotonic() + within_s
        too_slow = f"the activity store has not answered within {within_s:g} s; ask for fewer records"

        def ask() -> T:
            if not self._writer.flush(deadline - time.monotonic()):
                raise Unavailable(too_slow)
            try:
                with self._writer.reader() as connection:
                    connection.set_progress_handler(lambda: time.monotonic() > deadline, OPS)
                    try:
                        return question(connection)
                    finally:
                        connection.set_progress_handler(None, 0)
            except sqlite3.Error as exc:
                if getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                    raise Unavailable(too_slow) from exc
                raise Unavailable(f"the activity store cannot be read: {exc}") from exc

        return await anyio.to_thread.run_sync(ask, limiter=self._readers)

    async def reconfigure(self, settings: StoreSettings) -> bool:
        """Takes other *settings*; records in memory go along to a new file. Returns whether it came to that in time."""
        return await anyio.to_thread.run_sync(self._writer.reconfigure, settings, WRITE_S)

    async def save_history(self, learned: Mapping[ModelId, Learned]) -> bool:
        """Keeps what was *learned* for the next run's `store.load_history`; returns whether it was written."""
        return await anyio.to_thread.run_sync(self._writer.save_history, learned, WRITE_S)
