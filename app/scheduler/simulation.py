"""The scheduler on a simulated clock: requests in, what became of them out.

The `Scheduler` here is the one that serves, not a model of it. This file plays the rest of the world for it: it posts requests
as they arrive, lets what was told to start become ready after its time, what was told to stop end after its time, and what was
granted leave after its time, and it posts a `Tick` whenever the scheduler has asked for one.

Of what happens at the same time, what was under way ends before anything new begins: instances exit, requests leave, instances
become ready, requests arrive, in this order; of equals, the one that was due to happen first is first. So a simulation of the
same requests is the same, always.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from app.scheduler.commands import Announce, Command, Grant, Refusal, Refuse, Start, Stop, StopCause
from app.scheduler.core import Scheduler
from app.scheduler.events import Arrived, Event, Exited, Fairness, Left, Ready, Terms, Tick, Ticket

if TYPE_CHECKING:
    from planners.protocol import ModelId, SwapPlanner

_NEVER = float("inf")
_RANKS: Mapping[type[Event], int] = {Exited: 0, Left: 1, Ready: 2, Arrived: 3}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace."""

    at_s: float
    """When it arrives, on the clock of the trace."""
    model: ModelId
    service_s: float
    """How long its model works on it."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long it takes to load and to stop a model, in seconds. Asked once for each load and stop."""

    load_s: Callable[[ModelId], float]
    stop_s: Callable[[ModelId], float]


@dataclass(slots=True)
class Outcome:
    """What became of one request."""

    request: Request
    granted_at: float | None = None
    """When its model began with it; None: never."""
    ended_at: float | None = None
    swap_s: float = 0.0
    """How much of its wait was the swap itself."""
    refusal: Refusal | None = None
    """Why it was not served, if so."""

    @property
    def wait_s(self) -> float | None:
        """How long it waited; None: it was not served."""
        return None if self.granted_at is None else self.granted_at - self.request.at_s


class Activity(Enum):
    """What an instance is doing."""

    STARTING = "starting"
    BUSY = "busy"
    IDLE = "idle"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a model did one thing. Between its spans there is no instance of it."""

    activity: Activity
    since: float
    until: float


@dataclass(slots=True)
class Simulation:
    """What came of a trace."""

    outcomes: list[Outcome] = field(default_factory=list)
    """In the order of arrival."""
    spans: dict[ModelId, list[Span]] = field(default_factory=dict)
    """Of every model that was started, in order."""
    loads: int = 0
    """How often a model was loaded."""
    stops: dict[StopCause, int] = field(default_factory=lambda: dict.fromkeys(StopCause, 0))
    """How often a model was stopped, and why."""
    began_at: float = 0.0
    """When the first request arrived."""
    ended_at: float = 0.0
    """When the last one had ended."""

    @property
    def makespan_s(self) -> float:
        """From the first arrival to the end of the last request."""
        return self.ended_at - self.began_at


def simulate(
    requests: Iterable[Request],
    terms: Mapping[ModelId, Terms],
    planner: SwapPlanner,
    fairness: Fairness,
    times: Times,
) -> Simulation:
    """Plays *requests*, given in any order, to a scheduler with which nothing runs yet, until all of them have ended.

    A request that would wait for ever is neither granted nor refused at the end.
    """
    world = _World(Scheduler(terms, planner, fairness), times)
    for request in sorted(requests, key=lambda each: each.at_s):
        world.add(request)
    world.run()
    return world.told


class _World:
    """All that is not the scheduler."""

    def __init__(self, scheduler: Scheduler, times: Times) -> None:
        self._scheduler = scheduler
        self._times = times
        self.told = Simulation()

        self._now = 0.0
        self._due: list[tuple[float, int, int, Event]] = []
        """A heap: when, its rank among what happens then, and a number that makes the order total."""
        self._planned = 0
        self._unsettled = 0
        """Requests that have neither ended nor been refused."""

        self._doing: dict[ModelId, tuple[Activity, float]] = {}
        self._leases: dict[ModelId, int] = {}

    def add(self, request: Request) -> None:
        """Lets *request* arrive; of two at the same time, the first added is first."""
        ticket = Ticket(len(self.told.outcomes))
        self.told.outcomes.append(Outcome(request))
        self._unsettled += 1
        self._plan(request.at_s, Arrived(ticket, request.model))

    def run(self) -> None:
        """Lets things happen until every request has ended, or nothing would ever happen again."""
        if self._due:
            self.told.began_at = self._due[0][0]
        while self._unsettled:
            deadline = self._scheduler.deadline
            due = self._due[0][0] if self._due else _NEVER
            if deadline < due:
                self._happen(Tick(), deadline)
            elif self._due:
                event = heapq.heappop(self._due)[-1]
                self._happen(event, due)
            else:
                break
        self.told.ended_at = self._now
        for model in list(self._doing):
            self._turn_to(model, None)

    def _plan(self, at: float, event: Event) -> None:
        heapq.heappush(self._due, (at, _RANKS[type(event)], self._planned, event))
        self._planned += 1

    def _happen(self, event: Event, now: float) -> None:
        self._now = now
        match event:
            case Exited(model):
                self._turn_to(model, None)
            case Left(ticket):
                self._leave(self.told.outcomes[ticket])
            case Ready(model):
                self._turn_to(model, Activity.IDLE)
            case _:
                pass
        for command in self._scheduler.handle(event, now):
            self._perform(command)

    def _perform(self, command: Command) -> None:
        now = self._now
        match command:
            case Start(model, generation):
                self.told.loads += 1
                self._leases[model] = 0
                self._turn_to(model, Activity.STARTING)
                self._plan(now + self._times.load_s(model), Ready(model, generation))
            case Stop(model, generation, cause):
                self.told.stops[cause] += 1
                self._turn_to(model, Activity.STOPPING)
                self._plan(now + self._times.stop_s(model), Exited(model, generation, "stopped"))
            case Grant(ticket, model, _, swap_s):
                outcome = self.told.outcomes[ticket]
                outcome.granted_at, outcome.swap_s = now, swap_s
                self._leases[model] += 1
                self._turn_to(model, Activity.BUSY)
                self._plan(now + outcome.request.service_s, Left(ticket))
            case Refuse(ticket, refusal):
                outcome = self.told.outcomes[ticket]
                outcome.refusal, outcome.ended_at = refusal, now
                self._unsettled -= 1
            case Announce():
                pass
            case _:
                assert_never(command)

    def _leave(self, outcome: Outcome) -> None:
        outcome.ended_at = self._now
        self._unsettled -= 1
        model = outcome.request.model
        self._leases[model] -= 1
        if not self._leases[model]:
            self._turn_to(model, Activity.IDLE)

    def _turn_to(self, model: ModelId, activity: Activity | None) -> None:
        """Ends what *model* is doing, and begins *activity*; None: it is gone, or the story ends."""
        before = self._doing.pop(model, None)
        if before is not None and before[1] < self._now and before[0] is not activity:
            self.told.spans.setdefault(model, []).append(Span(before[0], before[1], self._now))
        if activity is not None:
            since = before[1] if before is not None and before[0] is activity else self._now
            self._doing[model] = activity, since
