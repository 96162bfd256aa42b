"""The matrix planner, case by case and against an oracle that lists every set: compatibility specification 2.10 and 5.6."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import example, given, settings, strategies as st

from planners.matrix.dsl import AllOf, AnyOf, Expression, ExpressionError, Name, Reference, parse
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId

MODELS = [ModelId(letter) for letter in "abcdef"]


def matrix(
    sets: Mapping[str, str] | str, costs: Mapping[str, int] | None = None, variables: Mapping[str, str] | None = None
) -> MatrixPlanner:
    meant = {name: ModelId(model) for name, model in (variables or {}).items()}
    return MatrixPlanner(meant, costs or {}, {"s": sets} if isinstance(sets, str) else sets, MODELS)


def evicted(planner: MatrixPlanner, target: str, live: str) -> str:
    return "".join(sorted(planner.evictions(ModelId(target), {ModelId(model) for model in live}).evict))


def test_models_of_one_set_run_together() -> None:
    assert evicted(matrix("a & b & c"), "a", "bc") == ""


def test_alternatives_do_not() -> None:
    assert evicted(matrix("a | b"), "a", "b") == "b"


def test_a_model_of_no_set_runs_alone() -> None:
    planner = matrix("a & b")

    assert evicted(planner, "c", "ab") == "ab"
    assert evicted(planner, "a", "bc") == "c"


def test_a_removed_model_has_to_go() -> None:
    assert evicted(matrix("a & b"), "a", "bz") == "z"


def test_any_part_of_a_set_may_run() -> None:
    assert evicted(matrix("a & b & c & d"), "d", "b") == ""


def test_the_cheapest_goes() -> None:
    either = "a & (b | c)"

    assert evicted(matrix(either, {"b": 2}), "a", "bc") == "c"
    assert evicted(matrix(either, {"c": 2}), "a", "bc") == "b"


def test_several_cheap_ones_stay_for_a_dear_one_that_goes() -> None:
    assert evicted(matrix({"x": "a & b", "y": "a & c & d & e"}, {"b": 2}), "a", "bcde") == "b"


def test_of_equals_the_leftmost_stays() -> None:
    assert evicted(matrix("a & (c | b)"), "a", "bc") == "b"
    assert evicted(matrix("(b | c) & (a | d)"), "a", "bc") == "c"


def test_of_equals_the_set_that_was_defined_first_wins() -> None:
    assert evicted(matrix({"x": "a & b", "y": "a & c"}), "a", "bc") == "c"


def test_of_equals_a_set_that_is_referred_to_wins() -> None:
    assert evicted(matrix({"x": "a & b | +y & d", "y": "a & c"}), "a", "bc") == "b"


def test_a_model_that_stands_twice_stays_by_either_choice() -> None:
    """Choosing b twice would keep b alone; choosing it on the left frees the right for d."""
    assert evicted(matrix("a & (b | c) & (b | d)"), "a", "bcd") == "c"
    assert evicted(matrix("a & (b | c) & (b | d)", {"c": 2}), "a", "bcd") == "d"
    assert evicted(matrix("a & (b | c) & (b | d)", {"d": 3, "c": 3}), "a", "bcd") == "b"


def test_a_better_choice_does_not_take_the_place_of_a_worse_one_before_it() -> None:
    """d outdoes b; still c, e, f come before d, e in the order of the sets, and cost as much."""
    assert evicted(matrix("a & (b | c & e | d) & (e | f)", {"d": 2}), "a", "bcdef") == "bd"


def test_a_variable_wins_over_a_model_s_id() -> None:
    planner = matrix("a & b", variables={"b": "c"})

    assert evicted(planner, "a", "c") == ""
    assert evicted(planner, "a", "b") == "b"


def test_a_cost_is_a_variable_s_or_a_model_s() -> None:
    assert evicted(matrix("a & (b | x)", {"x": 2}, {"x": "c"}), "a", "bc") == "b"
    assert evicted(matrix("a & (b | x)", {"c": 2}, {"x": "c"}), "a", "bc") == "b"


@pytest.mark.parametrize(
    ("live", "told"),
    [
        ("", "nothing else runs"),
        ("b", "set s (a & (b | c)) keeps b"),
        ("bc", "set s (a & (b | c)) keeps b and unloads c, at a cost of 4"),
        ("de", "set s (a & (b | c)) keeps none and unloads d, e, at a cost of 2"),
    ],
)
def test_the_reason_names_set_expression_who_stays_who_goes_and_cost(live: str, told: str) -> None:
    planner = matrix(" a & (b | c)\n", {"b": 5, "c": 4})

    assert planner.evictions(MODELS[0], {ModelId(model) for model in live}).reason == told


def test_the_reason_of_a_model_in_no_set() -> None:
    assert matrix("a").evictions(MODELS[1], {MODELS[0]}).reason == "b is in no set, so it runs alone"


@pytest.mark.parametrize(
    ("sets", "in_set", "told"),
    [
        ({"s": "a", "t": "b &"}, "t", "column 4: expected a model, +set or (, got the end"),
        ({"s": "a & (zz | b)"}, "s", 'column 6: "zz" is neither a variable nor the id of a model'),
        ({"s": "a", "t": "b | +u"}, "t", 'column 5: there is no set "u"'),
        ({"s": "a & +s"}, "s", "column 5: the sets refer to each other in a circle: s -> s"),
        ({"s": "+t", "t": "a | +u", "u": "+t"}, "u", "column 1: the sets refer to each other in a circle: t -> u -> t"),
    ],
)
def test_what_cannot_be_compiled_says_in_which_set_and_where(sets: dict[str, str], in_set: str, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        matrix(sets)

    assert (caught.value.in_set, str(caught.value)) == (in_set, told)


def test_a_long_chain_of_references_is_no_deep_recursion() -> None:
    chain = {f"s{index}": f"+s{index + 1} | a" for index in range(3_000)}

    assert evicted(matrix({**chain, "s3000": "a & b"}), "a", "bc") == "c"


def test_references_are_shared_and_not_copied() -> None:
    """Copied, the last set would be 2 to the 200 times as long as the first."""
    doubled = {f"s{index}": f"+s{index - 1} & +s{index - 1}" for index in range(1, 200)}

    assert evicted(matrix({"s0": "a & (b | c)", **doubled}), "a", "bcd") == "d"


def test_four_times_any_of_twenty_is_never_listed() -> None:
    """160 000 sets, and forty models that run: listed, this would take minutes."""
    letters = [[ModelId(f"{letter}{index}") for index in range(20)] for letter in "abcd"]
    models = [model for column in letters for model in column]
    expression = "&".join(f"({'|'.join(column)})" for column in letters)
    planner = MatrixPlanner({}, {"a7": 2}, {"s": expression}, models)
    live = frozenset([*letters[0], *letters[1]])

    assert live - planner.evictions(letters[3][5], live).evict == {"a7", "b0"}


def test_beyond_the_limit_of_steps_everything_goes() -> None:
    """Eight times any of twenty: which eight of nineteen that run are kept is more than is worked out."""
    models = [ModelId(f"m{index}") for index in range(20)]
    planner = MatrixPlanner({}, {}, {"s": "&".join([f"({'|'.join(models)})"] * 8)}, models)
    live = frozenset(models[:19])
    plan = planner.evictions(models[19], live)

    assert live == plan.evict
    assert plan.reason == "too many models run that stand repeatedly in the sets of m19, so it runs alone"
    assert planner.evictions(models[19], frozenset(models[:7])).evict == frozenset()


def test_planners_of_the_same_matrix_are_equal() -> None:
    one, same = (matrix({"x": "a", "y": "b"}, {"a": 2}, {"v": "c"}) for _ in range(2))

    assert one == same
    assert hash(one) == hash(same)


@pytest.mark.parametrize(
    "other",
    [
        matrix({"y": "b", "x": "a"}, {"a": 2}, {"v": "c"}),
        matrix({"x": "a", "y": "c"}, {"a": 2}, {"v": "c"}),
        matrix({"x": "a", "y": "b"}, {"a": 3}, {"v": "c"}),
        matrix({"x": "a", "y": "b"}, {"a": 2}, {"v": "d"}),
        MatrixPlanner({"v": ModelId("c")}, {"a": 2}, {"x": "a", "y": "b"}, [*MODELS, ModelId("g")]),
        "a & b",
    ],
    ids=["order of sets", "set", "cost", "variable", "models", "no planner"],
)
def test_planners_of_different_matrices_differ(other: object) -> None:
    assert matrix({"x": "a", "y": "b"}, {"a": 2}, {"v": "c"}) != other


# The oracle: the words of the specification, with every set listed.


def listed(expression: Expression, sets: Mapping[str, Expression]) -> list[frozenset[str]]:
    match expression:
        case Name(text, _):
            return [frozenset(text)]
        case Reference(text, _):
            return listed(sets[text], sets)
        case AnyOf(parts):
            return [combination for part in parts for combination in listed(part, sets)]
        case AllOf(parts):
            return [frozenset().union(*choice) for choice in product(*(listed(part, sets) for part in parts))]


def kept_by_listing(
    sets: Mapping[str, str], costs: Mapping[str, int], target: str, live: frozenset[str]
) -> frozenset[str]:
    parsed = {name: parse(expression) for name, expression in sets.items()}
    order: list[str] = []

    def visit(name: str, expression: Expression) -> None:
        match expression:
            case Reference(text, _):
                visit(text, parsed[text])
                order.append(text)
            case AnyOf(parts) | AllOf(parts):
                for part in parts:
                    visit(name, part)

    for name, expression in parsed.items():
        visit(name, expression)
        order.append(name)
    best: tuple[int, frozenset[str]] | None = None
    for name in dict.fromkeys(order):
        for combination in listed(parsed[name], parsed):
            cost = sum(costs.get(model, 1) for model in live - combination)
            if target in combination and (best is None or cost < best[0]):
                best = cost, live & combination
    return best[1] if best else frozenset()


@st.composite
def matrices(draw: st.DrawFn) -> dict[str, str]:
    """Up to four sets; each may refer to those that a shuffle puts before it, so references go both ways."""
    names = draw(st.permutations([f"s{index}" for index in range(draw(st.integers(1, 4)))]))
    sets = {}
    for position, name in enumerate(names):
        leaves = st.sampled_from([*MODELS, *(f"+{other}" for other in names[:position])])
        sets[name] = draw(
            st.recursive(
                leaves,
                lambda inner: st.tuples(st.sampled_from("&|"), st.lists(inner, min_size=2, max_size=3)).map(
                    lambda parts: f"({parts[0].join(parts[1])})"
                ),
                max_leaves=7,
            )
        )
    return {name: sets[name] for name in sorted(sets)}


@settings(max_examples=300, deadline=None, print_blob=True)
@given(
    matrices(),
    st.dictionaries(st.sampled_from(MODELS), st.integers(1, 3)),
    st.sampled_from(MODELS),
    st.frozensets(st.sampled_from(MODELS)),
)
@example({"s0": "a & (b | b & c) & (d | c)"}, {}, ModelId("a"), frozenset(MODELS))
@example({"s0": "a & +s1 & (b | d)", "s1": "(b | c) & (c | d)"}, {}, ModelId("a"), frozenset(MODELS))
def test_it_chooses_what_listing_every_set_would_choose(
    sets: dict[str, str], costs: dict[ModelId, int], target: ModelId, live: frozenset[ModelId]
) -> None:
    live -= {target}
    by_name = {str(model): cost for model, cost in costs.items()}

    expected = live - kept_by_listing(sets, by_name, target, live)

    assert expected == matrix(sets, by_name).evictions(target, live).evict, sets


def test_rules_are_the_sets_of_a_model_and_its_cost() -> None:
    planner = matrix({"one": "a & b", "two": "+one & c", "three": "d"}, costs={"a": 3})

    assert planner.rules(ModelId("a")) == ["in set one (a & b)", "in set two (+one & c)", "unloading it costs 3"]
    assert planner.rules(ModelId("c")) == ["in set two (+one & c)", "unloading it costs 1"]
    assert planner.rules(ModelId("e")) == ["in no set, so it runs alone", "unloading it costs 1"]
    assert planner.rules(ModelId("nobody")) == ()
