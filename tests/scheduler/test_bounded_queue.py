"""`max_queued`: who comes when too many wait is told to come back."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from tests.playbook import Arrived, Exited, Grant, Left, Playbook, Ready, Reconfigured, Refuse, Start, Stop, group


def test_request_beyond_the_bound_is_refused(play: type[Playbook]) -> None:
    book = play("ab", max_queued=2)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")

    book >> Arrived(3, "b") << Refuse(3, Refusal.QUEUE_FULL)


def test_request_for_a_ready_model_is_served_though_the_queue_is_full(play: type[Playbook]) -> None:
    book = play("ab", max_queued=1)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")

    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_request_that_a_ready_model_may_not_take_yet_is_refused(play: type[Playbook]) -> None:
    book = play("ab", max_queued=1, patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")

    book >> Arrived(3, "a") << Refuse(3, Refusal.QUEUE_FULL)


def test_place_that_is_left_is_free(play: type[Playbook]) -> None:
    book = play("ab", max_queued=2)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Left(2)

    book >> Arrived(3, "b")


def test_refused_ticket_leaves_no_trace(play: type[Playbook]) -> None:
    book = play("ab", max_queued=1)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Refuse(2, Refusal.QUEUE_FULL)
    book >> Left(2)

    assert [queued.ticket for queued in book.queue()] == [1]


def test_lower_bound_refuses_nobody_who_waits(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Reconfigured("ab", max_queued=1)
    book >> Arrived(3, "b") << Refuse(3, Refusal.QUEUE_FULL)

    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_refusal_tells_when_the_next_model_will_be_ready(play: type[Playbook]) -> None:
    book = play("ab", group("g", "a", exclusive=False), group("h", "b"), max_queued=1)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(8)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book.wait(4)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2)
    book >> Exited("b", 2)
    book >> Arrived(3, "a") << Start("a", 3)
    book.wait(3)

    book >> Arrived(4, "b") << Refuse(4, Refusal.QUEUE_FULL, "", 5.0)
