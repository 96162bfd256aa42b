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

    __slots__ = ("generation", "idle_since", "launch", "leases", "model", "phase", "retiring", "since")

    def __init__(self, model: ModelId, generation: int, launch: Hashable, now: float) -> None:
        # the same for its whole life
        self.model = model
        self.generation = generation
        """Counts all starts of all models; late news of an older generation is ignored."""
        self.launch = launch

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


@dataclass(frozen=True, slots=True)
class QueuedView:
    """One waiting request."""

    ticket: Ticket
    model: ModelId
    since: float
    """Monotonic time of its arrival."""


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """An immutable picture of the whole scheduler."""

    models: Mapping[ModelId, ModelView]
    """Every model of the configuration, and those on their way out of it."""
    queue: tuple[QueuedView, ...]
    """In the order in which models will be loaded for them."""
    shutting_down: bool
