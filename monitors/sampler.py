"""Samples a machine: every source in its turn, none at the cost of another.

Theory of operation
-------------------
At each *turn* every source that is not busy takes one step: it is opened if it is not open and if its pause is over, and then sampled.
Every call is made in a thread of its own (`calls`), and no source has two. The turn waits for the steps, but not longer than `GATHER_S`;
who comes later is in the next sample. So a slow source loses turns, and delays nobody.

A source that raises, gives nonsense or has not answered within its limit is *stale*: it is closed (from another thread if it hangs, which
may wake it) and opened anew after a pause that doubles. It is never asked while an earlier call has not come back: a hung thread stays the
only one. A source that has nothing to read here is *absent*, and asked again now and then: a daemon may be started later.
What a source has said counts once. Of one that is stale nothing is in the sample.

A stand-in is *idle* while one of those it stands in for has figures.

The log hears of each change of a source's state, not of each turn.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from monitors.calls import Call, Late
from monitors.merge import attributed, merged_gpus, merged_host, objection
from monitors.processes import ProcessTrees, Tree
from monitors.protocol import GpuReading, HostReading, Reading, Source, Unavailable

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LIMIT_S = 10.0
"""Seconds that one call of a source may take. Programs like rocm-smi need some."""

GATHER_S = 2.0
"""Seconds that a sample waits for the sources of its turn."""

CLOSE_S = 1.0
"""Seconds that the end waits for the sources to let go."""

FIRST_S = 1.0
"""Seconds until the first sample: the processors' load needs two looks, and a page that has been opened should not wait."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0

STEADY_S = 60.0
"""Seconds after which a source that works is forgiven its earlier failures."""


class State(Enum):
    """How a source stands."""

    NEW = "new"
    """Not asked yet."""
    OK = "ok"
    STALE = "stale"
    """Fails; its figures are left out until it is back."""
    ABSENT = "absent"
    """There is nothing for it to read here."""
    IDLE = "idle"
    """Not asked, for another one has figures."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stands, and why."""

    name: str
    state: State
    detail: str = ""
    """Why it has no figures; empty if it has."""

    def document(self) -> dict[str, str]:
        """Returns it as JSON tells it."""
        told = {"name": self.name, "state": self.state.value}
        return {**told, "detail": self.detail} if self.detail else told


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """What one process tree that was asked for uses."""

    name: str
    pid: int
    resident_bytes: int
    gpus: Mapping[str, int]
    """Bytes of each GPU's memory, by its UUID."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine at one moment, as all sources together saw it."""

    at: datetime
    """In UTC."""
    host: HostReading | None
    gpus: tuple[GpuReading, ...]
    trees: tuple[TreeMemory, ...]
    sources: tuple[SourceStatus, ...]


class _Readable(Protocol[T_co]):
    """What can be supervised: a `Source`, or the process table."""

    def open(self) -> None: ...

    def sample(self) -> T_co: ...

    def close(self) -> None: ...


def utc_now() -> datetime:
    """Returns the time of day, for display."""
    return datetime.now(UTC)


class Sampler:
    """Asks all sources; `run` is its life. For turns of one's own: `opened` and `turn`."""

    def __init__(
        self,
        sources: Mapping[str, Callable[[], Source]],
        *,
        stands_in_for: Mapping[str, Sequence[str]] | None = None,
        roots: Callable[[], Mapping[str, int]] | None = None,
        every_s: float = 5.0,
        first_s: float = FIRST_S,
        gather_s: float = GATHER_S,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Prepares; nothing is opened before it runs.

        stands_in_for: sources that are asked only while none of those named has figures.
        roots: returns the processes whose trees' memory is told, name -> pid; called in worker threads.
        """
        self.every_s = every_s
        self._first_s = first_s
        self._gather_s = gather_s
        self._now = now
        self._clock = clock
        self._sources = {name: Supervised(name, make, objection, limit_s, clock) for name, make in sources.items()}
        self._trees: Supervised[tuple[Tree, ...]] | None = None
        if roots is not None:
            self._trees = Supervised("processes", lambda: ProcessTrees(roots), lambda _: None, limit_s, clock)
        self._stands_in_for = stands_in_for or {}
        self._group: TaskGroup | None = None
        self._uuids: dict[str, str] = {}
        """Of the devices at PCI addresses."""
        self._retimed = anyio.Event()

    @property
    def status(self) -> tuple[SourceStatus, ...]:
        """How each source stands."""
        return tuple(source.status for source in self._sources.values())

    def retime(self, every_s: float) -> None:
        """Samples every *every_s* seconds from now on."""
        self.every_s = every_s
        self._retimed.set()

    async def run(self, on_sample: Callable[[Sample], None]) -> None:
        """Samples until cancelled. on_sample: called with each sample, on the thread of the loop."""
        async with self.opened():
            due = anyio.current_time() + self._first_s
            while True:
                self._retimed = anyio.Event()
                with anyio.CancelScope(deadline=due):
                    await self._retimed.wait()
                    due = min(due, anyio.current_time() + self.every_s)
                    continue
                on_sample(await self.turn())
                # Of turns that have been missed, while the machine slept or was busy, none is made up for.
                due = max(due + self.every_s, anyio.current_time())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Is the time in which there are turns; afterwards every source is closed, or left to its thread if it hangs."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                # The host's load counts from here.
                await self._steps()
                yield
                group.cancel_scope.cancel()
        finally:
            self._group = None
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S):
                async with anyio.create_task_group() as group:
                    for source in self._all():
                        group.start_soon(source.close, name=f"closing {source.name}")

    async def turn(self) -> Sample:
        """Asks all sources once and returns what is known then. Within `opened` only, one at a time."""
        await self._steps()
        at = self._now()
        readings = [reading for source in self._sources.values() if (reading := source.take()) is not None]
        trees = (self._trees.take() if self._trees is not None else None) or ()
        gpus = self._recognised(merged_gpus(readings))
        used = attributed(gpus, {pid: tree.name for tree in trees for pid in tree.pids})
        return Sample(
            at,
            merged_host(readings),
            gpus,
            tuple(TreeMemory(tree.name, tree.pid, tree.resident_bytes, used.get(tree.name, {})) for tree in trees),
            self.status,
        )

    def _recognised(self, gpus: tuple[GpuReading, ...]) -> tuple[GpuReading, ...]:
        """Returns *gpus*, each by the UUID it has had before: not another one while the source that knows it best is stale."""
        at_address = Counter(gpu.pci for gpu in gpus)
        return tuple(
            replace(gpu, uuid=self._uuids.setdefault(gpu.pci, gpu.uuid))
            # Instances of one card share their address.
            if gpu.pci and at_address[gpu.pci] == 1
            else gpu
            for gpu in gpus
        )

    async def _steps(self) -> None:
        assert self._group is not None, "turns are taken within `opened`"
        left = 0
        all_done = anyio.Event()

        async def step(source: Supervised[Reading] | Supervised[tuple[Tree, ...]], idle: str) -> None:
            nonlocal left
            try:
                await source.step(idle)
            finally:
                left -= 1
                if not left:
                    all_done.set()

        for source in self._all():
            if not source.is_busy:
                left += 1
                self._group.start_soon(step, source, self._leader(source.name), name=f"source {source.name}")
        if left:
            with anyio.move_on_after(self._gather_s):
                await all_done.wait()

    def _leader(self, name: str) -> str:
        """Returns a source because of which *name* is idle, or ''."""
        for leader in self._stands_in_for.get(name, ()):
            if leader in self._sources and self._sources[leader].status.state in {State.OK, State.NEW}:
                return leader
        return ""

    def _all(self) -> tuple[Supervised[Reading] | Supervised[tuple[Tree, ...]], ...]:
        return (*self._sources.values(), *(() if self._trees is None else (self._trees,)))


class Supervised(Generic[T]):
    """One source, and what is known of its health."""

    def __init__(
        self,
        name: str,
        make: Callable[[], _Readable[T]],
        object_to: Callable[[T], str | None],
        limit_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Prepares. object_to: says why a reading is nonsense; None if it is not."""
        self.name = name
        self.status = SourceStatus(name, State.NEW)
        self._make = make
        self._object_to = object_to
        self._limit_s = limit_s
        self._clock = clock

        # as things are
        self._source: _Readable[T] | None = None
        """Open, or being opened."""
        self._is_open = False
        self._stepping = False
        self._call: Call[object] | None = None
        self._closing: Call[None] | None = None
        self._reading: T | None = None

        # of failures
        self._pause_s = FIRST_PAUSE_S
        self._retry_at = float("-inf")
        self._since = 0.0
        """When it was opened last."""

    @property
    def is_busy(self) -> bool:
        """Whether it has not finished its last step, or a call of it has not come back."""
        return self._stepping or any(call is not None and call.is_under_way for call in (self._call, self._closing))

    def take(self) -> T | None:
        """Returns what it has read since this was last asked, or None."""
        reading, self._reading = self._reading, None
        return reading

    async def step(self, idle: str = "") -> None:
        """Opens it if need be, and reads. Raises nothing of the source's.

        idle: the source because of which it should not be asked; '' if it should.
        """
        self._stepping = True
        try:
            if idle:
                await self._rest(idle)
            elif self._clock() >= self._retry_at:
                await self._read()
        finally:
            self._stepping = False

    async def close(self) -> None:
        """Closes it and waits for that, however long it takes; to be cancelled when that is too long."""
        if self._source is not None:
            try:
                await self._start_closing().result(self._limit_s)
            except Exception as exc:
                logger.debug("hardware source %s cannot be closed: %s", self.name, _words(exc))

    async def _read(self) -> None:
        try:
            if not self._is_open:
                self._source = self._make()
                self._since = self._clock()
                await self._called(self._source.open)
                self._is_open = True
            assert self._source is not None
            reading = await self._called(self._source.sample)
            wrong = self._object_to(reading)
        except Unavailable as exc:
            await self._fail(State.ABSENT, str(exc))
        except Late:
            await self._fail(State.STALE, f"no answer within {self._limit_s:g} s")
        except Exception as exc:
            await self._fail(State.STALE, _words(exc))
        else:
            if wrong is not None:
                await self._fail(State.STALE, wrong)
                return
            self._reading = reading
            if self._clock() - self._since >= STEADY_S:
                self._pause_s = FIRST_PAUSE_S
            self._turn(State.OK)

    async def _rest(self, leader: str) -> None:
        if self._source is not None:
            await self._end()
        self._turn(State.IDLE, f"{leader} says it all")

    async def _fail(self, state: State, why: str) -> None:
        await self._end()
        self._reading = None
        # What is not there now will hardly be in a second.
        pause = LONGEST_PAUSE_S if state is State.ABSENT else self._pause_s
        self._retry_at = self._clock() + pause
        if state is State.STALE:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._turn(state, why)

    async def _end(self) -> None:
        closing = self._start_closing()
        try:
            # Not for long: until the thread is back nothing else is asked of it anyway.
            await closing.result(min(CLOSE_S, self._limit_s))
        except Late:
            logger.debug("hardware source %s hangs while it is closed", self.name)
        except Exception as exc:
            logger.debug("hardware source %s cannot be closed: %s", self.name, _words(exc))

    def _start_closing(self) -> Call[None]:
        assert self._source is not None
        source, self._source, self._is_open = self._source, None, False
        self._closing = closing = Call(source.close, f"closing {self.name}")
        return closing

    async def _called(self, function: Callable[[], T_co]) -> T_co:
        self._call = call = Call(function, f"source {self.name}")
        return await call.result(self._limit_s)

    def _turn(self, state: State, detail: str = "") -> None:
        before, self.status = self.status, SourceStatus(self.name, state, detail)
        if before.state is state:
            return
        match state:
            case State.OK if before.state in {State.STALE, State.ABSENT}:
                logger.info("hardware source %s has figures again", self.name)
            case State.STALE:
                logger.warning("hardware source %s has no figures: %s; it is tried again", self.name, detail)
            case State.ABSENT if before.state in {State.OK, State.STALE}:
                logger.warning("hardware source %s is gone: %s", self.name, detail)
            case _:
                logger.debug("hardware source %s is %s%s", self.name, state.value, detail and f": {detail}")


def without_processes(sample: Sample) -> Sample:
    """Returns *sample* as it is kept: whose memory it is has been worked out."""
    return replace(sample, gpus=tuple(replace(gpu, processes=()) for gpu in sample.gpus))


def _words(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
