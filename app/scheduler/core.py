"""The scheduler: who may run, who must go, who waits.

Two rules hold in this file:

1. Everything that decides about instances, tickets and leases is here, and nothing else is: no clock (every entry is given
   `now`), no asyncio, no I/O, no logging.
2. Events only record facts. After each event one *level-triggered* pass (`_advance`) looks at what is true now and acts. No
   decision depends on which event came last, so there is one decision tree instead of one for each event.

Theory of operation
-------------------
A request is a **ticket**. It waits, or holds a **lease** on a ready instance until it has `Left`. Tickets of one model wait in
the order of their arrival; models wait in the order of their first ticket (`_order`): those that have waited for `patience_s`
first, oldest first; then by priority, then by age. So a priority makes others late, and starves none.

The pass does four things, in this order:

- **retire**: an instance that a reload has made obsolete stops when its last lease has ended;
- **grant**: a ready model serves its tickets, newcomers too, though an older ticket waits for it to go: fewer swaps. But no
  ticket overtakes one that had already waited for `patience_s` when it arrived. (`inf`: always overtakes; 0: strict order
  of arrival.) The comparison is between two arrivals, not with the clock, so a slow load cannot turn a burst of requests
  for three models into three swaps for each of its rounds;
- **start and evict**, model by model in order: a model starts when its planner has nothing left to evict; until then its
  victims are stopped, as soon as all of them are idle. Stopping and starting meet here only: "stop B, then start A" is not a
  protocol, it is what the pass does at `Left` (stop B) and again at `Exited` (start A). Therefore a swap whose clients
  have all left before a victim was stopped does not happen;
- **expire**: an idle model whose time to live is over stops.

Two rules keep the third step from livelock (a property test found both):

- an eviction does not touch a model that an earlier ticket wants;
- nothing starts that an earlier, still blocked ticket would evict.

The first model in order is bound by neither, so it always gets on, as soon as the leases on its victims end; and they end,
because no newcomer overtakes it for longer than its patience.

A load under way is finished, even when nobody waits for it any more; it counts as idle from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_never

from app.scheduler.commands import Announce, Command, Grant, Refusal, Refuse, Start, Stop, StopCause
from app.scheduler.events import (
    Arrived,
    Ending,
    Event,
    Exited,
    Left,
    Ready,
    Reconfigured,
    ShutDown,
    Terms,
    Tick,
    Ticket,
    Unload,
)
from app.scheduler.instances import LIVE, Instance, ModelView, Phase, QueuedView, SchedulerView

if TYPE_CHECKING:
    from planners.protocol import ModelId, Plan, SwapPlanner


_NEVER = float("inf")


class Scheduler:
    """Decides; see the top of this file. One caller, one thread."""

    def __init__(self, terms: Mapping[ModelId, Terms], planner: SwapPlanner, patience_s: float = 60.0) -> None:
        # as configured; replaced whole by Reconfigured
        self._terms = terms
        self._planner = planner
        self._patience_s = patience_s

        # as things are
        self._instances: dict[ModelId, Instance] = {}
        self._waiting: dict[ModelId, dict[Ticket, float]] = {}
        """Tickets and their arrival times, oldest first; a model without any has no entry."""
        self._leases: dict[Ticket, Instance] = {}
        """Instances may be gone by the time their leases end."""
        self._failures: dict[ModelId, str] = {}
        self._generation = 0
        self._shutting_down = False
        self._any_retiring = False
        """Whether the last reload made any instance obsolete; saves looking for them at every event."""

        # of the event in hand
        self._now = 0.0
        self._commands: list[Command] = []
        self._plans: dict[ModelId, Plan] = {}
        """Answers of the planner, good until the set of instances changes."""
        self._deadline = _NEVER
        self._view: SchedulerView | None = None

    def handle(self, event: Event, now: float) -> list[Command]:
        """Takes in one fact and returns what is to be done, in order.

        now: seconds of a monotonic clock; never less than at the last call.
        """
        self._now = now
        commands: list[Command] = []
        self._commands = commands
        self._view = None
        self._record(event)
        self._advance()
        return commands

    def next_deadline(self) -> float | None:
        """Returns when a `Tick` is due if nothing happens before, always after the `now` of the last event; None: never."""
        return None if self._deadline == _NEVER else self._deadline

    def view(self) -> SchedulerView:
        """Returns a picture of everything, kept until the next event."""
        if self._view is None:
            models = {model: self._model_view(model) for model in {**self._terms, **self._instances}}
            queue = tuple(
                QueuedView(ticket, model, since)
                for model in self._order()
                for ticket, since in self._waiting[model].items()
            )
            self._view = SchedulerView(models, queue, self._shutting_down)
        return self._view

    def __repr__(self) -> str:
        waiting = {model: list(tickets) for model, tickets in self._waiting.items()}
        return f"<Scheduler {list(self._instances.values())}, waiting {waiting}>"

    # Facts

    def _record(self, event: Event) -> None:
        match event:
            case Arrived(ticket, model):
                if self._shutting_down:
                    self._refuse(ticket, Refusal.SHUTTING_DOWN)
                elif model not in self._terms:
                    self._refuse(ticket, Refusal.UNKNOWN)
                else:
                    self._waiting.setdefault(model, {})[ticket] = self._now
            case Left(ticket):
                self._leave(ticket)
            case Ready(model, generation):
                instance = self._current(model, generation)
                if instance is not None and instance.phase is Phase.STARTING:
                    instance.idle_since = self._now
                    self._enter(instance, Phase.READY, "ready")
            case Ending(model, generation, reason):
                instance = self._current(model, generation)
                if instance is not None and instance.phase in LIVE:
                    self._fail_if_starting(instance, reason)
                    self._enter(instance, Phase.STOPPING, reason)
            case Exited(model, generation, reason):
                instance = self._current(model, generation)
                if instance is not None:
                    self._fail_if_starting(instance, reason)
                    del self._instances[model]
                    self._plans = {}
                    self._enter(instance, Phase.STOPPED, reason)
            case Unload(models):
                for model in [model for model in self._waiting if models is None or model in models]:
                    self._refuse_all(model, Refusal.UNLOADED)
                for instance in self._instances.values():
                    if models is None or instance.model in models:
                        self._stop(instance, StopCause.UNLOADED, "unloaded on request")
            case Reconfigured(terms, planner, patience_s):
                self._terms, self._planner, self._patience_s = terms, planner, patience_s
                self._plans = {}
                for model in [model for model in self._waiting if model not in terms]:
                    self._refuse_all(model, Refusal.REMOVED)
                for model in [model for model in self._failures if model not in terms]:
                    del self._failures[model]
                for instance in self._instances.values():
                    its = terms.get(instance.model)
                    instance.retiring = its is None or its.launch != instance.launch
                self._any_retiring = any(instance.retiring for instance in self._instances.values())
            case ShutDown():
                self._shutting_down = True
                for model in list(self._waiting):
                    self._refuse_all(model, Refusal.SHUTTING_DOWN)
                for instance in self._instances.values():
                    self._stop(instance, StopCause.SHUTDOWN, "Hostler is shutting down")
            case Tick():
                pass
            case _:
                assert_never(event)

    def _leave(self, ticket: Ticket) -> None:
        instance = self._leases.pop(ticket, None)
        if instance is not None:
            instance.leases -= 1
            if not instance.leases:
                instance.idle_since = self._now
            return
        for model, tickets in self._waiting.items():
            if tickets.pop(ticket, None) is not None:
                if not tickets:
                    del self._waiting[model]
                return

    def _fail_if_starting(self, instance: Instance, reason: str) -> None:
        """Fails those who wait for an instance that ends, unasked, before it was ready."""
        if instance.phase is Phase.STARTING:
            self._failures[instance.model] = reason
            self._refuse_all(instance.model, Refusal.START_FAILED, reason)

    # The pass

    def _advance(self) -> None:
        if self._any_retiring:
            self._retire()
        if self._waiting:
            self._grant()
        if self._waiting:
            self._start_and_evict()
        self._deadline = self._expire()

    def _retire(self) -> None:
        for instance in self._instances.values():
            if instance.retiring and not instance.leases:
                self._stop(instance, StopCause.RECONFIGURED, "its configuration has changed")

    def _grant(self) -> None:
        ready = [instance for model in self._waiting if (instance := self._instances.get(model)) and instance.serves()]
        if not ready:
            return
        rivals = [model for model in self._waiting if not self._is_live(model)]
        for instance in ready:
            model = instance.model
            tickets = self._waiting[model]
            # Tickets are numbered in the order of their arrival, so of two that came at the same time one is the older.
            blockers = [
                next(iter(self._waiting[rival].items())) for rival in rivals if model in self._plan(rival).evict
            ]
            served = []
            for ticket, since in tickets.items():
                if any(ticket > older and since >= its + self._patience_s for older, its in blockers):
                    break
                served.append(ticket)
            for ticket in served:
                del tickets[ticket]
                self._leases[ticket] = instance
                self._commands.append(Grant(ticket, model, instance.generation))
            instance.leases += len(served)
            if not tickets:
                del self._waiting[model]

    def _start_and_evict(self) -> None:
        wanted: set[ModelId] = set()
        """Models that earlier tickets want."""
        blocked: list[ModelId] = []
        """Models that earlier tickets want and cannot have yet."""
        for model in self._order():
            if not self._is_live(model):
                plan = self._plan(model)
                if plan.evict or model in self._instances:
                    self._evict(plan, wanted, model)
                    blocked.append(model)
                elif any(self._would_evict(earlier, model) for earlier in blocked):
                    blocked.append(model)
                else:
                    self._start(model, plan.reason)
            wanted.add(model)

    def _evict(self, plan: Plan, wanted: set[ModelId], model: ModelId) -> None:
        """Stops the victims of *plan* once all of them may go; until then those that are idle stay useful.

        An obsolete instance of *model* itself has to go as well, which it does as soon as it has drained.
        """
        own = self._instances.get(model)
        if own is not None and own.phase is Phase.READY:
            return
        victims = [self._instances[victim] for victim in plan.evict]
        if any(
            victim.model in wanted or victim.leases or victim.phase is Phase.STARTING
            for victim in victims
            if victim.phase is not Phase.STOPPING
        ):
            return
        for victim in sorted(victims, key=lambda victim: victim.generation):
            self._stop(victim, StopCause.EVICTED, f"makes room for {model}: {plan.reason}")

    def _expire(self) -> float:
        """Stops what has been idle for too long, and returns when there will be something to do without an event."""
        deadline = _NEVER
        for model, instance in self._instances.items():
            if instance.leases or instance.phase is not Phase.READY or model in self._waiting:
                continue
            terms = self._terms.get(model)
            if terms is not None and terms.ttl_s > 0:
                end = instance.idle_since + terms.ttl_s
                if end <= self._now:
                    self._stop(instance, StopCause.IDLE, f"idle for its ttl of {terms.ttl_s:g} s")
                elif end < deadline:
                    deadline = end
        if len(self._waiting) > 1:
            # From then on a ticket counts as overdue, which may change the order.
            for model in self._waiting:
                overdue = self._head(model) + self._patience_s
                if self._now < overdue < deadline:
                    deadline = overdue
        return deadline

    # Questions

    def _order(self) -> list[ModelId]:
        """Returns the models that are waited for, the one to be served first in front."""
        if len(self._waiting) == 1:
            return list(self._waiting)

        def rank(model: ModelId) -> tuple[bool, int, int]:
            ticket, since = next(iter(self._waiting[model].items()))
            patient = self._now < since + self._patience_s
            return patient, -self._terms[model].priority if patient else 0, ticket

        return sorted(self._waiting, key=rank)

    def _current(self, model: ModelId, generation: int) -> Instance | None:
        """Returns the instance of which there is news; None when the news is of an older one."""
        instance = self._instances.get(model)
        return instance if instance is not None and instance.generation == generation else None

    def _head(self, model: ModelId) -> float:
        """Returns when the oldest ticket for *model* arrived."""
        return next(iter(self._waiting[model].values()))

    def _is_live(self, model: ModelId) -> bool:
        """Whether *model* serves, or will without anybody having to go."""
        instance = self._instances.get(model)
        return instance is not None and instance.phase in LIVE and not instance.retiring

    def _plan(self, model: ModelId) -> Plan:
        plan = self._plans.get(model)
        if plan is None:
            plan = self._plans[model] = self._planner.evictions(model, self._instances.keys() - {model})
        return plan

    def _would_evict(self, earlier: ModelId, model: ModelId) -> bool:
        """Whether *earlier* would have to evict *model*, were it started now."""
        return model in self._planner.evictions(earlier, (self._instances.keys() | {model}) - {earlier}).evict

    def _model_view(self, model: ModelId) -> ModelView:
        instance = self._instances.get(model)
        waiting = len(self._waiting.get(model, ()))
        if instance is None:
            return ModelView(Phase.STOPPED, waiting=waiting, failure=self._failures.get(model, ""))
        return ModelView(
            instance.phase, instance.generation, instance.leases, waiting, instance.since, instance.idle_since
        )

    # Acts

    def _start(self, model: ModelId, reason: str) -> None:
        self._generation += 1
        self._failures.pop(model, None)
        self._instances[model] = instance = Instance(model, self._generation, self._terms[model].launch, self._now)
        self._plans = {}
        self._commands.append(Start(model, self._generation))
        self._commands.append(Announce(model, instance.phase, reason))

    def _stop(self, instance: Instance, cause: StopCause, reason: str) -> None:
        if instance.phase in LIVE:
            self._enter(instance, Phase.STOPPING, reason)
            self._commands.append(Stop(instance.model, instance.generation, cause))

    def _enter(self, instance: Instance, phase: Phase, reason: str) -> None:
        instance.phase = phase
        instance.since = self._now
        self._commands.append(Announce(instance.model, phase, reason))

    def _refuse(self, ticket: Ticket, refusal: Refusal, detail: str = "") -> None:
        self._commands.append(Refuse(ticket, refusal, detail))

    def _refuse_all(self, model: ModelId, refusal: Refusal, detail: str = "") -> None:
        for ticket in self._waiting.pop(model, {}):
            self._refuse(ticket, refusal, detail)
