"""Waiting that explains itself: places, who is in the way, how long it will take, and how long the swap took."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest

from app.scheduler.commands import StopCause
from app.scheduler.core import Scheduler
from app.scheduler.events import Terms
from app.scheduler.history import History, Learned
from app.scheduler.instances import Obstacle, Phase
from planners.groups import GroupPlanner
from planners.protocol import ModelId, Plan
from tests.playbook import Arrived, Exited, Grant, Left, Playbook, Ready, Reconfigured, Start, Stop, Unload, group

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")


def learned(play: type[Playbook], *, load_s: float = 10, stop_s: float = 2, request_s: float = 3) -> Playbook:
    """A book of a, b and c, all of which are known to take these times."""
    book = play("abc")
    known = dict.fromkeys((A, B, C), Learned(load_s, stop_s, request_s))
    terms = dict.fromkeys((A, B, C), Terms())
    book.scheduler = Scheduler(terms, GroupPlanner([], terms), history=History(known))
    return book


def waits(book: Playbook) -> dict[str, float | None]:
    return {queued.model: queued.wait_s for queued in book.queue()}


# How long it will take


def test_nothing_is_known_of_a_model_that_was_never_loaded(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)

    assert waits(book) == {"a": None}


def test_what_is_left_of_the_load_is_the_wait(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(4)

    assert waits(book) == {"a": 6.0}


def test_load_that_takes_longer_than_ever_is_due_now(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(14)

    assert waits(book) == {"a": 0.0}


def test_models_behind_wait_for_those_in_front(play: type[Playbook]) -> None:
    """a loads for 10 s, serves for 3, stops for 2; then b loads, and so on."""
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")

    assert waits(book) == {"a": 10.0, "b": 25.0, "c": 40.0}


def test_models_that_fit_beside_each_other_do_not_add_up(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Reconfigured("abc", group("g", "abc", swap=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)

    assert waits(book) == {"a": 10.0, "b": 10.0}


def test_busy_victim_is_waited_for(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")

    # Its load was seen to take no time at all, which the mean of a takes in, and that of b does not.
    assert waits(book) == {"b": 15.0}


def test_stopping_victim_is_nearly_gone(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, StopCause.EVICTED)
    book.wait(1.5)

    assert waits(book) == {"b": 10.5}


def test_held_newcomer_of_a_ready_model_waits_for_its_return(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Reconfigured("abc", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(10)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")

    # a serves and stops, b loads, serves and stops, a loads.
    assert waits(book) == {"b": 15.0, "a": 30.0}


def test_model_held_by_nobody_is_there_at_once(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)

    assert book.scheduler.wait_s(A, book.now) == 0.0


def test_newcomer_asks_without_joining_the_queue(play: type[Playbook]) -> None:
    book = learned(play)
    book >> Arrived(1, "a") << Start("a", 1)

    assert book.scheduler.wait_s(A, book.now) == 10.0
    assert book.scheduler.wait_s(B, book.now) == 25.0
    assert [queued.ticket for queued in book.queue()] == [1]


def test_estimate_of_an_unknown_model_is_an_error(play: type[Playbook]) -> None:
    book = play("a")

    with pytest.raises(KeyError):
        book.scheduler.wait_s(ModelId("ghost"), book.now)


# What is learned


def test_load_stop_and_request_are_learned(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(8)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(3)
    book >> Left(1)
    book >> Unload("a") << Stop("a", 1, StopCause.UNLOADED)
    book.wait(2)
    book >> Exited("a", 1)

    assert book.scheduler.history.learned() == {A: Learned(load_s=8.0, stop_s=2.0, request_s=3.0)}


def test_newer_times_count_for_more() -> None:
    history = History({A: Learned(load_s=10.0, request_s=10.0)})
    history.loaded(A, 20.0)
    history.served(A, 20.0)
    history.stopped(A, 1.0)
    history.stopped(A, 2.0)

    known = history.of(A)

    assert known.load_s == pytest.approx(14.0)
    assert known.request_s == pytest.approx(11.0)
    assert known.stop_s == pytest.approx(1.4)


def test_nothing_is_known_at_first() -> None:
    assert History().of(A) == Learned()
    assert History().learned() == {}


# Who is in the way


def test_queue_tells_places_and_who_has_to_go(play: type[Playbook]) -> None:
    book = play("abc")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "a") << Grant(2, "a", 1)
    book >> Arrived(3, "b")
    book >> Arrived(4, "c")
    book >> Arrived(5, "b")

    queue = book.queue()

    assert [(queued.ticket, queued.position) for queued in queue] == [(3, 1), (5, 2), (4, 3)]
    assert {queued.held_by for queued in queue} == {(Obstacle(A, Phase.READY, 2),)}


def test_place_of_one_is_that_in_the_queue(play: type[Playbook]) -> None:
    book = play("abc")
    for ticket, model in enumerate("abcab", 1):
        book >> Arrived(ticket, model)
        if ticket == 1:
            book << Start("a", 1)

    assert [book.scheduler.place(queued.ticket, book.now) for queued in book.queue()] == book.queue()


def test_who_does_not_wait_has_no_place(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)

    assert book.scheduler.place(Arrived(1, "a").ticket, book.now) is None


def test_overdue_is_told_as_of_now(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")

    assert [queued.overdue for queued in book.scheduler.queue(book.now + 9.9)] == [False]
    assert [queued.overdue for queued in book.scheduler.queue(book.now + 10)] == [True]


# How long the swap took


def test_swap_is_the_stop_of_the_victim_and_the_load(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book.wait(7)
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book.wait(2)
    book >> Exited("a", 1) << Start("b", 2)
    book.wait(3)

    book >> Ready("b", 2) << Grant(2, "b", 2, swap_s=5.0)


def test_who_comes_during_the_swap_waits_for_a_part_of_it(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(3)
    book >> Arrived(2, "a")
    book.wait(2)

    book >> Ready("a", 1) << Grant(1, "a", 1, swap_s=5.0) << Grant(2, "a", 1, swap_s=2.0)


def test_who_comes_to_a_ready_model_waits_for_no_swap(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(3)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(1)

    book >> Arrived(2, "a") << Grant(2, "a", 1, swap_s=0.0)


def test_swap_that_nobody_wanted_any_more_is_not_counted_for_the_next(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, StopCause.EVICTED)
    book >> Left(2)
    book.wait(100)
    book >> Exited("a", 1)
    book >> Arrived(3, "b") << Start("b", 2)
    book.wait(4)

    book >> Ready("b", 2) << Grant(3, "b", 2, swap_s=4.0)


# Nobody changes whom the first one waits for


class Either:
    """For c the cheaper of two ways is cleared: a goes if x runs, else b; x and y evict nobody, y needs x gone."""

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        if target == "c":
            way = {A} if "x" in live else {B}
            return Plan(frozenset(way) & live, "either")
        if target == "y":
            return Plan(frozenset({ModelId("x")}) & live, "instead of x")
        return Plan(frozenset(), "beside")


def test_nothing_starts_that_changes_whom_the_first_one_waits_for(play: type[Playbook]) -> None:
    book = play("abcx", planner=Either())
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Arrived(3, "c")

    book >> Arrived(4, "x")
    book >> Left(2) << Stop("b", 2, StopCause.EVICTED)


def test_nothing_is_evicted_for_a_later_one_that_changes_whom_the_first_one_waits_for(play: type[Playbook]) -> None:
    book = play("abcxy", planner=Either())
    for ticket, model in enumerate("abx", 1):
        book >> Arrived(ticket, model) << Start(model, ticket)
        book >> Ready(model, ticket) << Grant(ticket, model, ticket)
    book >> Left(3)
    book >> Arrived(4, "c")

    book >> Arrived(5, "y")
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)


def test_part_of_the_victims_may_go_for_a_later_one(play: type[Playbook]) -> None:
    """c needs both a and b gone, and b is busy; d, in a group with a, needs a only."""
    groups = group("g", "ad", exclusive=False), group("h", "b", exclusive=False), group("i", "c")
    book = play("abcd", *groups)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Arrived(3, "c")
    book >> Left(1)

    book >> Arrived(4, "d") << Stop("a", 1, StopCause.EVICTED)
