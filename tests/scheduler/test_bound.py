"""Nobody waits longer than docs/swapping.md says: random traffic, priorities and planners, on a simulated clock.

The bound on the wait of a request is

    patience + L + (k + 1) * (max(S, R) + X + L)

L, X, S: the longest load, stop and request; R: `minResidency`; k: the turns before it, which are the runs of one model among the
older requests that wait when it arrives, without a last run of its own model.

Why: once it has waited for the patience, so has everything that was ahead of it, and nobody new gets ahead: of the models that
must go, none takes a newcomer. A load may be under way (L). From then on each turn, and at last its own, waits for the
requests that its victims serve (S) or until they have stayed (R), then for their end (X), then for its load (L).

The worlds here have no crashes, reloads or unloads, which refuse or cut requests, and do not make them wait.

`HYPOTHESIS_PROFILE=fast` tries 200 of them for each kind of planner instead of 2 000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, note, settings, strategies as st

from app.scheduler.events import Fairness, Terms
from app.scheduler.simulation import Outcome, Request, Simulation, Times, simulate
from planners.groups import Group, GroupPlanner
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId, SwapPlanner
from tests.scheduler.pairs import Pairs

INF = float("inf")
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
every_world = settings(
    max_examples=2000 if PROFILE == "ci" else 200,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
pytestmark = [pytest.mark.slow] if PROFILE == "ci" else []


@dataclass(frozen=True)
class World:
    """One configuration, its traffic, and how long everything takes at most. Times are multiples of 1/8: sums are exact."""

    terms: dict[ModelId, Terms]
    planner: SwapPlanner
    told: str
    """What the planner was made of."""
    fairness: Fairness
    longest_load_s: float
    longest_stop_s: float
    longest_request_s: float
    requests: Sequence[Request]
    seed: int = 0
    """Of how long each load and stop takes; 0: as long as any."""

    def play(self) -> Simulation:
        """Lets it happen."""
        chance = random.Random(self.seed)
        times = Times(
            lambda _: _part(self.longest_load_s, chance, self.seed),
            lambda _: _part(self.longest_stop_s, chance, self.seed),
        )
        return simulate(self.requests, self.terms, self.planner, self.fairness, times)

    def bound_s(self, outcomes: Sequence[Outcome], index: int) -> float:
        """Returns how long the request at *index* may wait."""
        swap_s = max(self.longest_request_s, self.fairness.min_residency_s) + self.longest_stop_s + self.longest_load_s
        return self.fairness.patience_s + self.longest_load_s + (turns_before(outcomes, index) + 1) * swap_s


def _part(longest: float, chance: random.Random, seed: int) -> float:
    return longest * chance.choice([0, 1, 1, chance.randint(0, 8) / 8]) if seed else longest


def turns_before(outcomes: Sequence[Outcome], index: int) -> int:
    """Returns the k of the bound."""
    request = outcomes[index].request
    older = [
        each.request.model
        for each in outcomes[:index]
        if each.granted_at is None or each.granted_at > request.at_s  # it waits
    ]
    runs = [model for model, before in zip(older, [None, *older], strict=False) if model != before]
    return len(runs) - (runs[-1:] == [request.model])


def groups(models: Sequence[ModelId], chance: random.Random) -> tuple[SwapPlanner, str]:
    members: list[list[ModelId]] = [[] for _ in range(chance.randint(1, 4))]
    for model in models:
        chance.choice(members).append(model)
    made = [
        Group(str(index), tuple(each), chance.random() < 0.7, chance.random() < 0.3, chance.random() < 0.2)
        for index, each in enumerate(members[1:])  # those in the first are in no group
    ]
    return GroupPlanner(made, models), str(made)


def matrix(models: Sequence[ModelId], chance: random.Random) -> tuple[SwapPlanner, str]:
    def expression(depth: int) -> str:
        if not depth or chance.random() < 0.3:
            return chance.choice(models)
        return f"({expression(depth - 1)} {chance.choice('&|')} {expression(depth - 1)})"

    sets = {f"s{index}": expression(3) for index in range(chance.randint(1, 4))}
    costs = {str(model): chance.randint(1, 4) for model in models if chance.random() < 0.5}
    return MatrixPlanner({}, costs, sets, models), f"{sets}, {costs}"


def pairs(models: Sequence[ModelId], chance: random.Random) -> tuple[SwapPlanner, str]:
    density = chance.choice([0.2, 0.4, 0.8])
    made = sorted(one + other for one in models for other in models if one != other and chance.random() < density)
    return Pairs(made), str(made)


PLANNERS: dict[str, Callable[[Sequence[ModelId], random.Random], tuple[SwapPlanner, str]]] = {
    "groups": groups,
    "matrix": matrix,
    "pairs": pairs,
}

numbers = st.integers(1, 2**32 - 1)
gaps = st.sampled_from([0.0, 0.0, 0.25, 1.0, 1.0, 3.0, 10.0, 30.0])
counts = st.sampled_from([1, 1, 1, 2, 5, 15])
"""Single requests, bursts, and streams; they overlap."""


@st.composite
def worlds(draw: st.DrawFn, kind: str) -> World:
    models = [ModelId(letter) for letter in "abcdef"[: draw(st.integers(2, 6))]]
    chance = random.Random(draw(numbers))
    planner, told = PLANNERS[kind](models, chance)
    terms = {
        model: Terms(ttl_s=chance.choice([0.0, 0.0, 1.0, 3.0, 20.0]), priority=chance.choice([0, 0, 0, 1, 7]))
        for model in models
    }
    longest_request_s = draw(st.sampled_from([0.0, 1.0, 10.0, 40.0]))
    parts = st.sampled_from([0.0, 1.0, 1.0, 0.5, 0.125])
    streams = draw(st.lists(st.tuples(gaps, st.sampled_from(models), parts, counts, gaps), min_size=1, max_size=10))
    requests: list[Request] = []
    begins = 0.0
    for gap, model, part, count, every in streams:
        begins += gap
        requests.extend(Request(begins + every * index, model, longest_request_s * part) for index in range(count))
    return World(
        terms,
        planner,
        told,
        Fairness(draw(st.sampled_from([0.0, 0.0, 3.0, 15.0, 60.0])), draw(st.sampled_from([0.0, 0.0, 4.0, 30.0])), INF),
        draw(st.sampled_from([0.0, 1.0, 5.0, 20.0])),
        draw(st.sampled_from([0.0, 1.0, 5.0, 20.0])),
        longest_request_s,
        requests,
        draw(st.just(0) | numbers),
    )


def check(world: World) -> None:
    outcomes = world.play().outcomes
    for index, outcome in enumerate(outcomes):
        wait_s = outcome.wait_s
        bound_s = world.bound_s(outcomes, index)
        if wait_s is None or wait_s > bound_s:
            note("\n".join(map(str, outcomes)))
        assert wait_s is not None, f"{outcome} was never served"
        assert wait_s <= bound_s, (
            f"{outcome} waited for {wait_s} s, with {turns_before(outcomes, index)} turns before it"
        )


A, B, C, T = (ModelId(letter) for letter in "abct")

THE_PLANNER_WOULD_CHANGE_ITS_MIND = World(
    terms={A: Terms(), B: Terms(), C: Terms(ttl_s=50), T: Terms()},
    planner=MatrixPlanner({}, {"a": 3, "b": 2, "c": 2}, {"all": "a & b & c", "t": "t & (a | (b & c))"}, [A, B, C, T]),
    told="beside t, b and c are dearer than a, but b alone is cheaper",
    fairness=Fairness(0.0, 0.0, INF),
    longest_load_s=1.0,
    longest_stop_s=1.0,
    longest_request_s=100.0,
    requests=[Request(0, B, 0), Request(0, C, 0), Request(1, A, 100), Request(3, T, 0), Request(49, B, 100)],
)
"""t waits for a, which is busy; c expires; now b would have to go, which has just taken a request."""


@every_world
@given(world=worlds("groups"))
def test_no_wait_exceeds_its_bound_with_groups(world: World) -> None:
    check(world)


@every_world
@example(world=THE_PLANNER_WOULD_CHANGE_ITS_MIND)
@given(world=worlds("matrix"))
def test_no_wait_exceeds_its_bound_with_a_matrix(world: World) -> None:
    check(world)


@every_world
@given(world=worlds("pairs"))
def test_no_wait_exceeds_its_bound_with_any_planner_by_pairs(world: World) -> None:
    check(world)


def test_bound_is_no_larger_than_it_must_be() -> None:
    """z is busy when t comes; just before t has waited for its patience, something urgent comes for a, which t would evict."""
    z, eighth = ModelId("z"), 1 / 8
    world = World(
        terms={A: Terms(priority=1), T: Terms(), z: Terms()},
        planner=Pairs(["ta", "tz"]),
        told="t cannot run beside a or z",
        fairness=Fairness(30.0, 0.0, INF),
        longest_load_s=10.0,
        longest_stop_s=5.0,
        longest_request_s=40.0,
        requests=[Request(0, z, 40), Request(11, T, 1), Request(41 - eighth, A, 40)],
    )
    outcomes = world.play().outcomes

    assert world.bound_s(outcomes, 1) == 30 + 10 + (40 + 5 + 10) == 95
    assert outcomes[1].wait_s == 95 - eighth
