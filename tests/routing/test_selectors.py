"""Which target a selector chooses, by how things stand."""

from __future__ import annotations

import pytest

from app.config.catalog import Catalog, Selector, Strategy
from app.errors import Unavailable
from app.routing.selectors import Candidate, Reservations, is_up, spillover, warm
from app.scheduler.instances import Phase
from tests.endpoints.catalogs import catalog, model, peer, view

STOPPED, STARTING, READY, STOPPING = Phase.STOPPED, Phase.STARTING, Phase.READY, Phase.STOPPING


def candidates(*states: tuple[Phase, int]) -> list[Candidate]:
    return [Candidate(place, "abc"[place], phase, reserved) for place, (phase, reserved) in enumerate(states)]


def selector(strategy: Strategy, *targets: str, spillover: int = 1) -> Selector:
    return Selector("s", strategy, targets, spillover)


MODELS = catalog(model("a", aliases=("al",)), model("b"), peers=[peer("p", "m")])


@pytest.mark.parametrize(
    ("phases", "chosen"),
    [
        ([STOPPED, STARTING, READY], "c"),
        ([READY, READY, STARTING], "a"),
        ([STOPPING, STOPPED, STARTING], "c"),
        ([STOPPED, STARTING, STARTING], "b"),
        ([STOPPED, STOPPING, STOPPED], "a"),
        ([STOPPING, STOPPED, STOPPED], "a"),
    ],
)
def test_warm_takes_the_first_ready_then_the_first_starting_then_the_first(phases: list[Phase], chosen: str) -> None:
    assert warm(candidates(*((phase, 0) for phase in phases))).name == chosen


@pytest.mark.parametrize(
    ("states", "limit", "chosen"),
    [
        # nothing in use: the first
        ([(STOPPED, 0), (STOPPED, 0)], 1, "a"),
        ([(STOPPING, 0), (STOPPED, 0)], 1, "b"),
        # in use is what is up, on its way, or wanted already
        ([(STOPPED, 0), (READY, 0)], 1, "b"),
        ([(STOPPED, 0), (STARTING, 0)], 1, "b"),
        ([(STOPPED, 0), (STOPPED, 1)], 2, "b"),
        # full: the first that is not in use
        ([(READY, 1), (STOPPED, 0), (STOPPED, 0)], 1, "b"),
        ([(READY, 1), (STOPPING, 0), (STOPPED, 0)], 1, "c"),
        ([(READY, 2), (READY, 2), (STOPPED, 0)], 2, "c"),
        # the least busy before a new one
        ([(READY, 2), (READY, 1), (STOPPED, 0)], 2, "b"),
        # all in use and full: the least busy
        ([(READY, 3), (READY, 2), (STARTING, 4)], 1, "b"),
        ([(READY, 3), (STOPPING, 0)], 1, "a"),
        # what stops serves nobody, whatever it still has
        ([(STOPPING, 1), (READY, 5)], 9, "b"),
        ([(STOPPING, 0), (STOPPING, 3)], 9, None),
    ],
)
def test_spillover_fills_what_is_in_use_first(states: list[tuple[Phase, int]], limit: int, chosen: str | None) -> None:
    found = spillover(candidates(*states), limit, 0)

    assert (found and found.name) == chosen


@pytest.mark.parametrize(("turn", "chosen"), [(0, "a"), (1, "c"), (2, "c"), (3, "a"), (7, "c")])
def test_equally_busy_ones_take_turns(turn: int, chosen: str) -> None:
    found = spillover(candidates((READY, 1), (READY, 2), (READY, 1)), 9, turn)

    assert found is not None
    assert found.name == chosen


def test_pin_takes_the_first_however_it_stands() -> None:
    reservations = Reservations(lambda: view(a=STOPPING, b=READY))
    pinned = selector(Strategy.PIN, "a", "b")

    assert reservations.choose(pinned, MODELS) == "a"

    reservations.release(pinned, "a")
    assert reservations.counts() == {}


def test_warm_sees_through_aliases_and_reserves_nothing() -> None:
    reservations = Reservations(lambda: view(a=READY))
    warmed = selector(Strategy.WARM, "b", "al")

    assert reservations.choose(warmed, MODELS) == "al"
    assert reservations.counts() == {}


def test_spillover_counts_until_it_is_told_of_the_end() -> None:
    reservations = Reservations(lambda: view())
    spilling = selector(Strategy.SPILLOVER, "a", "b", "p/m", spillover=2)

    chosen = [reservations.choose(spilling, MODELS) for _ in range(7)]

    # Two each, in order; then round and round, for all are equally full.
    assert chosen == ["a", "a", "b", "b", "p/m", "p/m", "a"]
    assert reservations.counts() == {("s", "a"): 3, ("s", "b"): 2, ("s", "p/m"): 2}

    for target in chosen[:5]:
        reservations.release(spilling, target)

    assert reservations.counts() == {("s", "a"): 1, ("s", "p/m"): 1}
    assert reservations.choose(spilling, MODELS) == "p/m"


def test_turns_go_on_where_they_were() -> None:
    reservations = Reservations(lambda: view(a=READY, b=READY))
    spilling = selector(Strategy.SPILLOVER, "a", "b", spillover=5)
    chosen = []
    for _ in range(4):
        chosen.append(reservations.choose(spilling, MODELS))
        reservations.release(spilling, chosen[-1])

    assert chosen == ["a", "b", "a", "b"]


def test_selectors_count_apart() -> None:
    reservations = Reservations(lambda: view())
    one = Selector("one", Strategy.SPILLOVER, ("a", "b"))
    other = Selector("other", Strategy.SPILLOVER, ("a", "b"))

    assert [reservations.choose(each, MODELS) for each in (one, other)] == ["a", "a"]


def test_selector_whose_targets_all_stop_is_exhausted() -> None:
    reservations = Reservations(lambda: view(a=STOPPING, b=STOPPING))

    with pytest.raises(Unavailable, match=r'^selector "s" has no available spillover targets$') as caught:
        reservations.choose(selector(Strategy.SPILLOVER, "a", "b"), MODELS)

    assert caught.value.status == 503
    assert reservations.counts() == {}


@pytest.mark.parametrize(
    ("chooser", "expected"),
    [
        (selector(Strategy.PIN, "a", "b"), False),
        (selector(Strategy.PIN, "b", "a"), True),
        (selector(Strategy.WARM, "a", "b"), True),
        (selector(Strategy.SPILLOVER, "a", "p/m"), False),
    ],
)
def test_selector_is_up_with_a_target_it_could_choose(chooser: Selector, expected: bool) -> None:
    models: Catalog = MODELS

    assert is_up(chooser, models, view(b=STARTING, a=STOPPING).models) == expected
