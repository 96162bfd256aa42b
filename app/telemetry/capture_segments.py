"""Where a capture is: still with its recorder, or in a segment, a few dozen of them packed together.

A segment is one zstandard frame, see `capture_record`. It goes as a whole, to keep the budget, and when the last of its captures
has been deleted. A capture in a file is a segment by itself, so that deleting it deletes what it said from the disk at once.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from app.telemetry.capture_record import BrokenCapture, Packer, capture_of, record_of, unpack
from app.telemetry.capture_recorder import epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.telemetry.capture_files import CaptureFiles
    from app.telemetry.capture_record import Capture
    from app.telemetry.capture_recorder import CaptureRecorder, Decode

SEGMENT = 256
SEGMENT_BYTES = 512 << 10
"""Captures of a segment, and bytes of their records, at most; a single capture may be larger."""

ENTRY = 128
"""What each capture in memory costs besides its packed bytes: its place in the index, and in its segment (measured)."""

logger = logging.getLogger(__name__)


class Segment:
    """Captures that are packed together. Only `left` changes, and only the loop's thread looks at that."""

    __slots__ = ("ends", "left", "numbers", "packed", "size")

    def __init__(self, numbers: Sequence[int], ends: Sequence[int], packed: bytes | None, size: int) -> None:
        self.numbers = numbers
        """Ids of all that were packed into it, in order of age."""
        self.ends = ends
        """Where the record of each ends; empty if there is but one."""
        self.packed = packed
        """None: it is in the file of its only capture."""
        self.size = size
        """What it counts for in the budget."""
        self.left = 0
        """How many of its captures are in the index."""

    @classmethod
    def in_file(cls, number: int, size: int) -> Segment:
        """Returns the segment of a file of *size* bytes."""
        return cls((number,), (), None, size)


class Press:
    """Packs what was recorded, and writes it if there are files. Blocks; to be used by one thread at a time.

    It lets go of the interpreter's lock once for each segment, to compress it, so it holds it for a millisecond or less. Not more
    often: as long as the loop is busy, getting it back takes 5 ms each time, and the worker would fall behind.
    """

    def __init__(self, decode: Decode, files: CaptureFiles | None) -> None:
        self._decode = decode
        self._files = files
        self._packer = Packer()

    def segments(
        self, raws: Iterable[CaptureRecorder], is_wanted: Callable[[CaptureRecorder], bool], budget: int, limit: int
    ) -> list[tuple[Segment, Sequence[CaptureRecorder]]]:
        """Returns *raws*, packed, in order; those that are not wanted any more or cannot be packed are left out.

        budget: for what is in memory. No segment of more than one capture is larger than a small part of it.
        limit: for all; no file is larger.
        """
        largest = min(SEGMENT_BYTES, budget // 16)
        done: list[tuple[Segment, Sequence[CaptureRecorder]]] = []
        gathered: list[CaptureRecorder] = []
        records: list[bytes] = []
        size = 0
        epoch_s = epoch()
        for raw in raws:
            record = self._record(raw, epoch_s) if is_wanted(raw) else None
            if record is None:
                continue
            # Each in its file, as long as that works.
            alone = self._files is not None and self._files.is_writable
            if records and (alone or len(records) >= SEGMENT or size + len(record) > largest):
                done.append((self._segment(gathered, records), gathered))
                gathered, records, size = [], [], 0
            if alone:
                done.append((self._written(raw, record, limit), (raw,)))
            else:
                gathered.append(raw)
                records.append(record)
                size += len(record)
        if records:
            done.append((self._segment(gathered, records), gathered))
        return done

    def _record(self, raw: CaptureRecorder, epoch_s: float) -> bytes | None:
        """Returns the record of one; None, and an error in the log, if that cannot be made."""
        try:
            capture = raw.capture(self._decode, epoch_s)
            return record_of(capture if self._files is None else capture.without_secrets())
        except Exception:
            # Of an observation; the request it belongs to has been served.
            logger.exception("an exchange cannot be captured")
            return None

    def _segment(self, raws: Sequence[CaptureRecorder], records: Sequence[bytes]) -> Segment:
        packed = self._packer.pack(records)
        ends = array("I", accumulate(map(len, records)))
        return Segment(tuple(raw.number for raw in raws), ends, packed, len(packed) + ENTRY * len(records))

    def _written(self, raw: CaptureRecorder, record: bytes, limit: int) -> Segment:
        """Returns the segment of one that is written to its file, or not if that fails or it is over the budget by itself."""
        assert self._files is not None
        segment = self._segment((raw,), (record,))
        assert segment.packed is not None
        if len(segment.packed) <= limit and self._files.write(raw.number, segment.packed):
            return Segment.in_file(raw.number, len(segment.packed))
        return segment


class Reader:
    """Reads captures, in one thread. It remembers the segment it has unpacked last: a search looks at one after the other."""

    def __init__(self, decode: Decode, files: CaptureFiles | None) -> None:
        self._decode = decode
        self._files = files
        self._segment: Segment | None = None
        self._records = b""

    def read(self, number: int, place: CaptureRecorder | Segment) -> Capture:
        """Returns the capture that is at *place*, with its secrets. Raises BrokenCapture."""
        if not isinstance(place, Segment):
            return place.capture(self._decode)
        if place is not self._segment:
            self._records = unpack(self._packed(place))
            self._segment = place
        if len(place.ends) < 2:
            return capture_of(self._records)
        index = place.numbers.index(number)
        return capture_of(self._records[place.ends[index - 1] if index else 0 : place.ends[index]])

    def _packed(self, segment: Segment) -> bytes:
        if segment.packed is not None:
            return segment.packed
        assert self._files is not None
        try:
            return self._files.read(segment.numbers[0])
        except OSError as exc:
            raise BrokenCapture(str(exc)) from exc
