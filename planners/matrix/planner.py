"""The matrix planner: sets of models that may run together, written as expressions.

Before a target starts, the running models stay that cost most to unload, of those sets that have the target in them: see
`planners/matrix/program.py`. A target in no set runs alone. Source: compatibility specification 2.10 and 5.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet

from planners.matrix.program import Program, TooManyChoices
from planners.protocol import ModelId, Plan


class MatrixPlanner:
    """A `SwapPlanner` by a matrix; see the top of this file for its rule."""

    def __init__(
        self,
        variables: Mapping[str, ModelId],
        evict_costs: Mapping[str, int],
        sets: Mapping[str, str],
        models: Iterable[ModelId],
    ) -> None:
        """Compiles the matrix.

        evict_costs: variable, else id of a model -> what unloading it costs, at least 1, which is the default. If two of them
        mean the same model, the last one holds.
        sets: name -> expression, in order.
        Raises ExpressionError for an expression that is wrong, or names what is not there.
        """
        self._models = frozenset(models)
        self._sets = dict(sets)
        self._costs = {variables.get(name, ModelId(name)): cost for name, cost in evict_costs.items()}
        self._variables = dict(variables)
        self._program = Program(self._variables, self._sets, self._models, self._costs)

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        """Returns which of the *live* models must be gone before *target* may start; see `SwapPlanner`.

        If so many models run that stand repeatedly in the expressions that looking for the best set would hold up everybody
        (`TooManyChoices`), all of them go. What is asked for when some of them have gone is less, never more.
        """
        if target not in self._models:
            raise KeyError(target)
        others = frozenset(live) - {target}
        if not others:
            return Plan(frozenset(), "nothing else runs")
        try:
            choice = self._program.best(target, others)
        except TooManyChoices:
            return Plan(others, f"too many models run that stand repeatedly in the sets of {target}, so it runs alone")
        if choice is None:
            return Plan(others, f"{target} is in no set, so it runs alone")
        evict = others - choice.kept
        where = f"set {choice.set} ({self._sets[choice.set].strip()})"
        kept = f"keeps {', '.join(sorted(choice.kept))}" if choice.kept else "keeps none"
        if not evict:
            return Plan(evict, f"{where} {kept}")
        cost = sum(self._costs.get(model, 1) for model in evict)
        return Plan(evict, f"{where} {kept} and unloads {', '.join(sorted(evict))}, at a cost of {cost}")

    def rules(self, model: ModelId) -> Sequence[str]:
        """Returns the sets that *model* is in, and what unloading it costs; see `Explains`."""
        if model not in self._models:
            return ()
        sets = [f"in set {name} ({self._sets[name].strip()})" for name in self._program.sets_with(model)]
        return [*(sets or ["in no set, so it runs alone"]), f"unloading it costs {self._costs.get(model, 1)}"]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MatrixPlanner) and self._told == other._told

    def __hash__(self) -> int:
        return hash(tuple(self._sets.items()))

    @property
    def _told(self) -> tuple[object, ...]:
        # As a list, because the order of the sets decides between equals.
        return self._models, self._variables, self._costs, list(self._sets.items())
