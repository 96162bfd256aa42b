"""A model that fails to start is left alone for a while, longer each time."""

from __future__ import annotations

import pytest

from app.scheduler.commands import Refusal
from app.scheduler.events import Terms
from tests.playbook import Arrived, Exited, Grant, Playbook, Ready, Reconfigured, Refuse, Start, Unload

FAILED = "exited with code 3"


def fail(book: Playbook, ticket: int, generation: int, back_off_s: float) -> None:
    """Lets a request come and the start that it leads to fail."""
    book >> Arrived(ticket, "a", insists=True) << Start("a", generation)
    book >> Exited("a", generation, FAILED) << Refuse(ticket, Refusal.START_FAILED, FAILED, back_off_s)


def test_request_within_the_back_off_is_refused_and_told_how_long(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    book.wait(0.25)

    book >> Arrived(2, "a") << Refuse(2, Refusal.BACKING_OFF, FAILED, 0.75)


def test_request_after_the_back_off_starts_it_again(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    book.wait(1)

    book >> Arrived(2, "a") << Start("a", 2)


def test_back_off_doubles_up_to_a_minute(play: type[Playbook]) -> None:
    book = play("a")
    for number, back_off_s in enumerate([1, 2, 4, 8, 16, 32, 60, 60, *[60] * 2000], 1):
        fail(book, number, number, float(back_off_s))


def test_readiness_begins_it_anew(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    fail(book, 2, 2, 2.0)
    book >> Arrived(3, "a", insists=True) << Start("a", 3)
    book >> Ready("a", 3) << Grant(3, "a", 3)
    book >> Exited("a", 3, "ended by SIGKILL")

    fail(book, 4, 4, 1.0)


def test_everybody_is_served_once_somebody_insists(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    book >> Arrived(2, "a", insists=True) << Start("a", 2)
    book >> Arrived(3, "a")

    book >> Ready("a", 2) << Grant(2, "a", 2) << Grant(3, "a", 2)


def test_other_configuration_of_the_model_is_tried_at_once(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    book >> Reconfigured({"a": Terms(launch="another")})

    book >> Arrived(2, "a") << Start("a", 2)


def test_other_configuration_of_another_model_changes_nothing(play: type[Playbook]) -> None:
    book = play("ab")
    fail(book, 1, 1, 1.0)
    book >> Reconfigured({"a": Terms(), "b": Terms(launch="another")})

    book >> Arrived(2, "a") << Refuse(2, Refusal.BACKING_OFF, FAILED, 1.0)


def test_removed_model_is_forgotten(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)
    book >> Reconfigured("b")
    book >> Reconfigured("a")

    book >> Arrived(2, "a") << Start("a", 2)


@pytest.mark.parametrize("models", [("a",), ()])
def test_unload_by_hand_forgets_the_failure(play: type[Playbook], models: tuple[str, ...]) -> None:
    book = play("ab")
    fail(book, 1, 1, 1.0)
    book >> Unload(*models)

    assert book.model("a").failure == ""

    book >> Arrived(2, "a") << Start("a", 2)


def test_unload_of_another_model_remembers_it(play: type[Playbook]) -> None:
    book = play("ab")
    fail(book, 1, 1, 1.0)
    book >> Unload("b")

    assert book.model("a").failure == FAILED


def test_view_tells_until_when(play: type[Playbook]) -> None:
    book = play("a")
    fail(book, 1, 1, 1.0)

    assert book.model("a").retry_at == book.now + 1
