"""Who is served, in which order, and who may overtake whom."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Terms, Tick
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

INF = float("inf")


def test_first_request_starts_the_model_and_is_granted_when_it_is_ready(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_request_for_a_ready_model_is_granted_at_once(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "a") << Grant(2, "a", 1)


def test_requests_that_come_while_loading_are_granted_together_in_order(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Arrived(3, "a")
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(2, "a", 1) << Grant(3, "a", 1)


def test_request_for_a_model_that_is_not_configured_is_refused(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "ghost") << Refuse(1, Refusal.UNKNOWN)


def test_what_comes_while_a_loads_is_collated(play: type[Playbook]) -> None:
    """ABCABC is served AABBCC: three loads instead of six."""
    book = play("abc")
    book >> Arrived(1, "a") << Start("a", 1)
    for ticket, model in zip(range(2, 7), "bcabc", strict=True):
        book >> Arrived(ticket, model)
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(4, "a", 1)
    book >> Left(1)
    book >> Left(4) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2) << Grant(5, "b", 2)
    book >> Left(2)
    book >> Left(5) << Stop("b", 2, StopCause.EVICTED)
    book >> Exited("b", 2) << Start("c", 3)
    book >> Ready("c", 3) << Grant(3, "c", 3) << Grant(6, "c", 3)


def test_loads_longer_than_the_patience_do_not_break_the_collation(play: type[Playbook]) -> None:
    """Patience compares two arrivals; how long a load takes is nobody's turn."""
    book = play("abc", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    for ticket, model in zip(range(2, 7), "bcabc", strict=True):
        book.wait(1)
        book >> Arrived(ticket, model)
    book.wait(40)
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(4, "a", 1)
    book >> Left(1)
    book >> Left(4) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book.wait(40)
    book >> Ready("b", 2) << Grant(2, "b", 2) << Grant(5, "b", 2)
    book >> Left(2)
    book >> Left(5) << Stop("b", 2, StopCause.EVICTED)
    book >> Exited("b", 2) << Start("c", 3)
    book.wait(40)
    book >> Ready("c", 3) << Grant(3, "c", 3) << Grant(6, "c", 3)


def test_newcomer_within_the_patience_overtakes(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book.wait(9.9)
    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_newcomer_beyond_the_patience_waits_behind(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book.wait(10)
    book >> Arrived(3, "a")
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2) << Stop("b", 2, StopCause.EVICTED)
    book >> Exited("b", 2) << Start("a", 3)
    book >> Ready("a", 3) << Grant(3, "a", 3)


def test_newcomer_that_waited_behind_is_granted_when_the_older_one_leaves(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book.wait(10)
    book >> Arrived(3, "a")
    book >> Arrived(4, "a")
    book >> Left(2) << Grant(3, "a", 1) << Grant(4, "a", 1)


def test_patience_of_zero_is_strict_order_of_arrival(play: type[Playbook]) -> None:
    """Of two that came in the same instant, the one that was told first is the older."""
    book = play("ab", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)


def test_patience_of_zero_pays_priorities_no_heed(play: type[Playbook]) -> None:
    book = play({"a": Terms(), "b": Terms(), "c": Terms(priority=9)}, patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)


def test_patience_without_end_lets_a_ready_model_serve_for_ever(play: type[Playbook]) -> None:
    """What llama-swap does."""
    book = play("ab", patience_s=INF)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book.wait(1e6)
    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_newcomer_overtakes_those_who_do_not_need_its_model_gone(play: type[Playbook]) -> None:
    book = play("abc", group("g", "ab"), group("h", "c", exclusive=False, persistent=True), patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "c") << Start("c", 2)
    book >> Ready("c", 2) << Grant(2, "c", 2)
    book >> Arrived(3, "b")
    book >> Arrived(4, "c") << Grant(4, "c", 2)


def test_higher_priority_is_served_first(play: type[Playbook]) -> None:
    book = play({"a": Terms(), "b": Terms(), "c": Terms(priority=1)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("c", 2)


def test_ticket_beyond_the_patience_goes_before_any_priority(play: type[Playbook]) -> None:
    book = play({"a": Terms(), "b": Terms(), "c": Terms(priority=1)}, patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book.wait(10)
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Exited("a", 1) << Start("b", 2)


def test_time_alone_can_turn_the_order(play: type[Playbook]) -> None:
    """b has room, but c, which would evict it, goes before it and waits for a; when b's patience is over, it is first."""
    book = play(
        {"a": Terms(), "b": Terms(), "c": Terms(priority=1)},
        group("g", "ac"),
        group("h", "b", exclusive=False),
        patience_s=10,
    )
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED) << Stop("b", 2, StopCause.UNLOADED)
    book >> Arrived(3, "b")
    book >> Arrived(4, "c")
    book >> Exited("b", 2)
    book.wait(9.9)
    book.wait(0.1) << Start("b", 3)


def test_clients_that_leave_a_queue_are_forgotten(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Left(1)
    book >> Ready("a", 1) << Grant(2, "a", 1)


def test_second_of_two_that_wait_may_leave(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Left(2)
    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_queued_client_that_hangs_up_never_starts_a_model(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Left(2)
    book >> Left(1)


def test_client_that_hangs_up_while_its_swap_stops_another_never_starts_a_model(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Left(1) << Stop("a", 1, StopCause.EVICTED)
    book >> Left(2)
    book >> Exited("a", 1)


def test_load_under_way_finishes_though_nobody_waits_and_counts_as_idle(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Left(1)
    book.wait(20)
    book >> Ready("a", 1)
    assert book.next_deadline() == 5
    book.wait(5) << Stop("a", 1, StopCause.IDLE)


def test_refused_client_that_leaves_changes_nothing(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "ghost") << Refuse(1, Refusal.UNKNOWN)
    book >> Arrived(2, "a") << Start("a", 1)
    book >> Left(1)
    book >> Ready("a", 1) << Grant(2, "a", 1)


def test_longer_patience_after_a_reload_lets_those_pass_who_were_held(play: type[Playbook]) -> None:
    book = play("ab", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")
    book >> Reconfigured("ab", patience_s=60) << Grant(3, "a", 1)


def test_crash_of_a_ready_model_does_not_let_its_newcomers_overtake(play: type[Playbook]) -> None:
    book = play("ab", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")
    book >> Exited("a", 1) << Start("b", 2)


def test_unload_of_the_older_ones_model_lets_those_pass_who_were_held(play: type[Playbook]) -> None:
    book = play("ab", patience_s=0)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "a")
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED) << Grant(3, "a", 1)


def test_nothing_to_wait_for_is_no_deadline(play: type[Playbook]) -> None:
    book = play("ab")
    assert book.next_deadline() is None
    book >> Arrived(1, "a") << Start("a", 1)
    assert book.next_deadline() is None
    book >> Ready("a", 1) << Grant(1, "a", 1)
    assert book.next_deadline() is None


def test_deadline_is_when_the_oldest_ticket_loses_its_patience(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book.wait(4)
    book >> Arrived(2, "b")

    assert book.next_deadline() == 6


def test_deadline_is_never_in_the_past(play: type[Playbook]) -> None:
    book = play("ab", patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")
    book.wait(10)

    assert book.next_deadline() is None


def test_patience_without_end_is_no_deadline(play: type[Playbook]) -> None:
    book = play("ab", patience_s=INF)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b")

    assert book.next_deadline() is None


def test_tick_before_its_time_changes_nothing(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=5), "b": Terms()}, patience_s=10)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Tick()
