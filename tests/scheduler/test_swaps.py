"""What starts beside what, what must go first, and what is spared."""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Terms
from tests.playbook import (
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
from tests.scheduler.pairs import Pairs

EVICTED = StopCause.EVICTED


def test_idle_model_is_stopped_at_once_for_another(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)


def test_swap_waits_for_the_last_lease(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Ready("a", 1) << Grant(1, "a", 1) << Grant(2, "a", 1)
    book >> Arrived(3, "b")
    book >> Left(1)
    book >> Left(2) << Stop("a", 1, EVICTED)


def test_swap_starts_only_when_the_other_is_gone(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book.wait(100)
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)


def test_swap_waits_for_a_load_under_way(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Left(1)
    book >> Arrived(2, "b")
    book >> Ready("a", 1) << Stop("a", 1, EVICTED)


def test_request_for_a_model_that_is_stopping_starts_it_anew(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Left(2)
    book >> Arrived(3, "a")
    book >> Exited("a", 1) << Start("a", 2)


def test_victims_stop_only_when_all_of_them_can_go(play: type[Playbook]) -> None:
    """Until then, those that are idle stay of use."""
    book = play("abc", group("many", "ab", swap=False), group("one", "c"))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(1)
    book >> Arrived(3, "c")
    book >> Arrived(4, "a") << Grant(4, "a", 1)
    book >> Left(4)
    book >> Left(2) << Stop("a", 1, EVICTED) << Stop("b", 2, EVICTED)
    book >> Exited("b", 2)
    book >> Exited("a", 1) << Start("c", 3)


def test_victims_stay_while_the_model_itself_drains(play: type[Playbook]) -> None:
    """A reload has made a's instance obsolete; until its last lease ends nobody gains anything by stopping b."""
    groups = group("one", "a"), group("small", "b", exclusive=False)
    book = play("ab", *groups)
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2)
    book >> Reconfigured({"a": Terms(launch="new"), "b": Terms()}, *groups)
    book >> Arrived(3, "a")
    book >> Arrived(4, "b") << Grant(4, "b", 2)
    book >> Left(4)
    book >> Left(1) << Stop("a", 1, StopCause.RECONFIGURED) << Stop("b", 2, EVICTED)


def test_victims_stop_while_the_model_itself_still_stops(play: type[Playbook]) -> None:
    """Both have to be gone before a can start; waiting for one after the other would only take longer."""
    book = play("ab", group("one", "a"), group("small", "b", exclusive=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2)
    book >> Unload("a") << Refuse(1, Refusal.UNLOADED) << Stop("a", 1, StopCause.UNLOADED)
    book >> Arrived(3, "a") << Stop("b", 2, EVICTED)
    book >> Exited("b", 2)
    book >> Exited("a", 1) << Start("a", 3)


def test_eviction_never_touches_a_model_that_an_earlier_ticket_wants(play: type[Playbook]) -> None:
    """a is idle, but ticket 4 waits for it behind ticket 3; so ticket 5, which came after both, may not have it stopped."""
    book = play(
        "abcd",
        group("swapping", "ab", exclusive=False),
        group("small", "c", exclusive=False),
        group("big", "d"),
        patience_s=0,
    )
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "c") << Start("c", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("c", 2) << Grant(2, "c", 2)
    book >> Left(1)
    book >> Arrived(3, "d")
    book >> Arrived(4, "a")
    book >> Arrived(5, "b")
    book >> Left(3) << Grant(4, "a", 1)
    book >> Left(4) << Stop("a", 1, EVICTED)
    book >> Exited("a", 1) << Start("b", 3)


def test_nothing_starts_that_an_earlier_blocked_ticket_would_evict(play: type[Playbook]) -> None:
    """c could run beside a, but b, which waits for a's lease and came first, would have to stop it again."""
    book = play("abc", group("g", "ab"), group("small", "c", exclusive=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Left(1) << Stop("a", 1, EVICTED)
    book >> Exited("a", 1) << Start("b", 2) << Start("c", 3)


def test_nothing_starts_that_a_ticket_would_evict_which_is_itself_held_back(play: type[Playbook]) -> None:
    """b waits for a; c has room, but b would evict it; d has room and b no quarrel with it, but c, which came first, has."""
    book = play("abcd", planner=Pairs(["ba", "ab", "bc", "cb", "cd", "dc"]))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b")
    book >> Arrived(3, "c")
    book >> Arrived(4, "d")
    book >> Left(2) << Start("c", 2)


def test_models_of_a_group_that_does_not_swap_run_side_by_side(play: type[Playbook]) -> None:
    book = play("ab", group("many", "ab", swap=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)


def test_disjoint_swaps_run_side_by_side(play: type[Playbook]) -> None:
    book = play("abcd", group("g", "ab", exclusive=False), group("h", "cd", exclusive=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "c") << Start("c", 2)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ready("c", 2) << Grant(2, "c", 2)
    book >> Left(1)
    book >> Left(2)
    book >> Arrived(3, "b") << Stop("a", 1, EVICTED)
    book >> Arrived(4, "d") << Stop("c", 2, EVICTED)
    book >> Exited("c", 2) << Start("d", 3)
    book >> Exited("a", 1) << Start("b", 4)


def test_persistent_model_stays_beside_an_exclusive_one(play: type[Playbook]) -> None:
    book = play("ab", group("always", "a", persistent=True), group("g", "b"))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_ready_exclusive_model_serves_without_evicting(play: type[Playbook]) -> None:
    """A difference from llama-swap (its weak point F6): nothing has to change for a, so nobody is stopped for it."""
    book = play("ab", group("one", "a"), group("small", "b", exclusive=False))
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Arrived(2, "b") << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Arrived(3, "a") << Grant(3, "a", 1)


def test_model_that_still_stops_delays_those_it_excludes(play: type[Playbook]) -> None:
    book = play("abc")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Arrived(3, "c")
    book >> Left(2)
    book >> Exited("a", 1) << Start("c", 2)


def test_crash_while_starting_refuses_all_waiters_and_lets_the_next_model_start(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Arrived(2, "a")
    book >> Arrived(3, "b")
    book >> Exited("a", 1, "exited with code 3")
    (
        book
        << Refuse(1, Refusal.START_FAILED, "exited with code 3")
        << Refuse(2, Refusal.START_FAILED, "exited with code 3")
    )
    book << Start("b", 2)


def test_failed_start_is_remembered_until_it_is_tried_again(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Exited("a", 1, "exited with code 3") << Refuse(1, Refusal.START_FAILED, "exited with code 3")
    assert book.model("a").failure == "exited with code 3"

    book.wait(1)
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)
    book >> Exited("a", 2, "ended by SIGKILL")

    assert book.model("a").failure == ""


def test_crash_while_ready_starts_nothing_by_itself(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Exited("a", 1, "ended by SIGSEGV")
    book >> Left(1)


def test_request_after_a_crash_starts_a_new_generation(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Exited("a", 1, "ended by SIGSEGV")
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_lease_on_a_crashed_instance_is_no_lease_on_the_next(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Exited("a", 1, "ended by SIGSEGV")
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)
    book >> Left(1)
    assert book.model("a").leases == 1
    book >> Arrived(3, "b")
    book >> Left(2) << Stop("a", 2, EVICTED)


def test_late_readiness_of_an_old_generation_is_ignored(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Exited("a", 1) << Refuse(1, Refusal.START_FAILED, "exited with code 0")
    book.wait(1)
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Ready("a", 1)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_late_end_of_an_old_generation_is_ignored(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Exited("a", 1) << Refuse(1, Refusal.START_FAILED, "exited with code 0")
    book.wait(1)
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Exited("a", 1)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_news_of_a_model_that_never_ran_is_ignored(play: type[Playbook]) -> None:
    book = play("a")
    book >> Ready("a", 1)
    book >> Exited("a", 1)


def test_readiness_that_crosses_a_stop_is_ignored(play: type[Playbook]) -> None:
    book = play({"a": Terms()})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Reconfigured({"a": Terms(launch="new")}) << Stop("a", 1, StopCause.RECONFIGURED)
    book >> Ready("a", 1)
    book >> Exited("a", 1) << Start("a", 2)


def test_model_that_fails_while_starting_is_not_started_anew_before_the_old_one_is_gone(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ending("a", 1, "not ready in 120 s") << Refuse(1, Refusal.START_FAILED, "not ready in 120 s")
    book.wait(1)
    book >> Arrived(2, "a")
    book >> Exited("a", 1, "not ready in 120 s") << Start("a", 2)


def test_failure_is_told_while_what_is_left_is_cleared_away_only_once(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ending("a", 1, "not ready in 120 s") << Refuse(1, Refusal.START_FAILED, "not ready in 120 s")
    book >> Exited("a", 1, "ended by SIGKILL")

    assert book.model("a").failure == "not ready in 120 s"


def test_model_that_fails_while_ready_serves_no_more_and_keeps_its_room(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Ending("a", 1, "ended by SIGSEGV")
    book >> Arrived(2, "b")
    book >> Left(1)
    book >> Exited("a", 1, "ended by SIGSEGV") << Start("b", 2)


def test_failure_of_an_instance_that_is_stopping_anyway_changes_nothing(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Arrived(3, "a")
    book >> Ending("a", 1, "ended by SIGTERM")
    book >> Exited("a", 1) << Start("b", 2)


def test_late_failure_of_an_old_generation_is_ignored(play: type[Playbook]) -> None:
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Exited("a", 1) << Refuse(1, Refusal.START_FAILED, "exited with code 0")
    book.wait(1)
    book >> Arrived(2, "a") << Start("a", 2)
    book >> Ending("a", 1, "ended by SIGSEGV")
    book >> Ready("a", 2) << Grant(2, "a", 2)
