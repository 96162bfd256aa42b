"""The captures there are: packed, under a byte budget, the oldest going first; in memory, or in files as well.

Theory of operation
-------------------
- `add` is called on the event loop when an answer has ended, and does not wait. A small capture is packed at once, in some
  20 µs: the way to another thread and back costs more. A large one, and one that has to be decoded, waits for `run`, which packs
  in a worker thread, one after the other. Whoever asks meanwhile finds it: it only takes longer.
- Looking for secrets in bodies costs more than all the rest (12 µs a KiB), and most captures are evicted unseen. So it is done
  before a capture is shown or written to a disk: what is packed in our own memory may still hold them, nothing else ever does.
- What waits for `run` is bounded by `PENDING` and `PENDING_BYTES`: beyond either a large capture is dropped, and counted.
- The index of all captures is here, in order of age, and only the loop's thread touches it. The budget is for packed bytes
  and kept after every step. A capture over the budget by itself is left out, so that it does not drive out all others.
- With a directory all captures wait for `run`, which writes each to a file, under a budget for all. When the disk fails they stay
  in memory, under the budget for that. Small ones that come while too many wait are packed at once and stay in memory.
- Files of an earlier run are taken over by name and size; one that proves to be broken is removed when it is asked for.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskStatus

from app.telemetry.capture_files import CaptureFiles
from app.telemetry.capture_record import BrokenCapture, Capture, Packer, unpack
from app.telemetry.capture_recorder import Allowance, CaptureRecorder, Decode, packed_of
from app.telemetry.capture_search import Found, Needle, look_through

if TYPE_CHECKING:
    from app.asgi import Body

RawHeaders = Sequence[tuple[bytes, bytes]]

INLINE = 64 << 10
"""Bytes of bodies that are packed at once: 100 µs at most (measured)."""

PENDING = 512
PENDING_BYTES = 64 << 20
"""How many captures, and how many bytes of bodies, may wait for the worker."""

BATCH = 64
BATCH_BYTES = 4 << 20
"""Captures, and bytes to be packed, after which the worker lets others have a turn."""

RECORDING = 64 << 20
"""Bytes that the answers still being recorded may hold together, beyond the first few KiB of each."""

FINAL_S = 3.0
"""Seconds that what waits to be written may take at the end of the program."""

FOUND = 100
"""Captures that a search finds at most."""

SEARCH_S = 2.0
"""Seconds after which a search gives what it has found so far."""

logger = logging.getLogger(__name__)


class _Entry:
    """One capture in the index: recorded, then packed, then perhaps in a file."""

    __slots__ = ("packed", "recorder", "size")

    def __init__(self, recorder: CaptureRecorder | None, size: int = 0) -> None:
        self.recorder = recorder
        """Until it is packed. Other threads read this first and `packed` second, so that is set before this is cleared."""
        self.packed: bytes | None = None
        """From then on, unless it is in a file."""
        self.size = size
        """Length of its packed bytes; 0 until they are there."""


@dataclass(slots=True)
class Losses:
    """Captures that were not kept, since the start."""

    dropped: int = 0
    """Too many were waiting to be packed."""
    too_large: int = 0
    """Over the budget by themselves."""
    failed: int = 0
    """Could not be packed, or read again."""


class Captures:
    """All captures, by the id of their activity record. For the thread of the loop; `run` is to be running."""

    def __init__(
        self, budget: int, decode: Decode, directory: Path | None = None, file_budget: int | None = None
    ) -> None:
        """Prepares.

        budget: packed bytes kept in memory; 0 or less: nothing is kept at all.
        directory: where captures outlive the program; None: nowhere.
        file_budget: packed bytes kept with a directory, be they in files or still in memory; None: as many as *budget*.
        """
        # the same for its whole life
        self._decode = decode
        self._files = None if directory is None else CaptureFiles(directory)
        self._allowance = Allowance(RECORDING)
        self._packer = Packer()
        """Of the loop's thread."""
        self._worker = CapacityLimiter(1)
        """Whoever packs in bulk, writes files or removes them."""
        self._reading = CapacityLimiter(4)
        self._searching = CapacityLimiter(1)

        # as things are
        self._set_budgets(budget, file_budget)
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._used = 0
        self._held: OrderedDict[int, _Entry] = OrderedDict()
        """Those of which the packed bytes are in memory."""
        self._held_bytes = 0
        self._waiting: deque[tuple[int, _Entry]] = deque()
        """For the worker; all of them with their recorders."""
        self._waiting_bytes = 0
        self._to_remove: set[int] = set()
        """Captures whose files are no longer wanted."""
        self._clearings = 0
        """How often everything has been deleted."""
        self._wake = anyio.Event()
        self.losses = Losses()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept; if not, recording is in vain."""
        return self._budget > 0 and self._limit > 0

    @property
    def used_bytes(self) -> int:
        """Packed bytes of all captures, in memory and in files."""
        return self._used

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._entries)

    # for the path of a request

    def recorder(self, method: str, path: str, headers: RawHeaders, body: Body, target: bytes = b"") -> CaptureRecorder:
        """Returns what records one exchange; see there for the arguments. It must come to `add`, or be closed."""
        return CaptureRecorder(self._allowance, method, path, headers, body, target)

    def add(self, number: int, recorder: CaptureRecorder) -> None:
        """Takes in an exchange that has ended, as the newest. Never raises, never waits."""
        recorder.finish()
        size = recorder.held_bytes
        is_small = size <= INLINE and not recorder.encoding
        has_room = len(self._waiting) < PENDING and self._waiting_bytes + size <= PENDING_BYTES
        if not self.is_on:
            recorder.close()
            return
        if not is_small and not has_room:
            recorder.close()
            self.losses.dropped += 1
            return
        if number in self._entries:
            self._forget(number)
        entry = self._entries[number] = _Entry(recorder)
        if is_small and not (has_room and self._files is not None):
            self._settle(number, entry, packed_of(self._packer, recorder, self._decode))
        else:
            self._waiting.append((number, entry))
            self._waiting_bytes += size
            self._wake.set()

    # for who looks at them

    def has(self, number: int) -> bool:
        """Returns whether there is a capture of this id."""
        return number in self._entries

    def ids(self, limit: int = FOUND) -> Found:
        """Returns the newest captures."""
        newest = [number for number, _ in zip(reversed(self._entries), range(limit), strict=False)]
        return Found(newest, len(newest) == len(self._entries))

    async def get(self, number: int) -> Capture | None:
        """Returns the capture of this id; None: there is none, or none any more."""
        entry = self._entries.get(number)
        if entry is None:
            return None
        try:
            return await to_thread.run_sync(self._look, number, entry, limiter=self._reading)
        except BrokenCapture as exc:
            self._drop_broken(number, entry, exc)
            return None

    async def search(self, text: str, limit: int = FOUND, within_s: float = SEARCH_S) -> Found:
        """Returns the newest captures that hold *text*; see `capture_search`. One search at a time, the others wait."""
        until = time.monotonic() + within_s
        needle = Needle(text)
        async with self._searching:
            entries = list(self._entries.items())
            readers = ((number, partial(self._read, number, entry)) for number, entry in reversed(entries))
            found, broken = await to_thread.run_sync(look_through, readers, needle, limit, until)
        if broken:
            looked_at = dict(entries)
            for number, why in broken:
                self._drop_broken(number, looked_at[number], why)
        return found

    async def delete(self, number: int) -> bool:
        """Removes one, its file as well; returns whether it was there."""
        if number not in self._entries:
            return False
        self._forget(number)
        await self._remove_files()
        return True

    async def delete_all(self) -> None:
        """Removes all, their files as well."""
        for entry in self._entries.values():
            if entry.recorder is not None:
                entry.recorder.close()
        self._entries.clear()
        self._held.clear()
        self._used = self._held_bytes = 0
        self._clearings += 1
        if self._files is not None:
            await to_thread.run_sync(self._files.remove_all, limiter=self._worker)

    def reconfigure(self, budget: int, file_budget: int | None = None) -> None:
        """Takes other budgets, as at the beginning."""
        self._set_budgets(budget, file_budget)
        self._keep_budgets()

    def _set_budgets(self, budget: int, file_budget: int | None) -> None:
        self._budget = max(budget, 0)
        self._limit = self._budget if self._files is None or file_budget is None else max(file_budget, 0)

    def _keep_budgets(self) -> None:
        if not self.is_on:
            for number in list(self._entries):
                self._forget(number)
        self._evict()

    # the worker

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Takes over the files there are, then packs and writes what waits, until it is cancelled."""
        task_status.started()
        try:
            if self._files is not None:
                clearings = self._clearings
                files = await to_thread.run_sync(self._files.open, limiter=self._worker)
                if clearings == self._clearings:
                    self._take_over(files)
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                while self._waiting or self._to_remove:
                    await self._work()
        finally:
            if self._files is not None:
                with anyio.move_on_after(FINAL_S, shield=True):
                    while self._waiting or self._to_remove:
                        await self._work()

    def _take_over(self, files: list[tuple[int, int]]) -> None:
        added = self._entries
        self._entries = OrderedDict()
        for number, size in files:
            if number not in added:
                # An empty file is none of ours; it is given a size so that it is found to be broken like others.
                self._entries[number] = _Entry(None, max(size, 1))
                self._used += max(size, 1)
        self._entries.update(added)
        self._keep_budgets()

    async def _work(self) -> None:
        """Does one batch. Cancelled, it leaves what waits as it was."""
        await self._remove_files()
        batch = []
        size = 0
        for number, entry in self._waiting:
            assert entry.recorder is not None
            batch.append((number, entry, entry.recorder))
            size += entry.recorder.held_bytes
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                break
        done = await to_thread.run_sync(self._pack_and_write, batch, limiter=self._worker)
        for (number, entry, recorder), (packed, is_written) in zip(batch, done, strict=True):
            self._waiting.popleft()
            self._waiting_bytes -= recorder.held_bytes
            self._settle(number, entry, packed, is_written=is_written)

    def _pack_and_write(self, batch: list[tuple[int, _Entry, CaptureRecorder]]) -> list[tuple[bytes | None, bool]]:
        """In a worker thread: returns the packed bytes of each, and whether they are in a file."""
        packer = Packer()
        files = self._files
        done: list[tuple[bytes | None, bool]] = []
        for number, entry, recorder in batch:
            if self._entries.get(number) is not entry:
                done.append((None, False))  # gone meanwhile
                continue
            packed = packed_of(packer, recorder, self._decode, without_secrets=files is not None)
            is_written = False
            if files is not None and packed is not None and len(packed) <= self._limit:
                is_written = files.write(number, packed)
            done.append((packed, is_written))
        return done

    async def _remove_files(self) -> None:
        numbers = sorted(self._to_remove)
        if self._files is not None and numbers:
            await to_thread.run_sync(self._files.remove, numbers, limiter=self._worker)
        self._to_remove.difference_update(numbers)

    # the index

    def _settle(self, number: int, entry: _Entry, packed: bytes | None, *, is_written: bool = False) -> None:
        """Takes the packed form of an entry; without one, or over the budget, the entry goes."""
        size = 0 if packed is None else len(packed)
        fits = 0 < size <= (self._limit if is_written else min(self._budget, self._limit))
        if not is_written:
            entry.packed = packed
        recorder, entry.recorder = entry.recorder, None
        if recorder is not None:
            recorder.close()
        is_gone = self._entries.get(number) is not entry
        if is_written and (is_gone or not fits):
            self._to_remove.add(number)
        if is_gone:
            return
        if not fits:
            if packed is None:
                self.losses.failed += 1
            else:
                self.losses.too_large += 1
            del self._entries[number]
            return
        entry.size = size
        self._used += size
        if not is_written:
            self._held[number] = entry
            self._held_bytes += size
        self._evict()

    def _evict(self) -> None:
        while self._used > self._limit:
            # Those that are not packed yet weigh nothing; there are at most `PENDING` of them.
            self._forget(next(number for number, entry in self._entries.items() if entry.size))
        while self._held_bytes > self._budget:
            self._forget(next(iter(self._held)))

    def _forget(self, number: int) -> None:
        entry = self._entries.pop(number)
        self._used -= entry.size
        if self._held.pop(number, None) is not None:
            self._held_bytes -= entry.size
        if entry.recorder is not None:
            entry.recorder.close()
        elif entry.packed is None:
            self._to_remove.add(number)
            self._wake.set()

    def _drop_broken(self, number: int, entry: _Entry, why: BrokenCapture) -> None:
        # One that has just been evicted cannot be read either; nobody needs to know.
        if self._entries.get(number) is entry:
            logger.warning("capture %d is broken and removed: %s", number, why)
            self.losses.failed += 1
            self._forget(number)

    # in worker threads

    def _look(self, number: int, entry: _Entry) -> Capture:
        """Returns what an entry holds, as it may be shown. Raises BrokenCapture."""
        return self._read(number, entry).without_secrets()

    def _read(self, number: int, entry: _Entry) -> Capture:
        """Returns what an entry holds, whatever state it is in; with its secrets. Raises BrokenCapture."""
        recorder = entry.recorder
        packed = entry.packed
        if recorder is not None:
            return recorder.capture(self._decode)
        if packed is None:
            assert self._files is not None
            try:
                packed = self._files.read(number)
            except OSError as exc:
                raise BrokenCapture(str(exc)) from exc
        return unpack(packed)
