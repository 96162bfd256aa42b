"""Models that did not start, and how long they are left alone. Only the scheduler changes it."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from app.scheduler.events import Terms
    from planners.protocol import ModelId

BACK_OFF_S = 1.0
"""Seconds for which a model is left alone after it has failed to start once; twice as long after each further time."""

LONGEST_BACK_OFF_S = 60.0
"""The most that comes to."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is remembered of a model that did not start, until it does."""

    reason: str
    times: int
    """In a row."""
    launch: Hashable
    """What was tried."""
    retry_at: float
    """Monotonic time until which its requests are refused."""


class Failures:
    """The failures that are remembered."""

    def __init__(self) -> None:
        self._by_model: dict[ModelId, Failure] = {}

    def of(self, model: ModelId) -> Failure | None:
        """Returns the last failure of *model*, if it has not become ready since."""
        return self._by_model.get(model)

    def add(self, model: ModelId, reason: str, launch: Hashable, now: float) -> float:
        """Remembers one more; returns the seconds for which the model is left alone."""
        before = self._by_model.get(model)
        times = 1 if before is None else before.times + 1
        # The exponent is kept small: 2 to the power of a day of failures is no float.
        back_off_s = min(BACK_OFF_S * float(1 << min(times - 1, 10)), LONGEST_BACK_OFF_S)
        self._by_model[model] = Failure(reason, times, launch, now + back_off_s)
        return back_off_s

    def forget(self, models: AbstractSet[ModelId] | None) -> None:
        """Forgets what is remembered of *models* (None: all), if anything is."""
        for model in [model for model in self._by_model if models is None or model in models]:
            del self._by_model[model]

    def forget_changed(self, terms: Mapping[ModelId, Terms]) -> None:
        """Forgets the models that *terms* would start in another way, or not at all."""
        for model, failure in list(self._by_model.items()):
            if model not in terms or terms[model].launch != failure.launch:
                del self._by_model[model]
