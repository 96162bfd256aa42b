"""A new configuration: who is touched, and who is not."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Terms
from tests.playbook import (
    Arrived,
    Exited,
    Grant,
    Left,
    Playbook,
    Ready,
    Reconfigured,
    Refuse,
    Start,
    Stop,
    Unload,
    group,
)

RECONFIGURED = StopCause.RECONFIGURED
OLD, NEW = Terms(launch="old"), Terms(launch="new")


def test_unchanged_model_is_untouched_and_keeps_serving(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": Terms(launch="old", ttl_s=60, priority=3), "b": NEW})
    book >> Arrived(2, "a") << Grant(2, "a", 1)


def test_unchanged_model_that_loads_goes_on_loading(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Reconfigured({"a": OLD})
    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_changed_model_drains_then_stops_then_starts_anew_on_demand(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": NEW})
    book >> Arrived(2, "a")
    book >> Left(1) << Stop("a", 1, RECONFIGURED)
    book >> Exited("a", 1) << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_changed_model_that_nobody_wants_is_stopped_and_not_started(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Reconfigured({"a": NEW}) << Stop("a", 1, RECONFIGURED)
    book >> Exited("a", 1)


def test_changed_model_that_loads_is_stopped_and_its_waiters_get_the_new_one(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Reconfigured({"a": NEW}) << Stop("a", 1, RECONFIGURED)
    book >> Exited("a", 1) << Start("a", 2)
    book >> Ready("a", 2) << Grant(1, "a", 2)


def test_changed_model_that_crashes_while_it_drains_starts_anew(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": NEW})
    book >> Arrived(2, "a")
    book >> Exited("a", 1, "ended by SIGSEGV") << Start("a", 2)


def test_changed_model_can_be_unloaded_while_it_drains(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": NEW})
    book >> Unload("a") << Stop("a", 1, StopCause.UNLOADED)


def test_removed_model_refuses_its_waiters_and_drains(play: type[Playbook]) -> None:
    book = play("ab", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")
    book >> Reconfigured("b", patience_s=0) << Refuse(3, Refusal.REMOVED)
    book >> Left(1) << Stop("a", 1, RECONFIGURED)
    book >> Exited("a", 1) << Start("b", 2)


def test_removed_model_that_loads_is_stopped(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Reconfigured("b") << Refuse(1, Refusal.REMOVED) << Stop("a", 1, RECONFIGURED)


def test_request_for_a_removed_model_is_refused_while_it_drains(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured("b")
    book >> Arrived(2, "a") << Refuse(2, Refusal.UNKNOWN)


def test_removed_model_is_forgotten_when_it_is_gone(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured("b")
    assert list(book.view().models) == ["b", "a"]
    book >> Left(1) << Stop("a", 1, RECONFIGURED)
    book >> Exited("a", 1)

    assert list(book.view().models) == ["b"]


def test_failure_of_a_removed_model_is_forgotten(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Exited("a", 1, "exited with code 3") << Refuse(1, Refusal.START_FAILED, "exited with code 3")
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Exited("b", 2, "exited with code 4") << Refuse(2, Refusal.START_FAILED, "exited with code 4")
    book >> Reconfigured("b")
    book >> Reconfigured("ab")

    assert book.model("a").failure == ""
    assert book.model("b").failure == "exited with code 4"


def test_model_changed_back_before_it_has_drained_is_kept(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": NEW})
    book >> Arrived(2, "a")
    book >> Reconfigured({"a": OLD}) << Grant(2, "a", 1)
    book >> Left(1)
    book >> Left(2)


def test_model_removed_and_put_back_before_it_has_drained_is_kept(play: type[Playbook]) -> None:
    book = play({"a": OLD})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({})
    book >> Reconfigured({"a": OLD})
    book >> Arrived(2, "a") << Grant(2, "a", 1)


def test_new_planner_holds_for_those_who_wait(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Reconfigured("ab", group("many", "ab", swap=False)) << Start("b", 2)


def test_new_planner_stops_nobody_by_itself(play: type[Playbook]) -> None:
    many = group("many", "ab", swap=False)
    book = play("ab", many)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Reconfigured("ab")
    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_new_priorities_hold_for_those_who_wait(play: type[Playbook]) -> None:
    book = play("abc")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Reconfigured({"a": Terms(), "b": Terms(), "c": Terms(priority=1)})
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("c", 2)
