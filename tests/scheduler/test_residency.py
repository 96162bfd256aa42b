"""`min_residency_s`: a model stays for a while before another one takes its place."""

from __future__ import annotations

from app.scheduler.commands import StopCause
from app.scheduler.events import Terms
from tests.playbook import Arrived, Exited, Grant, Left, Playbook, Ready, Start, Stop, Unload, group


def serve_once(book: Playbook) -> None:
    """Loads a and lets it serve one request."""
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)


def test_idle_model_is_evicted_only_when_it_has_stayed(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10)
    serve_once(book)
    book >> Arrived(2, "b")
    book.wait(9)

    book.wait(1) << Stop("a", 1, StopCause.EVICTED)


def test_it_counts_from_readiness_and_not_from_the_start(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(8)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b")
    book.wait(9.5)

    book.wait(0.5) << Stop("a", 1, StopCause.EVICTED)


def test_no_time_is_lost_when_it_has_stayed_longer(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10)
    serve_once(book)
    book.wait(10)

    book >> Arrived(2, "b") << Stop("a", 1, StopCause.EVICTED)


def test_patience_does_not_shorten_it(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10, patience_s=0)
    serve_once(book)
    book >> Arrived(2, "b")
    book.wait(9)

    book.wait(1) << Stop("a", 1, StopCause.EVICTED)


def test_unload_by_hand_heeds_it_not(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10)
    serve_once(book)

    book >> Unload("a") << Stop("a", 1, StopCause.UNLOADED)


def test_idle_model_expires_within_it(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5), "b": Terms()}, min_residency_s=10)
    serve_once(book)

    book.wait(5) << Stop("a", 1, StopCause.IDLE)


def test_victim_that_expires_frees_the_others_at_once(play: type[Playbook]) -> None:
    """All victims go together; c need not wait for the residency of one that goes by itself."""
    book = play({"a": Terms(), "b": Terms(ttl_s=5), "c": Terms()}, group("g", "ab", swap=False), min_residency_s=10)
    serve_once(book)
    book.wait(5)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2)
    book.wait(1)
    book >> Arrived(3, "c")

    book.wait(4) << Stop("b", 2, StopCause.IDLE) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1)
    book >> Exited("b", 2) << Start("c", 3)


def test_deadline_is_the_end_of_the_stay(play: type[Playbook]) -> None:
    book = play("ab", min_residency_s=10)
    serve_once(book)
    book >> Arrived(2, "b")

    assert book.scheduler.deadline == book.now + 10
