"""The last so many of something, each with the moment it is of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")

HOUR_S = 3600.0
"""What is kept. Source: compatibility specification 7.1."""


def capacity(every_s: float) -> int:
    """Returns how many samples, one in *every_s* seconds, make an hour; one at least."""
    return max(int(HOUR_S / every_s), 1)


class Ring(Generic[T]):
    """Keeps the newest; the oldest go first."""

    __slots__ = ("_kept",)

    def __init__(self, size: int) -> None:
        self._kept: deque[tuple[datetime, T]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """How many it keeps."""
        assert self._kept.maxlen is not None
        return self._kept.maxlen

    def add(self, at: datetime, what: T) -> None:
        """Takes in what is of a later moment than all before it."""
        self._kept.append((at, what))

    def after(self, moment: datetime | None) -> Iterator[T]:
        """Yields what is later than *moment*, oldest first; everything if None. For any thread: of what there is now."""
        return (what for at, what in tuple(self._kept) if moment is None or at > moment)

    def latest(self) -> T | None:
        """Returns the newest, or None while there is nothing."""
        return self._kept[-1][1] if self._kept else None

    def resize(self, size: int) -> None:
        """Keeps *size* from now on: of what there is the newest."""
        self._kept = deque(self._kept, maxlen=size)

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
