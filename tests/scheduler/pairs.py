"""A planner of the simplest kind, for what groups cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Set as AbstractSet

from planners.protocol import ModelId, Plan


class Pairs:
    """A planner by a list of pairs: "ab" means that b must go before a may start."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self._pairs = frozenset(pairs)

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        return Plan(frozenset(model for model in live if target + model in self._pairs), "so it is written")
