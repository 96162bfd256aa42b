"""Tickets without events: granted and ended by calls that say no, and do nothing, where an event may lead to more."""

from __future__ import annotations

from app.scheduler.commands import StopCause
from app.scheduler.events import ShutDown, Terms, Ticket
from planners.protocol import ModelId
from tests.playbook import Arrived, Exited, Grant, Left, Playbook, Ready, Reconfigured, Start, Stop, group

A = ModelId("a")
EVICTED, IDLE = StopCause.EVICTED, StopCause.IDLE


def granted(book: Playbook, ticket: int, model: ModelId = A) -> bool:
    book.end()
    return book.scheduler.grant_at_once(Ticket(ticket), model, book.now)


def ended(book: Playbook, ticket: int) -> bool:
    book.end()
    return book.scheduler.end_at_once(Ticket(ticket), book.now)


def leases(book: Playbook) -> int:
    return book.model("a").leases


def test_ready_model_takes_a_newcomer_at_once(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)

    assert granted(book, 2)
    assert leases(book) == 2
    assert ended(book, 1)
    assert ended(book, 2)
    assert leases(book) == 0


def test_what_was_granted_at_once_may_end_by_an_event_and_the_other_way_round(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    assert granted(book, 2)
    book >> Left(2)
    book >> Arrived(3, "a") << Grant(3, "a", 1)

    assert ended(book, 3)
    assert leases(book) == 1


def test_model_that_is_not_ready_grants_nothing_at_once(play: type[Playbook]) -> None:
    book = play("a")
    assert not granted(book, 1)
    book >> Arrived(2, "a") << Start("a", 1)
    assert not granted(book, 3)
    book >> Ready("a", 1) << Grant(2, "a", 1)
    book >> ShutDown() << Stop("a", 1, StopCause.SHUTDOWN)
    assert not granted(book, 4)
    assert leases(book) == 1


def test_obsolete_instance_grants_nothing_at_once_and_goes_with_its_last_lease(play: type[Playbook]) -> None:
    book = play({"a": Terms(launch="old")})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": Terms(launch="new")})

    assert not granted(book, 2)
    assert not ended(book, 1)
    book >> Left(1) << Stop("a", 1, StopCause.RECONFIGURED)


def test_nothing_is_granted_at_once_while_anybody_waits_and_the_last_lease_ends_by_its_event(
    play: type[Playbook],
) -> None:
    book = play("ab", group("ab", "ab"))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(2, "a", 1)
    book >> Arrived(3, "b")

    assert not granted(book, 4)
    assert ended(book, 1)
    assert not ended(book, 2)
    book >> Left(2) << Stop("a", 1, EVICTED)
    book >> Exited("a", 1) << Start("b", 2)


def test_who_waits_or_was_never_there_has_no_lease_to_end(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)

    assert not ended(book, 1)
    assert not ended(book, 7)


def test_what_is_due_goes_first(play: type[Playbook]) -> None:
    """A timer may come late: then the next event stops the idle model, whichever it is, and these calls must not delay that."""
    book = play({"a": Terms(), "b": Terms(ttl_s=30)}, group("ab", "ab", swap=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "a") << Grant(2, "a", 1)
    book >> Arrived(3, "b") << Start("b", 2)
    book >> Ready("b", 2) << Grant(3, "b", 2)
    book >> Left(3)
    book.now += 30

    assert not granted(book, 4)
    assert not ended(book, 1)
    book >> Left(1) << Stop("b", 2, IDLE)
    assert leases(book) == 1


def test_time_to_live_counts_from_an_end_without_event(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(20)

    assert ended(book, 1)
    assert book.next_deadline() == 30
    book.wait(30) << Stop("a", 1, IDLE)
