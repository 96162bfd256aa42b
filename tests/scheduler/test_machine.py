"""Random programs of events: whatever happens, in whatever order, the promises of design.md 2.7 hold.

The rules below live as the real world does: only what was started becomes ready, only what is there ends. Every step is checked by
`World`. At the end of each program newcomers besiege it (if anybody's patience is finite), then it is left in peace until nobody
waits, then it is shut down.

`HYPOTHESIS_PROFILE=fast` runs 100 programs instead of 2 000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, note, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.scheduler.events import Ending, Event, Exited, Fairness, Left, Ready, Reconfigured, ShutDown, Terms, Unload
from app.scheduler.instances import Phase
from planners.groups import Group, GroupPlanner
from planners.protocol import ModelId, SwapPlanner
from tests.scheduler.pairs import Pairs
from tests.scheduler.world import World

INF = float("inf")
GHOST = ModelId("ghost")

common = settings(
    deadline=None,
    print_blob=True,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("ci", common, max_examples=2000)
settings.register_profile("fast", common, max_examples=100)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
pytestmark = [pytest.mark.slow] if PROFILE == "ci" else []

model_ids = st.integers(4, 6).map(lambda count: tuple(ModelId(letter) for letter in "abcdef"[:count]))
numbers = st.integers(0, 2**32 - 1)
"""Choices among what is there, taken by remainder: one cheap draw for a whole configuration or victim."""


def configuration(models: Sequence[ModelId], number: int) -> Reconfigured:
    """Returns one of all the configurations of some of these models: 0 is the simplest."""
    chance = random.Random(number)
    if not number:
        return Reconfigured(dict.fromkeys(models, Terms()), GroupPlanner([], models), Fairness())
    terms = {
        model: Terms(
            launch=int(chance.random() < 0.3),
            ttl_s=chance.choice([0.0, 0.0, 5.0, 90.0]),
            priority=chance.choice([0, 0, 0, 1, 7]),
        )
        for model in models
        if chance.random() < 0.95
    }
    members: list[list[ModelId]] = [[] for _ in range(chance.randint(1, 4))]
    for model in terms:
        chance.choice(members).append(model)
    groups = [
        Group(str(index), tuple(each), chance.random() < 0.7, chance.random() < 0.3, chance.random() < 0.2)
        for index, each in enumerate(members[1:])  # those in the first are in no group
    ]
    planner: SwapPlanner = GroupPlanner(groups, terms)
    if chance.random() < 0.3:
        planner = Pairs(one + other for one in models for other in models if chance.random() < 0.4)
    fairness = Fairness(
        patience_s=chance.choice([0.0, 0.0, 3.0, 60.0, INF]),
        min_residency_s=chance.choice([0.0, 0.0, 0.0, 4.0, 30.0]),
        max_queued=chance.choice([INF, INF, 2, 5]),
    )
    return Reconfigured(terms, planner, fairness)


class SchedulerMachine(RuleBasedStateMachine):
    """One program."""

    @initialize(models=model_ids, number=numbers, mortal=st.booleans(), warm=st.booleans())
    def begin(self, models: Sequence[ModelId], number: int, mortal: bool, warm: bool) -> None:
        first = configuration(models, number)
        self.models = models
        self.number = number
        self.mortal = mortal
        self.world = World(first.terms, first.planner, first.fairness)
        self.old: list[tuple[ModelId, int]] = []
        """Instances that have ended."""
        if warm:  # as many side by side as will be, all idle
            for model in models:
                self.world.arrive(model)
                self.world.settle(random.Random(number))
                self.finish_all()

    def post(self, event: Event) -> None:
        if isinstance(event, Exited):
            self.old.append((event.model, event.generation))
        self.world.post(event)

    @rule(number=st.integers(0, 20))
    def arrive(self, number: int) -> None:
        self.world.arrive(self.models[number % len(self.models)] if number < 20 else GHOST)

    @rule(number=st.integers(0, 5))
    def insist(self, number: int) -> None:
        self.world.arrive(self.models[number % len(self.models)], insists=True)

    @rule(numbers=st.lists(st.integers(0, 5), min_size=2, max_size=6))
    def arrive_together(self, numbers: list[int]) -> None:
        for number in numbers:
            self.world.arrive(self.models[number % len(self.models)])

    @precondition(lambda self: self.world.waiting)
    @rule(number=numbers)
    def give_up(self, number: int) -> None:
        tickets = list(self.world.waiting)
        self.post(Left(tickets[number % len(tickets)]))

    @precondition(lambda self: self.world.leases)
    @rule(number=numbers)
    def finish(self, number: int) -> None:
        tickets = list(self.world.leases)
        self.post(Left(tickets[number % len(tickets)]))

    @precondition(lambda self: self.world.leases)
    @rule()
    def finish_all(self) -> None:
        for ticket in list(self.world.leases):
            self.post(Left(ticket))

    @precondition(lambda self: any(run.phase is Phase.STARTING for run in self.world.runs.values()))
    @rule(number=numbers)
    def become_ready(self, number: int) -> None:
        starting = [model for model, run in self.world.runs.items() if run.phase is Phase.STARTING]
        model = starting[number % len(starting)]
        self.post(Ready(model, self.world.runs[model].generation))

    @precondition(lambda self: any(run.phase is Phase.STARTING for run in self.world.runs.values()))
    @rule()
    def become_ready_all(self) -> None:
        for model, run in list(self.world.runs.items()):
            if run.phase is Phase.STARTING:
                self.post(Ready(model, run.generation))

    @precondition(lambda self: any(run.phase is Phase.STOPPING for run in self.world.runs.values()))
    @rule(number=numbers, late=st.booleans())
    def end(self, number: int, late: bool) -> None:
        """An instance that is stopping is gone; perhaps it became ready just before."""
        stopping = [model for model, run in self.world.runs.items() if run.phase is Phase.STOPPING]
        model = stopping[number % len(stopping)]
        generation = self.world.runs[model].generation
        if late:
            self.post(Ready(model, generation))
        self.post(Exited(model, generation, "exited with code 0"))

    @precondition(lambda self: self.world.runs)
    @rule(number=numbers, at_once=st.booleans())
    def crash(self, number: int, at_once: bool) -> None:
        models = list(self.world.runs)
        model = models[number % len(models)]
        generation = self.world.runs[model].generation
        self.post((Exited if at_once else Ending)(model, generation, "exited with code 1"))

    @precondition(lambda self: self.old)
    @rule(number=numbers, kind=st.integers(0, 2))
    def tell_old_news(self, number: int, kind: int) -> None:
        model, generation = self.old[number % len(self.old)]
        before = dict(self.world.runs)
        if kind:
            self.world.post((Exited if kind == 1 else Ending)(model, generation, "old news"))
        else:
            self.world.post(Ready(model, generation))
        assert self.world.runs == before

    @rule(number=st.integers(0, 6))
    def unload(self, number: int) -> None:
        if number == 6:
            self.post(Unload(None))
        else:
            self.post(Unload(frozenset({self.models[number % len(self.models)], self.models[0]})))

    @rule(number=numbers)
    def reconfigure(self, number: int) -> None:
        self.number = number
        self.post(configuration(self.models, number))

    @rule()
    def reconfigure_alike(self) -> None:
        before = {model: run.phase for model, run in self.world.runs.items()}
        self.post(configuration(self.models, self.number))
        assert {model: run.phase for model, run in self.world.runs.items()} == before

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule()
    def wait_for_the_deadline(self) -> None:
        deadline = self.world.scheduler.deadline
        if deadline < INF:
            self.world.tick(deadline - self.world.now)

    @precondition(lambda self: self.mortal and self.world.generations > 2)
    @rule()
    def shut_down(self) -> None:
        self.post(ShutDown())

    def teardown(self) -> None:
        world = self.__dict__.get("world")
        if world is None:
            return
        if world.broken:
            note(world.tale())
            return
        try:
            if not world.shutting_down:
                chance = random.Random(self.number)
                if world.fairness.patience_s < INF:
                    world.besiege(chance)
                world.settle(chance)
            world.shut_down()
        except Exception:
            note(world.tale())
            raise


@pytest.mark.timeout(600)
def test_promises_hold_for_any_program() -> None:
    run_state_machine_as_test(SchedulerMachine, settings=settings.get_profile(PROFILE))
