"""The simulated world around the scheduler: what it tells of a trace."""

from __future__ import annotations

import pytest

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Fairness, Terms
from app.scheduler.simulation import Activity, Request, Simulation, Span, Times, simulate
from planners.groups import Group, GroupPlanner
from planners.protocol import ModelId

A, B = ModelId("a"), ModelId("b")
TIMES = Times(lambda _: 10.0, lambda _: 1.0)
IN_ORDER = Fairness(patience_s=0)


def play(
    *requests: tuple[float, str, float],
    fairness: Fairness = IN_ORDER,
    times: Times = TIMES,
    ttl_s: float = 0.0,
    beside: bool = False,
) -> Simulation:
    """Plays requests for a and b, which swap unless they run *beside* each other."""
    planner = GroupPlanner([Group("g", (A, B), swap=not beside)], [A, B])
    terms = dict.fromkeys([A, B], Terms(ttl_s=ttl_s))
    trace = [Request(at_s, ModelId(model), service_s) for at_s, model, service_s in requests]
    return simulate(trace, terms, planner, fairness, times)


def test_request_waits_for_the_load_and_holds_its_model_while_it_is_served() -> None:
    told = play((5, "a", 3))

    (outcome,) = told.outcomes
    assert (outcome.granted_at, outcome.ended_at, outcome.wait_s, outcome.swap_s) == (15, 18, 10, 10)
    assert (told.loads, told.began_at, told.ended_at, told.makespan_s) == (1, 5, 18, 13)
    assert told.spans == {A: [Span(Activity.STARTING, 5, 15), Span(Activity.BUSY, 15, 18)]}


def test_swap_stops_one_model_and_loads_the_other() -> None:
    told = play((0, "a", 3), (12, "b", 2))

    assert told.outcomes[1].granted_at == 24
    assert (told.loads, told.stops[StopCause.EVICTED]) == (2, 1)
    assert told.spans == {
        A: [Span(Activity.STARTING, 0, 10), Span(Activity.BUSY, 10, 13), Span(Activity.STOPPING, 13, 14)],
        B: [Span(Activity.STARTING, 14, 24), Span(Activity.BUSY, 24, 26)],
    }


def test_busy_is_from_the_first_grant_to_the_last_request_s_end() -> None:
    told = play((0, "a", 3), (12, "a", 4), (20, "a", 1))

    assert told.spans[A] == [
        Span(Activity.STARTING, 0, 10),
        Span(Activity.BUSY, 10, 16),
        Span(Activity.IDLE, 16, 20),
        Span(Activity.BUSY, 20, 21),
    ]


def test_models_that_run_beside_each_other_are_not_swapped() -> None:
    told = play((0, "a", 3), (1, "b", 2), beside=True)

    assert told.outcomes[1].granted_at == 11
    assert told.stops[StopCause.EVICTED] == 0


def test_idle_model_expires_when_the_scheduler_asked_to_be_told() -> None:
    told = play((0, "a", 1), (100, "a", 1), ttl_s=30)

    assert told.stops[StopCause.IDLE] == 1
    assert told.spans[A][2:4] == [Span(Activity.IDLE, 11, 41), Span(Activity.STOPPING, 41, 42)]
    assert told.loads == 2


def test_requests_are_taken_in_the_order_of_their_arrival_whatever_the_order_of_the_trace() -> None:
    told = play((9, "b", 1), (0, "a", 1))

    assert [outcome.request.model for outcome in told.outcomes] == [A, B]


def test_of_two_at_the_same_time_the_first_is_first() -> None:
    told = play((0, "b", 1), (0, "a", 1))

    assert list(told.spans) == [B, A]


def test_request_that_ends_makes_room_before_one_that_arrives_at_the_same_time_is_looked_at() -> None:
    told = play((0, "a", 3), (1, "b", 1), (13, "a", 1))

    assert told.outcomes[1].granted_at == 24
    assert told.outcomes[2].wait_s == 23, "a was told to stop as its first request ended"


def test_unknown_model_is_refused() -> None:
    told = play((0, "nobody", 1), (0, "a", 1))

    assert (told.outcomes[0].refusal, told.outcomes[0].wait_s) == (Refusal.UNKNOWN, None)
    assert told.outcomes[1].wait_s == 10


def test_full_queue_refuses() -> None:
    told = play((0, "a", 1), (1, "a", 1), (2, "a", 1), fairness=Fairness(max_queued=2))

    assert [outcome.refusal for outcome in told.outcomes] == [None, None, Refusal.QUEUE_FULL]
    assert told.outcomes[2].ended_at == 2


def test_request_that_would_wait_for_ever_is_neither_granted_nor_refused() -> None:
    told = play((0, "a", 1), (20, "b", 1), fairness=Fairness(min_residency_s=float("inf")))

    outcome = told.outcomes[1]
    assert (outcome.granted_at, outcome.ended_at, outcome.refusal) == (None, None, None)


def test_residency_ends_at_its_end_however_the_sum_is_rounded() -> None:
    """0.1 + 0.4 - 0.4 is less than 0.1."""
    told = play(
        (0, "a", 0), (0.2, "b", 0), fairness=Fairness(min_residency_s=0.4), times=Times(lambda _: 0.1, lambda _: 0)
    )

    assert told.outcomes[1].granted_at == pytest.approx(0.6)


def test_nothing_comes_of_nothing() -> None:
    told = play()

    assert (told.outcomes, told.spans, told.loads, told.makespan_s) == ([], {}, 0, 0)


def test_same_trace_same_story() -> None:
    trace = [(index % 7, "ab"[index % 2], index % 3) for index in range(50)]

    assert play(*trace) == play(*trace)
