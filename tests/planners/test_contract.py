"""The contract of `SwapPlanner`, for every planner in `PLANNERS` and any configuration of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings, strategies as st

from planners import PLANNERS
from planners.groups import Group, GroupPlanner
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId, SwapPlanner

MODELS = tuple(ModelId(letter) for letter in "abcdef")
GONE = ModelId("removed")
"""Live, but no longer in the configuration."""

contract = settings(max_examples=100, deadline=None, print_blob=True)


@dataclass(frozen=True)
class Case:
    """A planner, and what the contract has to know of its configuration."""

    make: Callable[[], SwapPlanner]
    """Called twice, it gives two planners of the same configuration."""
    protected: dict[ModelId, frozenset[ModelId]]
    """Target -> the models that may never be named for it: the persistent ones of other groups."""


@st.composite
def group_cases(draw: st.DrawFn) -> Case:
    its_group = draw(st.lists(st.integers(0, 3), min_size=len(MODELS), max_size=len(MODELS)))
    groups = [
        Group(
            f"g{index}",
            tuple(model for model, its in zip(MODELS, its_group, strict=True) if its == index),
            *draw(st.tuples(st.booleans(), st.booleans(), st.booleans())),
        )
        for index in range(3)  # those of the last index are in no group
    ]
    persistent = {model for group in groups if group.persistent for model in group.members}
    mates = {model: frozenset(group.members) for group in groups for model in group.members}
    protected = {model: frozenset(persistent - mates.get(model, frozenset())) for model in MODELS}
    return Case(lambda: GroupPlanner(groups, MODELS), protected)


@st.composite
def matrix_cases(draw: st.DrawFn) -> Case:
    """With models in no set, in several, and with a set inside another; none is protected from anybody."""
    names = st.sampled_from([str(model) for model in MODELS])
    expressions = st.recursive(
        names, lambda inner: st.tuples(inner, st.sampled_from("&|"), inner).map(lambda parts: f"({' '.join(parts)})")
    )
    sets = {f"s{index}": draw(expressions) for index in range(draw(st.integers(1, 3)))}
    sets["with"] = f"+s0 {draw(st.sampled_from('&|'))} {draw(expressions)}"
    costs = draw(st.dictionaries(names, st.integers(1, 4)))
    return Case(lambda: MatrixPlanner({}, costs, sets, MODELS), {model: frozenset() for model in MODELS})


CASES: dict[str, st.SearchStrategy[Case]] = {"group": group_cases(), "matrix": matrix_cases()}
"""Value of `routing.router.use` -> configurations of that planner. A new planner is put in here."""

kinds = pytest.mark.parametrize("kind", list(PLANNERS))
targets = st.sampled_from(MODELS)
lives = st.frozensets(st.sampled_from([*MODELS, GONE]))


def test_every_planner_is_put_to_the_contract() -> None:
    assert CASES.keys() == PLANNERS.keys()


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_only_the_live_must_go_and_never_the_target(
    kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]
) -> None:
    planner = data.draw(CASES[kind]).make()

    assert planner.evictions(target, live - {target}).evict <= live - {target}


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_same_question_gets_the_same_answer(
    kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]
) -> None:
    """From the same planner after other questions, and from another one of the same configuration."""
    case = data.draw(CASES[kind])
    planner = case.make()
    first = planner.evictions(target, live - {target})
    for model in MODELS:
        planner.evictions(model, live - {model})

    assert planner.evictions(target, live - {target}) == first
    assert case.make().evictions(target, live - {target}) == first


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_it_settles(kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]) -> None:
    planner = data.draw(CASES[kind]).make()
    live -= {target}
    evict = planner.evictions(target, live).evict

    assert planner.evictions(target, live - evict).evict == frozenset()


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_it_does_not_change_its_mind_half_way(
    kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]
) -> None:
    """Victims end one after the other, and the scheduler asks again each time: nobody else may be named then."""
    planner = data.draw(CASES[kind]).make()
    live -= {target}
    evict = planner.evictions(target, live).evict
    gone = data.draw(st.frozensets(st.sampled_from(sorted(evict)))) if evict else frozenset()

    assert planner.evictions(target, live - gone).evict == evict - gone


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_persistent_model_is_never_named_for_another_group(
    kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]
) -> None:
    case = data.draw(CASES[kind])

    assert not case.make().evictions(target, live - {target}).evict & case.protected[target]


@kinds
@contract
@given(data=st.data(), target=targets, live=lives)
def test_plan_gives_a_reason(kind: str, data: st.DataObject, target: ModelId, live: frozenset[ModelId]) -> None:
    planner = data.draw(CASES[kind]).make()

    assert planner.evictions(target, live - {target}).reason


@kinds
@contract
@given(data=st.data(), live=lives)
def test_unknown_target_is_a_key_error(kind: str, data: st.DataObject, live: frozenset[ModelId]) -> None:
    planner = data.draw(CASES[kind]).make()

    with pytest.raises(KeyError):
        planner.evictions(ModelId("ghost"), live)
