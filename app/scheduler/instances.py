"""One generation of one model, its phases, and the picture others get of it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.scheduler.events import Ticket
    from planners.protocol import ModelId


class Phase(Enum):
    """Where an instance is in its life: STOPPED → STARTING → READY → STOPPING → STOPPED.

    Shortcuts: STARTING → STOPPING (unloaded while loading, or failed), STARTING → STOPPED (could not be launched). An
    upstream that fails is STOPPING, too, until nothing of it is left.
    """

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


LIVE = frozenset({Phase.STARTING, Phase.READY})
"""Phases in which a model is, or is about to be, of use. One that is STOPPING still takes up memory."""


class Instance:
    """One run of one model's server. Only the scheduler changes it."""

    __slots__ = ("generation", "idle_since", "launch", "leases", "model", "phase", "retiring", "since", "swap_since")

    def __init__(self, model: ModelId, generation: int, launch: Hashable, now: float, swap_since: float) -> None:
        # the same for its whole life
        self.model = model
        self.generation = generation
        """Counts all starts of all models; late news of an older generation is ignored."""
        self.launch = launch
        self.swap_since = swap_since
        """When the first of its victims was told to stop; without victims, when it was started."""

        # as things are
        self.phase = Phase.STARTING
        self.since = now
        """When it entered its phase."""
        self.leases = 0
        self.idle_since = now
        """When it became ready, or its last lease ended, whichever is later."""
        self.retiring = False
        """A reload has changed or removed the model: it serves those it has, and goes."""

    def serves(self) -> bool:
        """Whether a request may be granted to it."""
        return self.phase is Phase.READY and not self.retiring

    def __repr__(self) -> str:
        retiring = ", retiring" if self.retiring else ""
        return f"<{self.model}#{self.generation} {self.phase.value}, {self.leases} leases{retiring}>"


@dataclass(frozen=True, slots=True)
class ModelView:
    """How one model stands."""

    phase: Phase
    generation: int = 0
    """Of the instance; 0 when there is none."""
    leases: int = 0
    """Requests being served."""
    waiting: int = 0
    """Requests in the queue."""
    since: float = 0.0
    """Monotonic time at which the phase began; 0.0 when there is no instance."""
    idle_since: float = 0.0
    failure: str = ""
    """Why the last start failed; empty once it is tried again."""
    retry_at: float = 0.0
    """Monotonic time until which requests for a model that has failed to start are refused."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A model that must be gone before another can start."""

    model: ModelId
    phase: Phase
    leases: int
    """Requests it still serves."""


@dataclass(frozen=True, slots=True)
class QueuedView:
    """One waiting request, and why it waits."""

    ticket: Ticket
    model: ModelId
    since: float
    """Monotonic time of its arrival."""
    position: int
    """In the whole queue, counted from 1."""
    wait_s: float | None
    """Estimate of how long it will still wait; None: too little is known."""
    held_by: tuple[Obstacle, ...] = ()
    """Who has to go for it."""
    overdue: bool = False
    """It has waited for the patience: newcomers to those who hold it wait behind it."""


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """An immutable picture of all models."""

    models: Mapping[ModelId, ModelView]
    """Every model of the configuration, and those on their way out of it."""
    waiting: int
    """Tickets in the queue."""
    shutting_down: bool
