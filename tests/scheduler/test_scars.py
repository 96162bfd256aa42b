"""What has gone wrong in others, as conversations with the scheduler.

F3, C2 and the like are rows of the compatibility specification, 11.2 and 11.3.
"""

from __future__ import annotations

from app.scheduler.commands import Refusal, StopCause
from app.scheduler.events import Terms, Tick
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId
from tests.playbook import Arrived, Ending, Exited, Grant, Left, Playbook, Ready, Refuse, Start, Stop, Unload

EVICTED, IDLE, UNLOADED = StopCause.EVICTED, StopCause.IDLE, StopCause.UNLOADED


def test_request_at_the_end_of_the_ttl_is_served_if_it_comes_before_the_tick(play: type[Playbook]) -> None:
    """C2: the check for requests under way and the stop were not atomic."""
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book.end()
    book.now += 30
    book >> Arrived(2, "a") << Grant(2, "a", 1)
    book >> Tick()
    book.wait(100)
    book >> Left(2)
    book.wait(29)
    book.wait(1) << Stop("a", 1, IDLE)


def test_request_at_the_end_of_the_ttl_gets_a_new_process_if_it_comes_after_the_tick(play: type[Playbook]) -> None:
    book = play({"a": Terms(ttl_s=30)})
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book.wait(30) << Stop("a", 1, IDLE)
    book >> Arrived(2, "a")
    book >> Tick()
    book >> Exited("a", 1) << Start("a", 2)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_request_for_a_victim_that_is_being_stopped_waits_for_its_return_behind_the_swap(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Arrived(3, "a")
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2) << Stop("b", 2, EVICTED)
    book >> Exited("b", 2) << Start("a", 3)
    book >> Ready("a", 3) << Grant(3, "a", 3)


def test_first_model_asked_for_again_while_the_second_loads_does_not_break_the_load(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Exited("a", 1) << Start("b", 2)
    book >> Arrived(3, "a")
    book >> Ready("b", 2) << Grant(2, "b", 2)
    book >> Left(2) << Stop("b", 2, EVICTED)
    book >> Exited("b", 2) << Start("a", 3)
    book >> Ready("a", 3) << Grant(3, "a", 3)


def test_late_news_of_a_load_that_was_unloaded_is_not_taken_for_the_next_one(play: type[Playbook]) -> None:
    """F3: results were keyed by model only, and the old load's end failed those who waited for the new one."""
    book = play("a")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Unload("a") << Refuse(1, Refusal.UNLOADED) << Stop("a", 1, UNLOADED)
    book >> Arrived(2, "a")
    book >> Ready("a", 1)
    book >> Ending("a", 1, "aborted")
    book >> Exited("a", 1) << Start("a", 2)
    book >> Ready("a", 1)
    book >> Ending("a", 1, "aborted")
    book >> Exited("a", 1)
    book >> Ready("a", 2) << Grant(2, "a", 2)


def test_unload_of_a_model_whose_victims_still_stop_leaves_no_load_behind(play: type[Playbook]) -> None:
    """F4: the swap went on without its record, and loaded a model that nobody had asked for any more."""
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED)
    book >> Exited("a", 1)


def test_request_after_the_unload_of_a_model_whose_victims_still_stop_starts_it_once(play: type[Playbook]) -> None:
    book = play("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)
    book >> Left(1)
    book >> Arrived(2, "b") << Stop("a", 1, EVICTED)
    book >> Unload("b") << Refuse(2, Refusal.UNLOADED)
    book >> Arrived(3, "b")
    book >> Exited("a", 1) << Start("b", 2)
    book >> Ready("b", 2) << Grant(3, "b", 2)


def test_planner_that_would_change_its_mind_is_held_to_whom_it_chose(play: type[Playbook]) -> None:
    """Else whoever was told to wait for a would wait for b from now on, which has been serving newcomers all the time."""
    models = [ModelId(letter) for letter in "abct"]
    sets = {"all": "a & b & c", "t": "t & (a | (b & c))"}
    planner = MatrixPlanner({}, {"a": 3, "b": 2, "c": 2}, sets, models)
    book = play({"a": Terms(), "b": Terms(), "c": Terms(ttl_s=50), "t": Terms()}, planner=planner, patience_s=0)
    for number, letter in enumerate("bca", 1):
        book >> Arrived(number, letter) << Start(letter, number)
        book >> Ready(letter, number) << Grant(number, letter, number)
    book >> Left(1)
    book >> Left(2)
    book >> Arrived(4, "t")
    book.wait(50) << Stop("c", 2, IDLE)
    book >> Exited("c", 2)
    book >> Arrived(5, "b") << Grant(5, "b", 1)
    book >> Left(3) << Stop("a", 3, EVICTED)
    book >> Exited("a", 3) << Start("t", 4)
    book >> Ready("t", 4) << Grant(4, "t", 4)
