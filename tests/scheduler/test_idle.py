"""Time to live: how long an idle model stays."""

from __future__ import annotations

from app.scheduler.commands import StopCause
from app.scheduler.events import Terms
from tests.playbook import Arrived, Exited, Grant, Left, Playbook, Ready, Reconfigured, Start, Stop, group

IDLE = StopCause.IDLE


def test_idle_model_is_stopped_its_ttl_after_its_last_use(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(20)
    book >> Left(1)
    book.wait(29.9)
    book.wait(0.1) << Stop("a", 1, IDLE)


def test_ttl_of_a_model_nobody_used_counts_from_its_readiness(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Left(1)
    book.wait(40)
    book >> Ready("a", 1)
    book.wait(29.9)
    book.wait(0.1) << Stop("a", 1, IDLE)


def test_new_use_starts_the_ttl_again(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book.wait(20)
    book >> Arrived(2, "a") << Grant(2, "a", 1)
    book >> Left(2)
    book.wait(29.9)
    book.wait(0.1) << Stop("a", 1, IDLE)


def test_model_in_use_has_no_time_to_live(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(2, "a", 1)
    book >> Left(1)
    assert book.next_deadline() is None
    book.wait(100)


def test_model_that_is_waited_for_has_no_time_to_live(play: type[Playbook]) -> None:
    """Ticket 4 waits behind ticket 3 for its turn of a, which is idle, but not of no use."""
    book = play(
        {"a": Terms(ttl_s=30), "b": Terms(), "c": Terms()},
        group("ab", "ab", swap=False),
        group("c", "c"),
        patience_s=10,
    )
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Arrived(3, "c")
    book.wait(10)
    book >> Arrived(4, "a")
    book >> Left(1)
    book.wait(60)


def test_model_without_a_ttl_stays(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    assert book.next_deadline() is None
    book.wait(1e6)


def test_each_model_has_a_ttl_of_its_own(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30), "b": Terms(ttl_s=10)}, group("ab", "ab", swap=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(1)
    book >> Left(2)
    book.wait(60) << Stop("b", 2, IDLE) << Stop("a", 1, IDLE)


def test_ttl_of_a_reload_holds_at_once(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book.wait(20)
    book >> Reconfigured({"a": Terms(ttl_s=15)}) << Stop("a", 1, IDLE)


def test_request_after_the_ttl_starts_the_model_again(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book.wait(30) << Stop("a", 1, IDLE)
    book >> Arrived(2, "a")
    book >> Exited("a", 1) << Start("a", 2)
