"""Unloading on request, and shutting down."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import ShutDown, Terms
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

UNLOADED = StopCause.UNLOADED
SHUTDOWN = StopCause.SHUTDOWN
SIDE_BY_SIDE = group("many", "abc", swap=False)


def test_unload_of_a_ready_model_stops_it_in_spite_of_its_leases(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Unload("a") << Stop("a", 1, UNLOADED)
    book >> Left(1)
    book >> Exited("a", 1)


def test_unload_while_loading_refuses_the_waiters_and_stops_the_load(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Unload("a") << Refuse(1, Refusal.UNLOADED) << Refuse(2, Refusal.UNLOADED) << Stop("a", 1, UNLOADED)


def test_unload_while_loading_is_no_failure(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Unload("a") << Refuse(1, Refusal.UNLOADED) << Stop("a", 1, UNLOADED)
    book >> Exited("a", 1, "ended by SIGTERM")

    assert book.model("a").failure == ""


def test_unload_of_a_queued_model_refuses_its_tickets(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED)
    book >> Left(1)


def test_unload_of_a_stopping_model_refuses_those_who_wait_for_its_return(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Unload("a") << Stop("a", 1, UNLOADED)
    book >> Arrived(2, "a")
    book >> Unload("a") << Refuse(2, Refusal.UNLOADED)
    book >> Exited("a", 1)


def test_unload_of_a_model_that_is_not_there_changes_nothing(play: type[Playbook]) -> None:
    book = play("a")
    book >> Unload("a")
    book >> Unload("ghost")


def test_unload_leaves_the_others_alone(play: type[Playbook]) -> None:
    book = play("abc", SIDE_BY_SIDE)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED) << Stop("b", 2, UNLOADED)
    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_unload_lets_the_next_model_start(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Unload("a") << Stop("a", 1, UNLOADED)
    book >> Exited("a", 1) << Start("b", 2)


def test_unload_of_some_refuses_in_the_order_of_the_queue(play: type[Playbook]) -> None:
    book = play("abcdef", SIDE_BY_SIDE)
    for ticket, model in enumerate("cbadef", start=1):
        book.scheduler.handle(Arrived(ticket, model), book.now)
    book >> Unload("f", "e", "d", "b") << Refuse(2, Refusal.UNLOADED)
    book << Refuse(4, Refusal.UNLOADED) << Refuse(5, Refusal.UNLOADED) << Refuse(6, Refusal.UNLOADED)
    book << Stop("b", 2, UNLOADED)


def test_unload_of_everything(play: type[Playbook]) -> None:
    book = play("abc", SIDE_BY_SIDE)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Unload() << Refuse(2, Refusal.UNLOADED) << Stop("a", 1, UNLOADED) << Stop("b", 2, UNLOADED)
    book >> Exited("a", 1)
    book >> Exited("b", 2)


def test_request_after_an_unload_starts_the_model_when_the_old_one_is_gone(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Unload("a") << Stop("a", 1, UNLOADED)
    book >> Arrived(2, "a")
    book >> Left(1)
    book >> Exited("a", 1) << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_shutdown_refuses_all_who_wait_and_stops_all_that_runs(play: type[Playbook]) -> None:
    book = play("abc", SIDE_BY_SIDE)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> ShutDown() << Refuse(2, Refusal.SHUTTING_DOWN) << Stop("a", 1, SHUTDOWN) << Stop("b", 2, SHUTDOWN)
    assert book.view().shutting_down


def test_arrival_after_shutdown_is_refused(play: type[Playbook]) -> None:
    book = play("a")
    book >> ShutDown()
    book >> Arrived(1, "a") << Refuse(1, Refusal.SHUTTING_DOWN)
    book >> Arrived(2, "ghost") << Refuse(2, Refusal.SHUTTING_DOWN)


def test_shutdown_twice_stops_nothing_twice(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> ShutDown() << Refuse(1, Refusal.SHUTTING_DOWN) << Stop("a", 1, SHUTDOWN)
    book >> ShutDown()


def test_reload_after_shutdown_changes_nothing(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> ShutDown() << Refuse(1, Refusal.SHUTTING_DOWN) << Stop("a", 1, SHUTDOWN)
    book >> Reconfigured({"a": Terms(launch="new")})
    book >> Exited("a", 1)
    assert book.next_deadline() is None


def test_nothing_is_started_again_after_shutdown(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> ShutDown() << Refuse(2, Refusal.SHUTTING_DOWN) << Stop("a", 1, SHUTDOWN)
    book >> Left(1)
    book >> Exited("a", 1)
