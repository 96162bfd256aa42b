"""A world that lives with the scheduler: it does honestly what it is told, and checks everything it is told.

`World` keeps a shadow of instances, queue and leases, made of events and commands alone: it never looks into the scheduler.
What a rule demands is said here a second time, from design.md 2.7, in the plainest way and at any cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

import pytest

from app.scheduler.commands import Announce, Command, Grant, Refusal, Refuse, Start, Stop, StopCause
from app.scheduler.core import Scheduler
from app.scheduler.events import (
    Arrived,
    Ending,
    Event,
    Exited,
    Fairness,
    Left,
    Ready,
    Reconfigured,
    ShutDown,
    Terms,
    Tick,
    Ticket,
    Unload,
)
from app.scheduler.instances import ModelView, Phase
from planners.protocol import ModelId, SwapPlanner

INF = float("inf")


@dataclass(slots=True)
class Run:
    """The shadow of one instance."""

    generation: int
    launch: object
    since: float
    idle_since: float
    phase: Phase = Phase.STARTING


@dataclass(frozen=True, slots=True)
class Failed:
    """The shadow of a start that failed."""

    times: int
    launch: object
    retry_at: float


class World:
    """Everything outside the scheduler."""

    def __init__(self, terms: Mapping[ModelId, Terms], planner: SwapPlanner, fairness: Fairness) -> None:
        # the configuration
        self.terms = terms
        self.planner = planner
        self.fairness = fairness
        self._asked: dict[tuple[ModelId, frozenset[ModelId]], frozenset[ModelId]] = {}

        # as things are
        self.now = 1000.0
        self.scheduler = Scheduler(terms, planner, fairness)
        self.runs: dict[ModelId, Run] = {}
        self.waiting: dict[Ticket, tuple[ModelId, float]] = {}
        self.insisted: dict[Ticket, bool] = {}
        self.leases: dict[Ticket, tuple[ModelId, int]] = {}
        self.shutting_down = False
        self.failures: dict[ModelId, Failed] = {}
        self.failed: ModelId | None = None
        """Whose start the event in hand has failed."""

        # for good
        self._tickets = 0
        self.generations = 0
        self.answered: set[Ticket] = set()
        self.phases: dict[ModelId, Phase] = {}
        """As announced."""
        self.story: list[tuple[float, Event | Command]] = []
        self.broken = False
        """A check has failed."""

    # What the world does

    def arrive(self, model: ModelId, *, insists: bool = False) -> Ticket:
        self._tickets += 1
        ticket = Ticket(self._tickets)
        self.post(Arrived(ticket, model, insists))
        return ticket

    def tick(self, seconds: float) -> None:
        """Moves the clock, on the way ticking when it is due."""
        until = self.now + seconds
        while (deadline := self.scheduler.deadline) <= until:
            self.now = deadline
            self.post(Tick())
        self.now = until
        self._check_state()  # a deadline that was not told would leave something to be done

    def post(self, event: Event) -> None:
        """Tells the scheduler, does what it says, and checks it."""
        self.story.append((self.now, event))
        self.broken = True
        self._take_in(event)
        for command in self._tell(event):
            self.story.append((self.now, command))
            self._obey(command, event)
        self._check_answers(event)
        self._check_state()
        self.broken = False

    def _tell(self, event: Event) -> list[Command]:
        """Tells the scheduler; of every other ticket as the supervisor does, without an event if that will do."""
        match event:
            case Arrived(ticket, model) if ticket % 2 and self.scheduler.grant_at_once(ticket, model, self.now):
                return [Grant(ticket, model, self.runs[model].generation)]
            case Left(ticket) if ticket % 2 and self.scheduler.end_at_once(ticket, self.now):
                return []
            case _:
                return self.scheduler.handle(event, self.now)

    def tale(self) -> str:
        """Returns what has happened, for the one who has to find out why."""
        lines = [f"{at - 1000:8.2f} {said}" for at, said in self.story if not isinstance(said, Announce)]
        return "\n".join(lines)

    # The shadow

    def _take_in(self, event: Event) -> None:
        self.failed = None
        match event:
            case Arrived(ticket, model, _):
                self.waiting[ticket] = model, self.now
                self.insisted[ticket] = event.insists
            case Left(ticket):
                self.waiting.pop(ticket, None)
                if ticket in self.leases:
                    model, generation = self.leases.pop(ticket)
                    if self._is(model, generation) and not self.busy(model):
                        self.runs[model].idle_since = self.now
            case Ready(model, generation):
                if self._is(model, generation) and self.runs[model].phase is Phase.STARTING:
                    run = self.runs[model]
                    self.failures.pop(model, None)
                    run.phase, run.since, run.idle_since = Phase.READY, self.now, self.now
            case Ending(model, generation, _):
                if self._is(model, generation) and (run := self.runs[model]).phase is not Phase.STOPPING:
                    if run.phase is Phase.STARTING:
                        self._fail(model, run)
                    run.phase, run.since = Phase.STOPPING, self.now
            case Exited(model, generation, _):
                if self._is(model, generation):
                    if self.runs[model].phase is Phase.STARTING:
                        self._fail(model, self.runs[model])
                    del self.runs[model]
            case Reconfigured(terms, planner, fairness):
                for model in list(self.failures):
                    if model not in terms or terms[model].launch != self.failures[model].launch:
                        del self.failures[model]
                self.terms, self.planner, self.fairness = terms, planner, fairness
                self._asked = {}
            case ShutDown():
                self.shutting_down = True
            case Unload(models):
                for model in list(self.failures if models is None else models):
                    self.failures.pop(model, None)
            case Tick():
                pass
            case _:
                assert_never(event)

    def _fail(self, model: ModelId, run: Run) -> None:
        self.failed = model
        times = self.failures[model].times + 1 if model in self.failures else 1
        self.failures[model] = Failed(times, run.launch, self.now + min(1.0 * 2 ** (times - 1), 60.0))

    def _is(self, model: ModelId, generation: int) -> bool:
        return model in self.runs and self.runs[model].generation == generation

    def busy(self, model: ModelId) -> bool:
        """Whether the instance of *model* holds a lease."""
        lease = model, self.runs[model].generation
        return lease in self.leases.values()

    def is_current(self, model: ModelId) -> bool:
        return model in self.terms and model in self.runs and self.runs[model].launch == self.terms[model].launch

    def is_live(self, model: ModelId) -> bool:
        """Whether *model* serves, or will without anybody having to go."""
        return self.is_current(model) and self.runs[model].phase in {Phase.STARTING, Phase.READY}

    def victims(self, model: ModelId, *, beside: frozenset[ModelId] = frozenset()) -> frozenset[ModelId]:
        """Returns who has to go for *model* as things are, or would be with those *beside*."""
        live = (frozenset(self.runs) | beside) - {model}
        if (model, live) not in self._asked:
            self._asked[model, live] = self.planner.evictions(model, live).evict
        return self._asked[model, live]

    def order(self) -> list[ModelId]:
        """Returns the models waited for: those out of patience by age, then the others by priority, then by age."""
        heads: dict[ModelId, tuple[Ticket, float]] = {}
        for ticket, (model, since) in self.waiting.items():
            heads.setdefault(model, (ticket, since))
        impatient = [model for model, (_, since) in heads.items() if self.now >= since + self.fairness.patience_s]
        others = [model for model in heads if model not in impatient]
        return impatient + sorted(others, key=lambda model: -self.terms[model].priority)

    def holders(self, ticket: Ticket, model: ModelId, since: float) -> Iterator[Ticket]:
        """Yields the older tickets that were out of patience when *ticket* came, and need its model gone."""
        for older, (rival, its) in self.waiting.items():
            if older < ticket and rival != model and since >= its + self.fairness.patience_s:  # noqa: SIM102 - cheap before dear
                if not self.is_live(rival) and model in self.victims(rival):
                    yield older

    # What it is told

    def _obey(self, command: Command, event: Event) -> None:
        match command:
            case Grant(ticket, model, generation, swap_s):
                its, since = self.waiting[ticket]
                assert 0 <= swap_s <= self.now - since
                assert its == model
                assert self._is(model, generation), "granted to an instance that is not there"
                assert self.runs[model].phase is Phase.READY
                assert self.is_current(model), "granted to an obsolete instance"
                older = [other for other, (wanted, _) in self.waiting.items() if wanted == model and other < ticket]
                assert not older, "overtakes another ticket for the same model"
                assert not list(self.holders(ticket, model, since)), "overtakes one that had waited for too long"
                self._answer(ticket)
                self.leases[ticket] = model, generation
            case Refuse(ticket, refusal, detail, retry_after_s):
                its, _ = self.waiting[ticket]
                self._check_refusal(its, refusal, detail, retry_after_s, event)
                self._answer(ticket)
            case Start(model, generation):
                self._check_start(model, generation)
                self.generations = generation
                self.runs[model] = Run(generation, self.terms[model].launch, self.now, self.now)
            case Stop(model, generation, cause):
                assert self._is(model, generation)
                run = self.runs[model]
                assert run.phase is not Phase.STOPPING, "stopped twice"
                self._check_stop(model, run, cause, event)
                run.phase, run.since = Phase.STOPPING, self.now
            case Announce(model, phase, reason):
                assert reason
                assert phase is not self.phases.get(model, Phase.STOPPED), "announced twice"
                self.phases[model] = phase
            case _:
                assert_never(command)

    def _answer(self, ticket: Ticket) -> None:
        del self.waiting[ticket]
        assert ticket not in self.answered
        self.answered.add(ticket)

    def _check_refusal(self, model: ModelId, refusal: Refusal, detail: str, retry_after_s: float, event: Event) -> None:
        match refusal:
            case Refusal.UNKNOWN:
                assert isinstance(event, Arrived)
                assert model not in self.terms
            case Refusal.REMOVED:
                assert isinstance(event, Reconfigured)
                assert model not in self.terms
            case Refusal.UNLOADED:
                assert isinstance(event, Unload)
                assert event.models is None or model in event.models
            case Refusal.START_FAILED:
                assert isinstance(event, Ending | Exited)
                assert model == event.model
                assert detail == event.reason
                assert retry_after_s == pytest.approx(self.failures[model].retry_at - self.now)
            case Refusal.BACKING_OFF:
                assert isinstance(event, Arrived)
                assert not event.insists
                assert not self.is_live(model)
                assert 0 < retry_after_s == pytest.approx(self.failures[model].retry_at - self.now)
            case Refusal.QUEUE_FULL:
                assert isinstance(event, Arrived)
                assert len(self.waiting) > self.fairness.max_queued
                assert retry_after_s >= 0
            case Refusal.SHUTTING_DOWN:
                assert self.shutting_down
            case _:
                assert_never(refusal)

    def _check_start(self, model: ModelId, generation: int) -> None:
        assert not self.shutting_down
        assert generation > self.generations
        assert model not in self.runs, "started beside itself"
        assert not self.victims(model), "started though others have to go first"
        order = self.order()
        assert model in order, "started for nobody"
        if model in self.failures and self.now < self.failures[model].retry_at:
            assert any(self.insisted[ticket] for ticket, (its, _) in self.waiting.items() if its == model)
        for earlier in order[: order.index(model)]:
            if not self.is_live(earlier):
                spared = model not in self.victims(earlier, beside=frozenset({model}))
                assert spared, f"started though {earlier}, which comes first, would evict it"

    def _check_stop(self, model: ModelId, run: Run, cause: StopCause, event: Event) -> None:
        assert cause in {StopCause.UNLOADED, StopCause.SHUTDOWN} or not self.busy(model), "stopped in use"
        match cause:
            case StopCause.EVICTED:
                assert run.phase is Phase.READY, "evicted while loading"
                assert self.now >= run.since + self.fairness.min_residency_s, "evicted too early"
                assert any(self._may_evict(other, model) for other in self.order()), "evicted for nobody"
            case StopCause.IDLE:
                assert run.phase is Phase.READY
                assert model not in self.order()
                assert 0 < self.terms[model].ttl_s <= self.now - run.idle_since + 1e-9
            case StopCause.UNLOADED:
                assert isinstance(event, Unload)
                assert event.models is None or model in event.models
            case StopCause.RECONFIGURED:
                assert not self.is_current(model), "stopped by a reload that did not change it"
            case StopCause.SHUTDOWN:
                assert self.shutting_down
            case _:
                assert_never(cause)

    def _may_evict(self, target: ModelId, victim: ModelId) -> bool:
        """Whether *victim* may be stopped for *target*: all who have to go can, and no earlier ticket wants one of them."""
        if self.is_live(target) or victim not in self.victims(target):
            return False
        order = self.order()
        earlier = order[: order.index(target)]
        return not self._is_draining(target) and all(
            self.runs[other].phase is Phase.STOPPING
            or (
                self.runs[other].phase is Phase.READY
                and not self.busy(other)
                and other not in earlier
                and self.now >= self.runs[other].since + self.fairness.min_residency_s
            )
            for other in self.victims(target)
        )

    def _is_draining(self, model: ModelId) -> bool:
        return model in self.runs and self.runs[model].phase is Phase.READY and not self.is_current(model)

    # What must hold

    def _check_answers(self, event: Event) -> None:
        """Checks that the event has refused whom it had to."""
        wanted = {model for model, _ in self.waiting.values()}
        assert wanted <= self.terms.keys()
        assert not (self.shutting_down and wanted)
        assert self.failed not in wanted
        match event:
            case Unload(models):
                gone = wanted | self.runs.keys() if models is None else models
                assert not wanted & gone
                assert all(run.phase is Phase.STOPPING for model, run in self.runs.items() if model in gone)
            case _:
                pass

    def _check_state(self) -> None:
        assert self.scheduler.deadline > self.now, "the deadline is past"

        order = self.order()
        for ticket, (model, since) in self.waiting.items():
            if self.is_current(model) and self.runs[model].phase is Phase.READY:
                assert any(self.holders(ticket, model, since)), f"nothing keeps ticket {ticket} from its ready model"
        if order and not self.is_live(order[0]):
            first = order[0]
            assert first in self.runs or self.victims(first), f"nothing keeps {first}, which is first, from starting"
            for victim in self.victims(first):
                held = self.runs[victim].phase is not Phase.STOPPING and self._may_evict(first, victim)
                assert not held, f"nothing keeps {victim} from making room for {first}, which is first"
        for model, run in self.runs.items():
            idle = run.phase is Phase.READY and not self.busy(model)
            ttl_s = self.terms[model].ttl_s if model in self.terms else 0.0
            assert not (idle and 0 < ttl_s <= self.now - run.idle_since - 1e-9 and model not in order), (
                "outlives its ttl"
            )
            obsolete = run.phase is not Phase.STOPPING and not self.busy(model) and not self.is_current(model)
            assert self.shutting_down or not obsolete, "nothing keeps an obsolete instance"
            assert not self.shutting_down or run.phase is Phase.STOPPING
        self._check_view(order)

        assert self.scheduler.handle(Tick(), self.now) == [], "there was more to be done"

    def _check_view(self, order: list[ModelId]) -> None:
        view = self.scheduler.view()
        assert view.shutting_down == self.shutting_down
        assert view.waiting == len(self.waiting)
        places = [
            (ticket, model, since)
            for wanted in order
            for ticket, (model, since) in self.waiting.items()
            if model == wanted
        ]
        queue = self.scheduler.queue(self.now)
        assert places == [(queued.ticket, queued.model, queued.since) for queued in queue]
        for position, queued in enumerate(queue, 1):
            assert queued.position == position
            assert queued.wait_s is None or queued.wait_s >= 0
            assert queued.overdue == (self.now >= queued.since + self.fairness.patience_s)
            if not self.is_live(queued.model):
                assert {each.model for each in queued.held_by} == self.victims(queued.model)
        if queue:
            assert self.scheduler.place(queue[-1].ticket, self.now) == queue[-1]
        assert view.models.keys() == self.terms.keys() | self.runs.keys()
        for model, shown in view.models.items():
            waiting = sum(wanted == model for wanted, _ in self.waiting.values())
            assert shown.phase is self.phases.get(model, Phase.STOPPED)
            if model in self.runs:
                run = self.runs[model]
                leases = list(self.leases.values()).count((model, run.generation))
                expected = ModelView(run.phase, run.generation, leases, waiting, run.since, run.idle_since)
            else:
                expected = ModelView(Phase.STOPPED, waiting=waiting)
            retry_at = self.failures[model].retry_at if model in self.failures else 0.0
            assert bool(shown.failure) == (model in self.failures)
            assert shown == replace(expected, failure=shown.failure, retry_at=retry_at)

    # How it ends

    def settle(self, chance: random.Random) -> None:
        """Lives fairly, without newcomers, until nobody waits: whatever has begun ends, and leases are given back."""
        steps = (len(self.waiting) + len(self.leases) + len(self.terms) + 2) * (4 * len(self.terms) + 8)
        while self.waiting:
            steps -= 1
            assert steps, f"tickets {list(self.waiting)} wait for ever"
            self.step(chance)

    def step(self, chance: random.Random) -> None:
        """Lets one thing happen that is bound to happen."""
        due: list[Event] = [Left(ticket) for ticket in self.leases]
        for model, run in self.runs.items():
            if run.phase is Phase.STARTING:
                due.append(Ready(model, run.generation))
            elif run.phase is Phase.STOPPING:
                due.append(Exited(model, run.generation, "stopped"))
        if due:
            self.post(chance.choice(due))
            return
        deadline = self.scheduler.deadline
        assert deadline < INF, f"tickets {list(self.waiting)} wait for nothing"
        self.now = deadline
        self.post(Tick())

    def besiege(self, chance: random.Random) -> None:
        """Lives fairly, while newcomers keep every ready model in use, and others come for any model.

        Those who wait now are served all the same.
        """
        old = set(self.waiting)
        pace = max(self.fairness.patience_s, self.fairness.min_residency_s, 1.0) / 4
        leaving: list[Ticket] = []
        turn = 12 if self.fairness.min_residency_s else 6
        for _ in range(2 * turn * (len(self.terms) + 2) + turn * len(old)):
            if not old & self.waiting.keys():
                return
            for model in list(self.terms):
                if chance.random() < 0.2 or (model in self.runs and self.runs[model].phase is Phase.READY):
                    self.arrive(model)
            for ticket in leaving:  # after the newcomers: what has not to end is never idle
                self.post(Left(ticket))
            leaving = list(self.leases)
            for model, run in list(self.runs.items()):
                if run.phase is Phase.STARTING:
                    self.post(Ready(model, run.generation))
                elif run.phase is Phase.STOPPING:
                    self.post(Exited(model, run.generation, "stopped"))
            self.tick(pace)
        raise AssertionError(f"newcomers starve tickets {sorted(old & self.waiting.keys())}")

    def shut_down(self) -> None:
        """Ends everything."""
        self.post(ShutDown())
        for model, run in list(self.runs.items()):
            self.post(Exited(model, run.generation, "stopped"))
        for ticket in list(self.leases):
            self.post(Left(ticket))
        assert not self.runs
        assert not self.waiting
        assert self.scheduler.deadline == INF
