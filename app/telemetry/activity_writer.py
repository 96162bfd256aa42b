"""Writes the activity of all requests into its store, from one thread of its own.

Rules
-----
- `add` is on the path of every request: it gives a number, appends to a list, and at most wakes the thread.
- The thread takes what has gathered every `BATCH_S` seconds, in one transaction. A killed program loses that much.
- The list has a bound. When the disk cannot keep up, the oldest that are not written are lost, counted, and told of once.
- Whoever reads asks for what was added so far to be written first (`flush`), which cuts the wait short.
- A store that is meant to be in memory is not written before somebody reads: until then the newest records are kept as they are,
  since most of them would be deleted again before they are looked at, and a row costs ten times what keeping a record does.
- Which database it is, and what happens when it fails, is the business of its `Place`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.errors import Unavailable
from app.telemetry.activity_place import FAILURES, Place
from app.telemetry.activity_record import ActivityRecord, in_turns, row_of
from app.telemetry.store import StoreSettings, is_damage

if TYPE_CHECKING:
    from app.scheduler.history import Learned
    from planners.protocol import ModelId

logger = logging.getLogger(__name__)

BATCH_S = 0.2
"""Seconds for which records gather before they are written."""

QUEUE = 10_000
"""Records that may wait for the disk."""

RETRY_S = 60.0
"""Seconds between two attempts to write to a file that could not be written."""


class _Job:
    """What somebody wants to have done."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.ended = threading.Event()
        self.succeeded = False
        self._work = work

    def run(self) -> None:
        try:
            self._work()
            self.succeeded = True
        except FAILURES as exc:
            logger.warning("the activity store could not be written: %s", exc)


class _Work(NamedTuple):
    batch: list[tuple[int, ActivityRecord]]
    jobs: list[_Job]
    lost: int
    """Records lost that the operator has not been told of."""
    is_asked_for: bool
    """Whether somebody waits for it to be written."""
    is_last: bool


class Writer:
    """The thread, and what waits for it."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        queue: int = QUEUE,
        retry_s: float = RETRY_S,
        on_batch: Callable[[Sequence[ActivityRecord]], None] | None = None,
    ) -> None:
        """on_batch: shown all records but those lost in the queue, in batches, in the thread. They have no id yet."""
        # the same for its whole life
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._bound = queue
        self._on_batch = on_batch

        # guarded by the condition
        self._next = 1
        self._queue: list[tuple[int, ActivityRecord]] = []
        self._jobs: list[_Job] = []
        self._woken = False
        """Whether the thread knows that there are records."""
        self._hurried = False
        self._ending = False
        self._done = 0
        """The highest number that is written, or lost."""
        self._lost_now = 0
        self.lost = 0
        """Records lost since the start."""

        # of the thread
        self._place = Place(settings, self._reserve, retry_s)
        self._kept: list[tuple[int, ActivityRecord]] = []
        """Records that are not rows yet, because nobody has asked."""
        self._losing = False
        self._thread: threading.Thread | None = None

    # in the event loop

    def add(self, record: ActivityRecord) -> int:
        """Takes *record* in and returns its number. Never blocks."""
        # The condition's own lock: by way of the condition it takes twice as long.
        with self._lock:
            number = self._next
            self._next = number + 1
            self._queue.append((number, record))
            if not self._woken:
                self._woken = True
                self._turn.notify_all()
            elif len(self._queue) > self._bound:
                # A tenth at once, so that a list that stays full is not moved with every record.
                excess = self._bound // 10 + 1
                del self._queue[:excess]
                self._lost_now += excess
                self.lost += excess
        return number

    @property
    def unwritten(self) -> int:
        """Number of records that wait to be written."""
        return len(self._queue)

    @property
    def is_degraded(self) -> bool:
        """Whether there is to be a file and it cannot be written."""
        return self._place.is_degraded

    # anywhere else: these block

    def start(self) -> None:
        """Opens the store and starts the thread. What is wrong with the file is told in the log and does not raise."""
        self._place.open(time.monotonic())
        self._thread = threading.Thread(target=self._run, name="activity writer", daemon=True)
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Writes what there is, ends the thread and closes the store; returns whether it came to that in time."""
        assert self._thread is not None, "it was never started"
        with self._turn:
            self._ending = True
            self._turn.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def flush(self, within_s: float) -> bool:
        """Waits until all that was added so far is written; returns whether it came to that in time."""
        with self._turn:
            target = self._next - 1
            if self._done < target:
                self._hurried = True
                self._turn.notify_all()
            return self._turn.wait_for(lambda: self._done >= target, within_s)

    @contextlib.contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection to read what is written. Raises Unavailable when the store is closed or damaged."""
        database = self._place.database
        try:
            while True:
                with database.reader() as connection:
                    if not database.is_closed:
                        yield connection
                        return
                if database is self._place.database:
                    raise Unavailable("the activity store is closed, because Hostler is ending")
                # Another has taken its place just now.
                database = self._place.database
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
            self._place.suspect = (database, exc)
            self._submit(lambda: None)
            raise Unavailable(f"the activity store {database.path} is damaged ({exc}); a new one is begun") from exc

    def save_history(self, learned: Mapping[ModelId, Learned], within_s: float) -> bool:
        """Keeps what was *learned* for the next run; returns whether it was written in time."""
        return self._submit(lambda: self._place.database.save_history(learned), within_s)

    def reconfigure(self, settings: StoreSettings, within_s: float) -> bool:
        """Takes other *settings*; records in memory go along to a new file. Returns whether it came to that in time."""
        return self._submit(lambda: self._place.reconfigure(settings, time.monotonic()), within_s)

    def _submit(self, work: Callable[[], None], within_s: float = 0.0) -> bool:
        """Has the thread do *work* once it has written what there is; returns whether it was done, in time."""
        job = _Job(work)
        with self._turn:
            self._jobs.append(job)
            self._turn.notify_all()
        return job.ended.wait(within_s) and job.succeeded

    def _reserve(self, taken: int, count: int) -> int:
        """Reserves *count* numbers above *taken* and above all that were given, and returns the first."""
        with self._turn:
            first = max(self._next, taken + 1)
            self._next = first + count
            return first

    # the thread

    def _run(self) -> None:
        while True:
            work = self._take()
            self._tell_of_loss(work.lost)
            # Whatever happens, the thread goes on: others wait for it.
            try:
                if work.batch and self._on_batch is not None:
                    self._on_batch([record for _, record in work.batch])
            except Exception:
                logger.exception("activity could not be counted")
            self._kept += work.batch
            if self._place.settings.path is None and not work.is_asked_for:
                del self._kept[: -self._place.settings.rows_in_memory or None]
            else:
                self._write()
            try:
                for job in work.jobs:
                    job.run()
                self._place.look_after(time.monotonic())
            except Exception:
                logger.exception("the activity store could not be looked after")
            with self._turn:
                # The numbers that were given and do not wait are done with, whatever the records are called now.
                waiting = self._kept or self._queue
                self._done = (waiting[0][0] if waiting else self._next) - 1
                self._turn.notify_all()
            for job in work.jobs:
                job.ended.set()
            if work.is_last:
                self._place.close(time.monotonic())
                return

    def _write(self) -> None:
        kept, self._kept = self._kept, []
        try:
            if kept:
                self._place.write([row_of(*each) for each in in_turns(kept)], time.monotonic())
        except Exception:
            logger.exception("%d activity records are lost: not even memory takes them", len(kept))
            self.lost += len(kept)

    def _take(self) -> _Work:
        with self._turn:
            pause = self._place.pause(time.monotonic())
            self._turn.wait_for(lambda: self._queue or self._jobs or self._hurried or self._ending, pause)
            if self._queue:
                self._turn.wait_for(lambda: self._hurried or self._jobs or self._ending, BATCH_S)
            # At the end as well: whoever still asks then must not wait for what nobody would write.
            is_asked_for = self._hurried or bool(self._jobs) or self._ending
            work = _Work(self._queue, self._jobs, self._lost_now, is_asked_for, self._ending)
            self._queue, self._jobs, self._lost_now = [], [], 0
            self._woken = self._hurried = False
            return work

    def _tell_of_loss(self, lost: int) -> None:
        if lost and not self._losing:
            logger.warning(
                "activity records are lost: they come faster than the disk takes them (%d so far)", self.lost
            )
        self._losing = lost > 0
