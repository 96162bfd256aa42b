"""Sources that do what a test tells them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from monitors.protocol import GpuReading, HostReading, Reading, Unavailable

HOST = HostReading((25.0, 50.0), 8 << 30, 2 << 30, 6 << 30)


def gpu(uuid: str = "GPU-1", **figures: Any) -> GpuReading:
    """Returns a reading of one device."""
    return GpuReading(uuid, "card", **figures)


def wild(**members: Any) -> Reading:
    """Returns a reading that the types forbid, as a source with a mistake in it gives it."""
    return Reading(**members)


@dataclass
class Fake:
    """One source for its whole life, however often the sampler makes it anew (`again`)."""

    name: str = "fake"
    reading: object = field(default_factory=lambda: Reading(HOST))
    absent: str = ""
    """Why there is nothing for it to read."""
    fails: Exception | None = None
    """What `sample` raises."""
    fails_to_open: Exception | None = None
    fails_to_close: Exception | None = None
    hangs: bool = False
    """`sample` does not come back before `let_go` is set."""
    hangs_in_close: bool = False
    heeds_close: bool = False
    """Whether `close` lets a hanging `sample` go."""
    let_go: threading.Event = field(default_factory=threading.Event)

    # what happened
    opened: int = 0
    sampled: int = 0
    closed: int = 0
    at_once: int = 0
    most_at_once: int = 0
    on_hang: Callable[[], None] = lambda: None

    def again(self) -> Fake:
        """Is the factory of the registry."""
        return self

    def open(self) -> None:
        self.opened += 1
        if self.absent:
            raise Unavailable(self.absent)
        if self.fails_to_open is not None:
            raise self.fails_to_open

    def sample(self) -> Reading:
        self.sampled += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hangs:
                self.on_hang()
                self.let_go.wait(20)
            if self.fails is not None:
                raise self.fails
            return cast(Reading, self.reading)
        finally:
            self.at_once -= 1

    def close(self) -> None:
        self.closed += 1
        if self.heeds_close:
            self.let_go.set()
        if self.hangs_in_close:
            self.let_go.wait(20)
        if self.fails_to_close is not None:
            raise self.fails_to_close
