"""Which of its targets a selector chooses for a request. PURE: how the models stand is given.

A spillover selector fills the servers it uses before it takes another one into use. What a model is used for otherwise is not
its business: it counts its own requests, each from the choice to the end of the answer. Source: compatibility specification 5.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from app.config.catalog import Catalog, Selector, Strategy
from app.errors import Unavailable
from app.scheduler.instances import LIVE, ModelView, Phase, SchedulerView
from planners.protocol import ModelId


@dataclass(frozen=True, slots=True)
class Candidate:
    """One target of a selector, as things stand."""

    place: int
    """Among the targets, counted from 0."""
    name: str
    """As the configuration writes it."""
    phase: Phase
    """A peer's model is never more than STOPPED: nobody here knows."""
    reserved: int = 0
    """Requests of this selector that it serves or will serve."""

    @property
    def is_active(self) -> bool:
        """Whether it is in use: up, on its way up, or wanted up already."""
        return self.phase in LIVE or self.reserved > 0


def warm(candidates: Sequence[Candidate]) -> Candidate:
    """Returns the first candidate that is ready, else the first that is starting, else the first."""
    for phase in (Phase.READY, Phase.STARTING):
        for candidate in candidates:
            if candidate.phase is phase:
                return candidate
    return candidates[0]


def spillover(candidates: Sequence[Candidate], limit: int, turn: int) -> Candidate | None:
    """Returns the least busy active candidate while that has fewer than *limit*; then the first that is not active.

    turn: the place from which equally busy ones are tried, so that they take turns.
    None when all are stopping: they serve nobody any more, and starting them now means waiting for their end.
    """
    usable = [candidate for candidate in candidates if candidate.phase is not Phase.STOPPING]
    cold = next((candidate for candidate in usable if not candidate.is_active), None)
    active = [candidate for candidate in usable if candidate.is_active]
    if not active:
        return cold
    # Places of one selector: taken modulo their number, the distance from `turn` is 0 for the one whose turn it is.
    least = min(active, key=lambda candidate: (candidate.reserved, (candidate.place - turn) % len(candidates)))
    return least if least.reserved < limit or cold is None else cold


class Reservations:
    """The choices that are in force: requests of spillover selectors, by target. One for the whole application.

    Nothing in it awaits, so that of two requests the second one sees what the first has chosen.
    """

    def __init__(self, view: Callable[[], SchedulerView]) -> None:
        """Begins without any. view: tells how the local models stand."""
        self._view = view
        self._counts: dict[tuple[str, str], int] = {}
        """(selector, target) -> requests; those without are not in it."""
        self._turns: dict[str, int] = {}

    def choose(self, selector: Selector, catalog: Catalog) -> str:
        """Returns the target for one request, and counts it until `release`. Raises Unavailable."""
        match selector.strategy:
            case Strategy.PIN:
                return selector.targets[0]
            case Strategy.WARM:
                return warm(self._candidates(selector, catalog)).name
            case Strategy.SPILLOVER:
                return self._spill(selector, catalog)
            case _:
                assert_never(selector.strategy)

    def release(self, selector: Selector, target: str) -> None:
        """Says that the request for which *selector* has chosen *target* is over."""
        if selector.strategy is not Strategy.SPILLOVER:
            return
        key = (selector.id, target)
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Returns the reservations as they are now, by selector and target."""
        return dict(self._counts)

    def _spill(self, selector: Selector, catalog: Catalog) -> str:
        candidates = self._candidates(selector, catalog)
        chosen = spillover(candidates, selector.spillover, self._turns.get(selector.id, 0))
        if chosen is None:
            raise Unavailable(f'selector "{selector.id}" has no available spillover targets')
        key = (selector.id, chosen.name)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._turns[selector.id] = chosen.place + 1
        return chosen.name

    def _candidates(self, selector: Selector, catalog: Catalog) -> list[Candidate]:
        models = self._view().models
        return [
            Candidate(place, name, phase_of(catalog, models, name), self._counts.get((selector.id, name), 0))
            for place, name in enumerate(selector.targets)
        ]


def phase_of(catalog: Catalog, models: Mapping[ModelId, ModelView], name: str) -> Phase:
    """Returns how the model called *name* stands; STOPPED when it is a peer's."""
    model = catalog.resolve(name)
    known = None if model is None else models.get(model)
    return Phase.STOPPED if known is None else known.phase


def is_up(selector: Selector, catalog: Catalog, models: Mapping[ModelId, ModelView]) -> bool:
    """Whether a target that *selector* could choose is ready or starting here."""
    targets: Iterable[str] = selector.targets[:1] if selector.strategy is Strategy.PIN else selector.targets
    return any(phase_of(catalog, models, name) in LIVE for name in targets)
