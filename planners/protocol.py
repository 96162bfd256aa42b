"""What an eviction policy is: the contract between the scheduler and its planners."""

from __future__ import annotations

from collections.abc import Sequence, Set as AbstractSet
from dataclasses import dataclass
from typing import NewType, Protocol, runtime_checkable

ModelId = NewType("ModelId", str)
"""The id of a local model: a key of `models` in the configuration. The name a client sends is a plain `str`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What must go before a model may start."""

    evict: frozenset[ModelId]
    """Models that must be gone. Empty: the target may start, or keep running, as things are."""

    reason: str
    """Why, in words for the log and the page."""


class SwapPlanner(Protocol):
    """Decides who must go. Pure and deterministic: no clock, no I/O, no state that changes.

    The scheduler asks on its own thread, perhaps several times for one event, and keeps an answer only as long as the same
    models are live.
    The shared contract test (`tests/planners/test_contract.py`) holds for every planner in `planners.PLANNERS`:

    - `evict` is a subset of *live* and never names the target;
    - the same question gets the same answer;
    - it *settles*: asking again after evicting the answer evicts nothing more, and after evicting a part of it, only the rest
      (victims end one after the other);
    - a persistent model is never named for the sake of another group.
    """

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        """Returns which of the *live* models must be gone before *target* may start.

        live: every model that is starting, ready or stopping, without *target*.
        Raises KeyError if *target* is not a model of the configuration: the caller has resolved it.
        """


@runtime_checkable
class Explains(Protocol):
    """What a planner may do besides: tell its rules."""

    def rules(self, model: ModelId) -> Sequence[str]:
        """Returns in words, for the page, what it goes by when it comes to *model*; none for what it does not know."""
