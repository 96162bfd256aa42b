"""The captures there are: packed, under a byte budget, the oldest going first; in memory, or in files as well.

Theory of operation
-------------------
- `add` is called on the event loop when an answer has ended. It notes what was recorded, and nothing else: packing a capture there
  and then takes some 60 µs between two requests, because the compressor's code and tables are not in the processor's caches.
- `run` waits until `SEGMENT` captures have gathered, or `GATHER_BYTES`, or a large one, or for `GATHER_S` after the first. Then a
  worker thread packs them in segments, see `capture_segments`. Whoever asks meanwhile is shown what was recorded.
- Looking for secrets costs more than all the rest (12 µs a KiB), and most captures are evicted unseen. So it is done before
  a capture is shown or written to a disk: what is in our own memory may still hold them, nothing else ever does.
- In memory alone packing takes `SHARE` of the time at most: who asks so much that it takes longer would see nearly all of it evicted
  before anybody looks. Then the oldest go unpacked, as the budget wants it.
- What waits for `run` is bounded by `PENDING`, by `PENDING_BYTES`, and by the budget: beyond that a capture is dropped, and counted.
- The index of all captures is here, in order of age, and only the loop's thread touches it. The budget is kept after every step.
  What counts for it: packed bytes, and a little for each capture in memory; before it is packed, all that it holds. Only a large
  one counts nothing while it waits: it may become far smaller, and must not drive out all others before.
- When the budget is exceeded the oldest segment goes as a whole. Its bytes also stay while a single one of its captures is left;
  a deleted one cannot be found in it any more. A capture over the budget by itself is left out, so that it does not drive out
  all others.
- With a directory each capture becomes a file of its own, under a budget for all: what is deleted is then gone from the disk, and
  no file has ever to be written twice. When the disk fails captures stay in memory, under the budget for that.
- Files of an earlier run are taken over by name and size; one that proves to be broken is removed when it is asked for.

More than 400 lines, since the index, the budget and what waits are one state, which every step has to leave consistent.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskStatus

from app.telemetry.capture_files import CaptureFiles
from app.telemetry.capture_record import BrokenCapture, Capture
from app.telemetry.capture_recorder import Allowance, CaptureRecorder, Decode
from app.telemetry.capture_search import Found, Needle, look_through
from app.telemetry.capture_segments import SEGMENT, Press, Reader, Segment

LARGE = 64 << 10
"""Bytes of bodies from which on a capture counts only once it is packed."""

RAW = 2 << 10
"""What a capture that is not packed holds besides its bodies: its recorder and its headers, some 2 KB (measured)."""

PENDING = 2048
PENDING_BYTES = 64 << 20
"""How many captures, and how many bytes of bodies, may wait for the worker."""

GATHER_BYTES = 1 << 20
GATHER_S = 1.0
"""Bytes held by those that wait, and seconds since the first, from which on they do not wait for more to be packed with."""

SHARE = 0.02
"""Of the time, for packing what is kept in memory alone: some 900 small captures a second."""

BATCH = 2 * SEGMENT
BATCH_BYTES = 4 << 20
"""Captures, and bytes they hold, after which the worker lets others have a turn."""

RECORDING = 64 << 20
"""Bytes that the answers still being recorded may hold together, beyond the first few KiB of each."""

FINAL_S = 3.0
"""Seconds that what waits to be written may take at the end of the program."""

FOUND = 100
"""Captures that a search finds at most."""

SEARCH_S = 2.0
"""Seconds after which a search gives what it has found so far."""

logger = logging.getLogger(__name__)


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

        budget: bytes kept in memory; 0 or less: nothing is kept at all.
        directory: where captures outlive the program; None: nowhere.
        file_budget: bytes kept with a directory, be they in files or still in memory; None: as many as *budget*.
        """
        # the same for its whole life
        self._decode = decode
        self._files = None if directory is None else CaptureFiles(directory)
        self._allowance = Allowance(RECORDING)
        self.recorder = partial(CaptureRecorder, self._allowance)
        """Makes what records one exchange; see there for the other arguments. It must come to `add`, or be closed."""
        self._press = Press(decode, self._files)
        self._worker = CapacityLimiter(1)
        """Whoever packs, writes files or removes them."""
        self._reading = CapacityLimiter(4)
        self._searching = CapacityLimiter(1)

        # as things are
        self._set_budgets(budget, file_budget)
        self._places: dict[int, CaptureRecorder | Segment] = {}
        """Of all captures, the oldest first."""
        self._segments: OrderedDict[Segment, None] = OrderedDict()
        """All that are packed, the oldest first. They are older than those that are not."""
        self._held: OrderedDict[Segment, None] = OrderedDict()
        """Those of them that are in memory."""
        self._packed_bytes = 0
        self._held_bytes = 0
        self._raw_bytes = 0
        """What counts of those that are not packed."""
        self._waiting: deque[CaptureRecorder] = deque()
        """For the worker; also some that are not wanted any more."""
        self._packing: list[CaptureRecorder] = []
        """What the worker has in hand."""
        self._large_bytes = 0
        """What the large ones of them hold."""
        self._to_remove: set[int] = set()
        """Captures whose files are no longer wanted."""
        self._packed_in_s = 0.0
        """What the worker's last batch took, of processor time."""
        self._clearings = 0
        """How often everything has been deleted."""
        self._wake = anyio.Event()
        self.losses = Losses()

    @property
    def used_bytes(self) -> int:
        """What counts for the budget: see the theory of operation."""
        return self._packed_bytes + self._raw_bytes

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._places)

    # for the path of a request

    def add(self, number: int, recorder: CaptureRecorder, error: str = "", status: int = 0) -> None:
        """Takes in an exchange that has ended, as the newest. Never raises, never waits. error, status: see `CaptureRecorder.finish`."""
        weight = recorder.finish(error, status) + RAW
        limit = self._limit
        waiting = self._waiting
        raw_bytes = before = self._raw_bytes
        is_large = False
        if weight > LARGE or raw_bytes + weight > limit or len(waiting) >= PENDING or not self.is_on:
            is_large = weight > LARGE or weight > limit
            if not self._has_room(weight, is_large=is_large):
                recorder.close()
                if self.is_on:
                    self.losses.dropped += 1
                return
            raw_bytes = self._raw_bytes
        places = self._places
        if number in places:
            self._forget(number)
            raw_bytes = self._raw_bytes
        recorder.number = number
        places[number] = recorder
        waiting.append(recorder)
        if is_large:
            recorder.weight = 0
            self._large_bytes += weight
        else:
            recorder.weight = weight
            self._raw_bytes = raw_bytes = raw_bytes + weight
        count = len(waiting)
        # Once for each reason: to wake who is awake is not free.
        if count == 1 or count == SEGMENT or is_large or raw_bytes >= self._enough > before:  # noqa: PLR1714 - quicker
            self._wake.set()
        if self._packed_bytes + raw_bytes > limit:
            self._evict()

    def _has_room(self, weight: int, *, is_large: bool) -> bool:
        """Returns whether one of *weight* bytes may wait; others have made room for it, if that can be."""
        if not self.is_on:
            return False
        if is_large:
            return len(self._waiting) < PENDING and self._large_bytes + weight <= PENDING_BYTES
        if self._files is None:
            self._make_room(weight)
            return True
        return len(self._waiting) < PENDING and self._raw_bytes + weight <= self._limit

    def _make_room(self, weight: int) -> None:
        """Lets the oldest go that are not packed, until one of *weight* bytes may wait."""
        waiting = self._waiting
        if self._raw_bytes + weight > self._limit:
            # Even older, and no room for any of them.
            while self._segments:
                self._forget_segment(next(iter(self._segments)))
        while waiting and (len(waiting) >= PENDING or self._raw_bytes + weight > self._limit):
            raw = waiting.popleft()
            if self._places.get(raw.number) is raw:
                if self._raw_bytes + weight <= self._limit:
                    self.losses.dropped += 1
                self._forget(raw.number)
            self._done_with(raw)

    def _done_with(self, raw: CaptureRecorder) -> None:
        if not raw.weight:
            self._large_bytes -= raw.held_bytes + RAW
        raw.close()

    # for who looks at them

    def has(self, number: int) -> bool:
        """Returns whether there is a capture of this id."""
        return number in self._places

    def ids(self, limit: int = FOUND) -> Found:
        """Returns the newest captures."""
        newest = list(islice(reversed(self._places), limit))
        return Found(newest, len(newest) == len(self._places))

    async def get(self, number: int) -> Capture | None:
        """Returns the capture of this id; None: there is none, or none any more."""
        place = self._places.get(number)
        if place is None:
            return None
        try:
            return await to_thread.run_sync(self._look, number, place, limiter=self._reading)
        except BrokenCapture as exc:
            self._drop_broken(number, place, exc)
            return None

    async def search(self, text: str, limit: int = FOUND, within_s: float = SEARCH_S) -> Found:
        """Returns the newest captures that hold *text*; see `capture_search`. One search at a time, the others wait."""
        until = time.monotonic() + within_s
        needle = Needle(text)
        async with self._searching:
            places = list(self._places.items())
            read = Reader(self._decode, self._files).read
            readers = ((number, partial(read, number, place)) for number, place in reversed(places))
            found, broken = await to_thread.run_sync(look_through, readers, needle, limit, until)
        if broken:
            looked_at = dict(places)
            for number, why in broken:
                self._drop_broken(number, looked_at[number], why)
        return found

    async def delete(self, number: int) -> bool:
        """Removes one, its file as well; returns whether it was there."""
        if number not in self._places:
            return False
        self._forget(number)
        await self._remove_files()
        return True

    async def delete_all(self) -> None:
        """Removes all, their files as well."""
        for raw in (*self._waiting, *self._packing):
            raw.close()
        self._places.clear()
        self._segments.clear()
        self._held.clear()
        self._packed_bytes = self._held_bytes = self._raw_bytes = 0
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
        self._enough = min(GATHER_BYTES, self._limit // 8)
        """Bytes that are worth the worker's while."""
        self.is_on = self._budget > 0 and self._limit > 0
        """Whether anything is kept; if not, recording is in vain."""

    def _keep_budgets(self) -> None:
        if not self.is_on:
            for number in list(self._places):
                self._forget(number)
        for raw in (*self._packing, *self._waiting) if self._raw_bytes > self._limit else ():
            if self._raw_bytes > self._limit and raw.weight and self._places.get(raw.number) is raw:
                self._forget(raw.number)
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
                while not (self._waiting or self._to_remove):
                    self._wake = anyio.Event()
                    await self._wake.wait()
                # A large one fills a segment by itself.
                if len(self._waiting) < SEGMENT and self._raw_bytes < self._enough and not self._large_bytes:
                    self._wake = anyio.Event()
                    with anyio.move_on_after(GATHER_S):
                        await self._wake.wait()
                await self._work()
                if self._files is None and not self._large_bytes:
                    # Not to wait for anything: to leave the processor to others.
                    await anyio.sleep(self._packed_in_s * (1 / SHARE - 1))
        finally:
            if self._files is not None:
                with anyio.move_on_after(FINAL_S, shield=True):
                    while self._waiting or self._to_remove:
                        await self._work()

    def _take_over(self, files: list[tuple[int, int]]) -> None:
        added, segments = self._places, self._segments
        self._places, self._segments = {}, OrderedDict()
        for number, size in files:
            if number not in added:
                # An empty file is none of ours; it is given a size so that it is found to be broken like others.
                self._keep(Segment.in_file(number, max(size, 1)), [number])
        self._places.update(added)
        self._segments.update(segments)
        self._keep_budgets()

    async def _work(self) -> None:
        """Does one batch. Cancelled, it leaves what waits as it was."""
        await self._remove_files()  # before: one that is to be written may have the name of one that is to go
        batch, waiting, size = self._packing, self._waiting, 0
        while waiting and len(batch) < BATCH and size < BATCH_BYTES:
            raw = waiting.popleft()
            batch.append(raw)
            size += raw.weight or raw.held_bytes
        if batch:
            try:
                done = await to_thread.run_sync(self._pack, batch, limiter=self._worker)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                batch.clear()
                raise
            for raw in batch:
                self._done_with(raw)
            for segment, raws in done:
                self._settle(segment, raws)
            for raw in batch if sum(len(raws) for _, raws in done) < len(batch) else ():
                if self._places.get(raw.number) is raw:
                    self.losses.failed += 1
                    self._forget(raw.number)
            batch.clear()  # the thread that has packed them keeps the list until it has something else to do
        await self._remove_files()

    def _pack(self, batch: list[CaptureRecorder]) -> list[tuple[Segment, Sequence[CaptureRecorder]]]:
        # In the worker thread. Asking the index is safe there, and who is deleted meanwhile is told when it is settled.
        budget = min(self._budget, self._limit)
        began = time.thread_time()
        packed = self._press.segments(batch, lambda raw: self._places.get(raw.number) is raw, budget, self._limit)
        self._packed_in_s = time.thread_time() - began
        return packed

    async def _remove_files(self) -> None:
        numbers = sorted(self._to_remove)
        if self._files is not None and numbers:
            await to_thread.run_sync(self._files.remove, numbers, limiter=self._worker)
        self._to_remove.difference_update(numbers)

    # the index

    def _settle(self, segment: Segment, raws: Sequence[CaptureRecorder]) -> None:
        """Puts a segment in the place of those it was packed from, as far as they are still wanted."""
        places = self._places
        wanted = [raw for raw in raws if places.get(raw.number) is raw]
        numbers = [raw.number for raw in wanted]
        self._raw_bytes -= sum([raw.weight for raw in wanted])
        is_in_file = segment.packed is None
        fits = segment.size <= (self._limit if is_in_file else min(self._budget, self._limit))
        if numbers and fits:
            self._keep(segment, numbers)
            self._evict()
            return
        for number in numbers:
            del places[number]
            self.losses.too_large += 1
        if is_in_file:
            self._to_remove.add(segment.numbers[0])

    def _keep(self, segment: Segment, numbers: Sequence[int]) -> None:
        segment.left = len(numbers)
        self._places.update(dict.fromkeys(numbers, segment))
        self._segments[segment] = None
        self._packed_bytes += segment.size
        if segment.packed is not None:
            self._held[segment] = None
            self._held_bytes += segment.size

    def _evict(self) -> None:
        while self._segments and self._packed_bytes + self._raw_bytes > self._limit:
            self._forget_segment(next(iter(self._segments)))
        while self._held_bytes > self._budget:
            self._forget_segment(next(iter(self._held)))

    def _forget_segment(self, segment: Segment) -> None:
        for number in segment.numbers:
            if self._places.get(number) is segment:
                self._forget(number)

    def _forget(self, number: int) -> None:
        place = self._places.pop(number)
        if not isinstance(place, Segment):
            self._raw_bytes -= place.weight
            place.close()
            return
        place.left -= 1
        if place.left:
            return
        del self._segments[place]
        self._packed_bytes -= place.size
        if place.packed is None:
            self._to_remove.add(number)
            self._wake.set()
        else:
            del self._held[place]
            self._held_bytes -= place.size

    def _drop_broken(self, number: int, place: CaptureRecorder | Segment, why: BrokenCapture) -> None:
        # One that has just been evicted cannot be read either; nobody needs to know.
        if self._places.get(number) is place:
            logger.warning("capture %d is broken and removed: %s", number, why)
            self.losses.failed += 1
            self._forget(number)

    # in worker threads

    def _look(self, number: int, place: CaptureRecorder | Segment) -> Capture:
        """Returns what is at *place*, as it may be shown. Raises BrokenCapture."""
        return Reader(self._decode, self._files).read(number, place).without_secrets()
