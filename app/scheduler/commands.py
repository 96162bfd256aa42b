"""What the scheduler wants done: the only way by which it acts.

The supervisor performs commands in order, at once, and never calls the scheduler while it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.scheduler.events import Ticket
    from app.scheduler.instances import Phase
    from planners.protocol import ModelId


class Refusal(Enum):
    """Why a ticket will not be served."""

    UNKNOWN = "no local server found for requested model"
    REMOVED = "the model was removed from the configuration"
    UNLOADED = "the model was unloaded"
    START_FAILED = "the model failed to start"
    BACKING_OFF = "the model has failed to start and is not tried again yet"
    QUEUE_FULL = "too many requests are waiting"
    SHUTTING_DOWN = "Hostler is shutting down"


class StopCause(Enum):
    """Why an instance is stopped."""

    EVICTED = "evicted"
    IDLE = "idle"
    UNLOADED = "unloaded"
    RECONFIGURED = "reconfigured"
    SHUTDOWN = "shutdown"


@dataclass(slots=True)
class Grant:
    """Let the request go on to this instance. It holds a lease until `Left`. Not frozen, since every request has one."""

    ticket: Ticket
    model: ModelId
    generation: int
    swap_s: float = 0.0
    """How much of the wait, in seconds, was the swap itself: victims stopping, then the model loading."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the request that it will not be served. Its ticket is spent."""

    ticket: Ticket
    refusal: Refusal
    detail: str
    retry_after_s: float = 0.0
    """Seconds after which trying again makes sense; 0: not known."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start an instance; answer with `Ready` if it becomes so, and in any case, at its end, with `Exited`."""

    model: ModelId
    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an instance; answer with `Exited`."""

    model: ModelId
    generation: int
    cause: StopCause


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell whoever watches that a model's phase has changed, and why."""

    model: ModelId
    phase: Phase
    reason: str
    cause: StopCause | None = None
    """Of STOPPING: why it was stopped; None: it has failed by itself."""
    room_for: ModelId | None = None
    """Of STOPPING: the model for which it has to go, if it is evicted."""
    victims: tuple[ModelId, ...] = ()
    """Of STARTING: those that were stopped for it, in that order."""


Command = Grant | Refuse | Start | Stop | Announce
