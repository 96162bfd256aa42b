"""How long a wait will be: a look ahead with the real planner and the learned times. PURE.

The models that are waited for are taken in the order in which they are to be served. Each starts when its victims are gone, and
becomes a possible victim of those behind it. What is not known (a model never loaded, a request never finished) makes the
estimates that rest on it unknown; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from app.scheduler.instances import Instance, Phase

if TYPE_CHECKING:
    from app.scheduler.history import History
    from planners.protocol import ModelId, SwapPlanner


def waits(
    order: Sequence[ModelId],
    instances: Mapping[ModelId, Instance],
    planner: SwapPlanner,
    history: History,
    now: float,
) -> dict[ModelId, float]:
    """Returns the seconds from *now* until each model of *order* serves the first that waits for it; `inf`: unknown.

    order: models that are waited for, the first to be served in front. One that is ready and waited for all the same is held
    for an older ticket of another model, so it will go and come back.
    """
    gone = {model: _gone_in(instance, history, now) for model, instance in instances.items()}
    """Model -> seconds until it could be gone, were it asked to go as soon as it may."""
    found: dict[ModelId, float] = {}
    for model in order:
        instance = instances.get(model)
        if instance is not None and instance.phase is Phase.STARTING and not instance.retiring:
            found[model] = _ready_in(instance, history, now)
            continue
        evicted = planner.evictions(model, gone.keys() - {model}).evict
        free = max((gone[other] for other in (*evicted, model) if other in gone), default=0.0)
        for other in evicted:
            del gone[other]
        learned = history.of(model)
        found[model] = free + _known(learned.load_s)
        gone[model] = found[model] + _known(learned.request_s) + (learned.stop_s or 0.0)
    return found


def _ready_in(instance: Instance, history: History, now: float) -> float:
    return max(_known(history.of(instance.model).load_s) - (now - instance.since), 0.0)


def _gone_in(instance: Instance, history: History, now: float) -> float:
    learned = history.of(instance.model)
    stop_s = learned.stop_s or 0.0
    match instance.phase:
        case Phase.STARTING:
            return _ready_in(instance, history, now) + _known(learned.request_s) + stop_s
        case Phase.READY:
            return (_known(learned.request_s) if instance.leases else 0.0) + stop_s
        case _:
            return max(stop_s - (now - instance.since), 0.0)


def _known(seconds: float | None) -> float:
    return inf if seconds is None else seconds
