"""The group planner: models in groups that swap, exclude each other, or persist.

A model *m* must go before *target* may start when

- both are in the same group, and the group swaps; or
- they are in different groups, the target's group is exclusive, and *m*'s group is not persistent.

So persistence protects from other groups only, not from a swap inside the group, and exclusion is one-way: loading a model of
a group that is not exclusive evicts nothing elsewhere. Models in no group share the implicit group `(default)`, which
swaps and is exclusive. Source: compatibility specification 2.9 and 5.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set as AbstractSet
from dataclasses import dataclass

from planners.protocol import ModelId, Plan

DEFAULT_GROUP = "(default)"
"""The name of the implicit group; no configured group may be called so."""

TOLD = 8
"""Members of a group that are named when its rules are told."""


@dataclass(frozen=True, slots=True)
class Group:
    """Models that share a policy."""

    name: str
    members: tuple[ModelId, ...]
    swap: bool = True
    """Only one member is live at a time."""
    exclusive: bool = True
    """Starting a member evicts the models of all groups that are not persistent."""
    persistent: bool = False
    """Other groups never evict the members."""


class GroupPlanner:
    """A `SwapPlanner` by groups; see the top of this file for its rule."""

    def __init__(self, groups: Sequence[Group], models: Iterable[ModelId]) -> None:
        """Puts each of *models* into its group.

        Raises ValueError when a model is in two groups, or a group is called like the implicit one.
        """
        self._group_of: dict[ModelId, Group] = {}
        for group in groups:
            if group.name == DEFAULT_GROUP:
                raise ValueError(f"a group may not be called {DEFAULT_GROUP!r}: models in no group are in it already")
            for member in group.members:
                if member in self._group_of:
                    other = self._group_of[member].name
                    raise ValueError(
                        f"model {member!r} is in group {group.name!r} and in {other!r}, it may be in one only"
                    )
                self._group_of[member] = group
        rest = tuple(model for model in models if model not in self._group_of)
        default = Group(DEFAULT_GROUP, rest)
        self._group_of.update(dict.fromkeys(rest, default))

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        """Returns which of the *live* models must be gone before *target* may start; see `SwapPlanner`."""
        group = self._group_of[target]
        its_group = {model: self._group_of.get(model) for model in live if model != target}
        same = {model for model, its in its_group.items() if group.swap and its is group}
        others = {
            model
            for model, its in its_group.items()
            if group.exclusive and its is not None and its is not group and not its.persistent
        }
        # A live model that is in no group was removed by a reload, whatever it was before, and is on its way out: its
        # memory is still taken.
        removed = {model for model, its in its_group.items() if its is None and (group.swap or group.exclusive)}
        evict = frozenset(same | others | removed)
        if not evict:
            beside = ", ".join(sorted(its_group))
            return Plan(evict, f"may run beside {beside}" if beside else "nothing else runs")
        why = []
        if same:
            why.append(f"group {group.name} runs one model at a time")
        if others:
            why.append(f"group {group.name} is exclusive")
        if removed:
            why.append("a model that was removed has yet to end")
        return Plan(evict, "; ".join(why))

    def rules(self, model: ModelId) -> Sequence[str]:
        """Returns what being in its group means for *model*; see `Explains`."""
        group = self._group_of.get(model)
        if group is None:
            return ()
        members = sorted(member for member in group.members if member != model)
        others = ", ".join(members[:TOLD]) + (f" and {len(members) - TOLD} more" if len(members) > TOLD else "")
        told = [f"in group {group.name}" + (f" with {others}" if others else " alone")]
        if others:
            told.append("its group runs one model at a time" if group.swap else "its group runs together")
        told.append(
            "the models of other groups have to go for it, unless they are persistent"
            if group.exclusive
            else "the models of other groups stay when it starts"
        )
        if group.persistent:
            told.append("no other group makes it go")
        return told

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupPlanner) and self._group_of == other._group_of

    def __hash__(self) -> int:
        return hash(frozenset(self._group_of))
