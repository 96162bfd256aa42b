"""The picture others get, and the one a debugger shows."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Terms, Tick
from app.scheduler.instances import ModelView, Phase, QueuedView
from planners.protocol import ModelId
from tests.playbook import (
    ANY,
    Announce,
    Arrived,
    Ending,
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


def test_view_of_a_scheduler_to_which_nothing_has_happened(play: type[Playbook]) -> None:
    view = play("ab").view()

    assert view.models == {"a": ModelView(Phase.STOPPED), "b": ModelView(Phase.STOPPED)}
    assert view.waiting == 0
    assert not view.shutting_down


def test_view_tells_phase_generation_leases_waiters_and_times(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(2)
    book >> Arrived(2, "a")
    assert book.model("a") == ModelView(Phase.STARTING, 1, waiting=2, since=1000.0, idle_since=1000.0)

    book.wait(1)
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(2, "a", 1)
    book.wait(1)
    book >> Left(1)
    assert book.model("a") == ModelView(Phase.READY, 1, leases=1, since=1003.0, idle_since=1003.0)

    book.wait(1)
    book >> Left(2)
    assert book.model("a") == ModelView(Phase.READY, 1, since=1003.0, idle_since=1005.0)

    book >> Arrived(3, "b") << Stop("a", 1, StopCause.EVICTED)
    assert book.model("a") == ModelView(Phase.STOPPING, 1, since=1005.0, idle_since=1005.0)
    assert book.model("b") == ModelView(Phase.STOPPED, waiting=1)


def test_queue_is_in_the_order_of_service(play: type[Playbook]) -> None:
    book = play({"a": Terms(), "b": Terms(), "c": Terms(priority=1)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Arrived(4, "b")

    queue = [(queued.ticket, queued.model) for queued in book.queue()]

    assert queue == [(3, "c"), (1, "a"), (2, "b"), (4, "b")]


def test_queue_tells_since_when(play: type[Playbook]) -> None:
    book = play("a")
    book.wait(7)
    arrived = Arrived(1, "a")
    book >> arrived << Start("a", 1)

    assert book.queue() == [QueuedView(arrived.ticket, arrived.model, since=1007.0, position=1, wait_s=None)]


def test_view_is_kept_until_the_next_event(play: type[Playbook]) -> None:
    book = play("a")
    before = book.view()
    assert book.view() is before

    book >> Tick()

    assert book.view() is not before


def test_view_does_not_change_behind_its_readers_back(play: type[Playbook]) -> None:
    book = play("a")
    before = book.view()

    book >> Arrived(1, "a") << Start("a", 1)

    assert before.models["a"] == ModelView(Phase.STOPPED)  # type: ignore[index]  # a plain name
    assert before.waiting == 0


def test_every_change_of_phase_is_announced_with_its_reason(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5), "b": Terms()}, announce=True)
    book >> Arrived(1, "a") << Start("a", 1) << Announce("a", Phase.STARTING, "nothing else runs")
    book >> Ready("a", 1) << Announce("a", Phase.READY, "ready") << Grant(1, "a", 1)
    book >> Left(1)
    reason = "makes room for b: group (default) runs one model at a time"
    book >> Arrived(2, "b") << Announce("a", Phase.STOPPING, reason) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1, "exited with code 0") << Announce("a", Phase.STOPPED, "exited with code 0")
    book << Start("b", 2) << Announce("b", Phase.STARTING, "nothing else runs")
    book >> Ending("b", 2, "exited with code 1") << Refuse(2, Refusal.START_FAILED, "exited with code 1")
    book << Announce("b", Phase.STOPPING, "exited with code 1")
    book >> Exited("b", 2, "exited with code 1") << Announce("b", Phase.STOPPED, "exited with code 1")


def test_swap_is_announced_with_whom_it_serves_and_who_went(play: type[Playbook]) -> None:
    book = play("abc", group("pair", "ab", swap=False), group("alone", "c"), announce=True)
    for ticket, model in enumerate("ab", 1):
        book >> Arrived(ticket, model) << Start(model, ticket)
        book << Announce(model, Phase.STARTING, ANY, None, None, victims=())
        book >> Left(ticket)
        book >> Ready(model, ticket) << Announce(model, Phase.READY, "ready", room_for=None)
    book >> Arrived(3, "c")
    for generation, model in enumerate("ab", 1):
        book << Announce(model, Phase.STOPPING, ANY, StopCause.EVICTED, room_for=ModelId("c"), victims=())
        book << Stop(model, generation, StopCause.EVICTED)
    book >> Exited("b", 2, "stopped") << Announce("b", Phase.STOPPED, "stopped")
    book >> Exited("a", 1, "stopped") << Announce("a", Phase.STOPPED, "stopped")
    book << Start("c", 3) << Announce("c", Phase.STARTING, "nothing else runs", victims=(ModelId("a"), ModelId("b")))


def test_model_that_was_going_anyway_is_no_victim_of_the_swap(play: type[Playbook]) -> None:
    book = play("abc", group("pair", "ab", swap=False), group("alone", "c"), announce=True)
    for ticket, model in enumerate("ab", 1):
        book >> Arrived(ticket, model) << Start(model, ticket) << Announce(model, Phase.STARTING, ANY)
        book >> Left(ticket)
        book >> Ready(model, ticket) << Announce(model, Phase.READY, "ready")
    book >> Unload("a") << Announce("a", Phase.STOPPING, "unloaded on request", StopCause.UNLOADED, room_for=None)
    book << Stop("a", 1, StopCause.UNLOADED)
    book >> Arrived(3, "c") << Announce("b", Phase.STOPPING, ANY, StopCause.EVICTED, room_for=ModelId("c"))
    book << Stop("b", 2, StopCause.EVICTED)
    book >> Exited("a", 1, "stopped") << Announce("a", Phase.STOPPED, "stopped")
    book >> Exited("b", 2, "stopped") << Announce("b", Phase.STOPPED, "stopped")
    book << Start("c", 3) << Announce("c", Phase.STARTING, "nothing else runs", victims=(ModelId("b"),))


def test_swap_that_was_given_up_is_not_announced_with_a_later_load(play: type[Playbook]) -> None:
    book = play("ab", announce=True)
    book >> Arrived(1, "a") << Start("a", 1) << Announce("a", Phase.STARTING, "nothing else runs")
    book >> Left(1)
    book >> Ready("a", 1) << Announce("a", Phase.READY, "ready")
    book >> Arrived(2, "b") << Announce("a", Phase.STOPPING, ANY) << Stop("a", 1, StopCause.EVICTED)
    book >> Left(2)
    book >> Exited("a", 1, "stopped") << Announce("a", Phase.STOPPED, "stopped")
    book >> Arrived(3, "b") << Start("b", 2) << Announce("b", Phase.STARTING, "nothing else runs", victims=())


def test_idle_model_is_announced_to_stop_for_its_ttl(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5)}, announce=True)
    book >> Arrived(1, "a") << Start("a", 1) << Announce("a", Phase.STARTING, "nothing else runs")
    book >> Left(1)
    book >> Ready("a", 1) << Announce("a", Phase.READY, "ready")
    book.wait(5) << Announce("a", Phase.STOPPING, "idle for its ttl of 5 s") << Stop("a", 1, StopCause.IDLE)


def test_repr_shows_instances_and_queue(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Reconfigured({"a": Terms(launch="new"), "b": Terms()})
    book >> Arrived(2, "b")

    assert repr(book.scheduler) == "<Scheduler [<a#1 ready, 1 leases, retiring>], waiting {'b': [2]}>"
