"""The last bytes of a log, and where in the whole log they stand.

Readers are cursors: each keeps its own position in the log and asks what came after it. So a writer does the same work for
none as for two hundred readers, and a reader that falls behind costs nothing but its own lost bytes, which it is told of.
"""

from __future__ import annotations

from typing import NamedTuple


class Piece(NamedTuple):
    """What a reader gets."""

    data: bytes
    position: int
    """Where to go on."""
    dropped: int
    """Bytes before *data* that the reader has not seen and nobody can give it any more."""

    def marked(self) -> bytes:
        """Returns the data, with a visible line where bytes are missing."""
        if not self.dropped:
            return self.data
        return f"\n— {self.dropped} bytes dropped —\n".encode() + self.data


class ByteRing:
    """Keeps at least the last *capacity* bytes, and at most twice as many. Takes no memory before the first byte."""

    __slots__ = ("_bytes", "_most", "_start", "capacity")

    def __init__(self, capacity: int = 100 << 10) -> None:
        self.capacity = capacity
        self._most = 2 * capacity
        self._bytes = bytearray()
        self._start = 0

    @property
    def end(self) -> int:
        """Number of bytes ever written: the position after the last one."""
        return self._start + len(self._bytes)

    def append(self, data: bytes) -> None:
        """Adds *data* to the log."""
        kept = self._bytes
        kept += data
        # Twice the room, so that a byte is moved once on average instead of with every write.
        if len(kept) > self._most:
            excess = len(kept) - self.capacity
            del kept[:excess]
            self._start += excess

    def since(self, position: int, limit: int) -> Piece:
        """Returns up to *limit* bytes from *position* on; without data if there is nothing new."""
        dropped = max(0, self._start - position)
        first = position + dropped - self._start
        data = bytes(memoryview(self._bytes)[first : first + limit])
        return Piece(data, position + dropped + len(data), dropped)

    def position_before(self, size: int) -> int:
        """Returns the position from which on at most *size* bytes follow."""
        return max(self._start, self.end - size)
