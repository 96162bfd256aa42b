"""The group planner, case by case: compatibility specification 5.5."""

from __future__ import annotations

import pytest

from planners.groups import DEFAULT_GROUP, Group, GroupPlanner
from planners.protocol import ModelId

A, B, C, X = (ModelId(letter) for letter in "abcx")


def evicted(*groups: Group, target: ModelId = A, live: str = "b", models: str = "abc") -> set[str]:
    planner = GroupPlanner(groups, [ModelId(model) for model in models])
    return set(planner.evictions(target, {ModelId(model) for model in live}).evict)


def its(*members: ModelId, swap: bool = False, exclusive: bool = False, persistent: bool = False) -> Group:
    return Group(f"of {members}", members, swap, exclusive, persistent)


@pytest.mark.parametrize(
    ("swap", "persistent", "expected"),
    [(True, False, {"b"}), (False, False, set()), (True, True, {"b"}), (False, True, set())],
)
@pytest.mark.parametrize("exclusive", [True, False])
def test_inside_a_group_only_swap_decides(swap: bool, exclusive: bool, persistent: bool, expected: set[str]) -> None:
    assert evicted(its(A, B, swap=swap, exclusive=exclusive, persistent=persistent)) == expected


@pytest.mark.parametrize(
    ("exclusive", "persistent", "expected"),
    [(True, False, {"b"}), (True, True, set()), (False, False, set()), (False, True, set())],
    ids=["exclusive", "exclusive-other-persistent", "not-exclusive", "not-exclusive-other-persistent"],
)
@pytest.mark.parametrize("other_exclusive", [True, False])
@pytest.mark.parametrize("swap", [True, False])
def test_between_groups_the_target_excludes_and_the_other_persists(
    exclusive: bool, persistent: bool, other_exclusive: bool, swap: bool, expected: set[str]
) -> None:
    target = its(A, swap=swap, exclusive=exclusive)
    other = its(B, swap=swap, exclusive=other_exclusive, persistent=persistent)

    assert evicted(target, other) == expected


def test_exclusion_is_one_way() -> None:
    big, small = its(A, exclusive=True), its(B)

    assert evicted(big, small, target=B, live="a") == set()
    assert evicted(big, small, target=A, live="b") == {"b"}


def test_target_s_own_persistence_protects_nobody_else() -> None:
    assert evicted(its(A, exclusive=True, persistent=True), its(B)) == {"b"}


def test_models_in_no_group_swap_with_each_other() -> None:
    assert evicted(live="bc") == {"b", "c"}


def test_models_in_no_group_are_exclusive_but_spare_the_persistent() -> None:
    assert evicted(its(B, exclusive=True), its(C, persistent=True), live="bc") == {"b"}


def test_models_in_no_group_do_not_persist() -> None:
    assert evicted(its(A, exclusive=True), live="bc") == {"b", "c"}


def test_removed_model_on_its_way_out_goes_before_a_model_of_an_exclusive_group() -> None:
    assert evicted(its(A, exclusive=True), live="x") == {"x"}


def test_removed_model_on_its_way_out_goes_before_a_model_of_a_swapping_group() -> None:
    """It may have been of that group; its memory is taken until it is gone."""
    assert evicted(its(A, B, swap=True), live="x") == {"x"}


def test_removed_model_on_its_way_out_does_not_delay_a_group_that_evicts_nobody() -> None:
    assert evicted(its(A, B), live="x") == set()


def test_nothing_live_evicts_nothing() -> None:
    assert evicted(live="") == set()


def test_reason_names_the_group_and_its_rule() -> None:
    planner = GroupPlanner([Group("big", (A, B))], [A, B, C])

    assert planner.evictions(A, {B}).reason == "group big runs one model at a time"
    assert planner.evictions(A, {C}).reason == "group big is exclusive"
    assert planner.evictions(A, {B, C}).reason == "group big runs one model at a time; group big is exclusive"
    assert planner.evictions(A, set()).reason == "nothing else runs"
    assert planner.evictions(C, {A}).reason == "group (default) is exclusive"
    assert planner.evictions(A, {X}).reason == "a model that was removed has yet to end"


def test_model_in_two_groups_is_an_error_that_names_both() -> None:
    with pytest.raises(ValueError, match=r"model 'a' is in group 'h' and in 'g', it may be in one only"):
        GroupPlanner([Group("g", (A,)), Group("h", (B, A))], [A, B])


def test_model_twice_in_a_group_is_an_error() -> None:
    with pytest.raises(ValueError, match="model 'a' is in group 'g'"):
        GroupPlanner([Group("g", (A, A))], [A])


def test_name_of_the_implicit_group_is_taken() -> None:
    with pytest.raises(ValueError, match="models in no group are in it already"):
        GroupPlanner([Group(DEFAULT_GROUP, (A,))], [A])


def test_planners_of_equal_groups_are_equal() -> None:
    """A reload that changes no group is seen to change none."""
    one, other = (GroupPlanner([Group("g", (A,))], [A, B]) for _ in range(2))

    assert one == other
    assert hash(one) == hash(other)
    assert one != GroupPlanner([Group("g", (A,), swap=False)], [A, B])
    assert one != "a planner"


@pytest.mark.parametrize(
    ("groups", "model", "told"),
    [
        (
            (),
            "a",
            "in group (default) with b, c; its group runs one model at a time; the models of other groups have to go",
        ),
        (
            (its(A, B),),
            "a",
            "in group of ('a', 'b') with b; its group runs together; the models of other groups stay when",
        ),
        (
            (its(A, exclusive=True, persistent=True),),
            "a",
            "in group of ('a',) alone; the models of other groups have to go",
        ),
        ((), "x", ""),
    ],
)
def test_rules_are_told_in_words(groups: tuple[Group, ...], model: str, told: str) -> None:
    rules = GroupPlanner(groups, [A, B, C]).rules(ModelId(model))

    assert "; ".join(rules).startswith(told)
    assert bool(rules) is bool(told)
    assert ("no other group makes it go" in rules) is any(group.persistent for group in groups)


def test_of_a_large_group_a_few_members_are_named() -> None:
    planner = GroupPlanner((), [ModelId(f"m{number:02}") for number in range(12)])

    assert planner.rules(ModelId("m00"))[0] == (
        "in group (default) with m01, m02, m03, m04, m05, m06, m07, m08 and 3 more"
    )
