"""What can happen: the only way by which facts reach the scheduler. Each event records a fact and decides nothing.

Those of which every request has one are not frozen, since a frozen dataclass takes three times as long to make. Nobody
changes them all the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from planners.protocol import ModelId, SwapPlanner

Ticket = NewType("Ticket", int)
"""One request's place in the queue, and later its lease. Given out by the supervisor, never used twice."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the scheduler must know of a model."""

    launch: Hashable = None
    """What starts it: compared on a reload, never looked into."""
    ttl_s: float = 0.0
    """Idle seconds after which it is unloaded; 0: never."""
    priority: int = 0
    """Its tickets are served before those of lower priority, until those have waited for their patience."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """How those who wait are treated, as configured."""

    patience_s: float = 60.0
    """Seconds an older ticket may be overtaken by a ready model's newcomers; `inf`: always, 0: never."""
    min_residency_s: float = 0.0
    """Seconds a model stays, once it is ready, before it may be evicted."""
    max_queued: float = 1000
    """Tickets that may wait at once, of all models; `inf`: any number."""


@dataclass(slots=True)
class Arrived:
    """A request wants *model*."""

    ticket: Ticket
    model: ModelId
    insists: bool = False
    """Somebody has asked for the model to be loaded: it is tried although it has just failed to start."""


@dataclass(slots=True)
class Left:
    """A request has ended, whichever way: gave up waiting, finished, failed, was cancelled. Posted once for each ticket."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Ready:
    """An instance answers requests now."""

    model: ModelId
    generation: int


@dataclass(frozen=True, slots=True)
class Ending:
    """An instance has failed and serves no more; what is left of it is being cleared away, and `Exited` will follow."""

    model: ModelId
    generation: int
    reason: str
    """What the operator should know, as "exited with code 1"."""


@dataclass(frozen=True, slots=True)
class Exited:
    """An instance is gone and nothing of it is left: stopped, crashed or never started."""

    model: ModelId
    generation: int
    reason: str
    """What the operator should know, as "exited with code 1"."""


@dataclass(frozen=True, slots=True)
class Unload:
    """Somebody wants models gone now, whoever uses or awaits them."""

    models: frozenset[ModelId] | None
    """None: all of them."""


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """There is a new configuration."""

    terms: Mapping[ModelId, Terms]
    planner: SwapPlanner
    fairness: Fairness


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Hostler is ending: refuse everything, stop everything."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; nothing else has happened."""


RareEvent = Ready | Ending | Exited | Unload | Reconfigured | ShutDown | Tick
"""What does not happen with every request."""

Event = Arrived | Left | RareEvent
