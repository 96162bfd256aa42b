"""The playbook itself: a test of ours that cannot fail would be worth nothing."""

from __future__ import annotations

import pytest

from app.scheduler.commands import StopCause
from app.scheduler.events import Terms
from app.scheduler.instances import Phase
from tests.playbook import Announce, Arrived, Grant, Playbook, Ready, Start, Stop


def test_an_unexpected_command_shows_the_conversation() -> None:
    book = Playbook("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(2, "a", 1)

    with pytest.raises(AssertionError) as failure:
        book.end()

    assert str(failure.value).splitlines()[1:] == [
        "    0.000 >> Arrived(1, 'a')",
        "          << Start('a', 1)",
        "    0.000 >> Ready('a', 1)",
        "-         << Grant(2, 'a', 1)",
        "+         << Grant(1, 'a', 1)",
    ]


def test_a_command_that_nobody_spoke_of_fails_at_the_next_event() -> None:
    book = Playbook("ab")
    book >> Arrived(1, "a")

    with pytest.raises(AssertionError):
        book >> Arrived(2, "b")


def test_a_command_that_does_not_come_fails() -> None:
    book = Playbook("a")
    book >> Arrived(1, "a") << Start("a", 1) << Start("a", 2)

    with pytest.raises(AssertionError):
        book.view()


def test_waiting_ticks_at_every_deadline_on_the_way(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5), "b": Terms(ttl_s=8)}, patience_s=60)
    book >> Arrived(1, "a") << Start("a", 1)

    book.wait(7)

    assert book.now == 1007.0
    assert book.next_deadline() is None


def test_announcements_are_heard_when_asked_for(play: type[Playbook]) -> None:
    book = play("a", announce=True)
    book >> Arrived(1, "a") << Start("a", 1)
    book << Announce("a", Phase.STARTING, "nothing else runs")


def test_a_wait_is_compared_like_an_event() -> None:
    book = Playbook({"a": Terms(ttl_s=5)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(9) << Stop("a", 1, StopCause.IDLE)

    with pytest.raises(AssertionError, match=r"(?m)^    0\.000 >> wait 9 s$"):
        book.end()
