"""What has been learned of each model: how long it takes to load, to stop, and to answer. PURE.

Exponential means, so that a figure follows a model that was moved to a slower disk within a few loads, and one odd request
does not spoil it. They are estimates for people and for `Retry-After`; no decision about who runs rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planners.protocol import ModelId

WEIGHT_OF_A_LOAD = 0.4
"""Weight of the newest load, or stop, in its mean: there are few of them."""

WEIGHT_OF_A_REQUEST = 0.1
"""Weight of the newest request in its mean: there are many of them."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Means of one model, in seconds; None: not seen yet."""

    load_s: float | None = None
    """From its start until it is ready."""
    stop_s: float | None = None
    """From the order to stop until nothing of it is left."""
    request_s: float | None = None
    """From the grant of a request until its end."""


class History:
    """The means of all models. Owned by the scheduler, which tells it what it sees."""

    def __init__(self, learned: Mapping[ModelId, Learned] | None = None) -> None:
        """Begins with what an earlier run has *learned*."""
        learned = learned or {}
        self._load = {model: its.load_s for model, its in learned.items() if its.load_s is not None}
        self._stop = {model: its.stop_s for model, its in learned.items() if its.stop_s is not None}
        self._request = {model: its.request_s for model, its in learned.items() if its.request_s is not None}

    def loaded(self, model: ModelId, seconds: float) -> None:
        """Takes in one load."""
        _mix(self._load, model, seconds, WEIGHT_OF_A_LOAD)

    def stopped(self, model: ModelId, seconds: float) -> None:
        """Takes in one stop."""
        _mix(self._stop, model, seconds, WEIGHT_OF_A_LOAD)

    def served(self, model: ModelId, seconds: float) -> None:
        """Takes in one request. On the path of every request."""
        means = self._request
        mean = means.get(model, seconds)
        means[model] = mean + WEIGHT_OF_A_REQUEST * (seconds - mean)

    def of(self, model: ModelId) -> Learned:
        """Returns what is known of *model*."""
        return Learned(self._load.get(model), self._stop.get(model), self._request.get(model))

    def learned(self) -> Mapping[ModelId, Learned]:
        """Returns everything, to be given to the next run."""
        return {model: self.of(model) for model in sorted({*self._load, *self._stop, *self._request})}


def _mix(means: dict[ModelId, float], model: ModelId, seconds: float, weight: float) -> None:
    mean = means.get(model, seconds)
    means[model] = mean + weight * (seconds - mean)
