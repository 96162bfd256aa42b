"""The scheduler: who may run, who must go, who waits.

It is one long file because its rules must be read against each other; the queue, failures, learned times and estimates, which
decide nothing, are files of their own.

Two rules hold in this file:

1. Everything that decides about instances, tickets and leases is here, and nothing else is: no clock (every entry is given
   `now`), no asyncio, no I/O, no logging.
2. Events only record facts. After each event one *level-triggered* pass (`_advance`) looks at what is true now and acts. No
   decision depends on which event came last, so there is one decision tree instead of one for each event. The pass is left
   out only where the fact is none that another decision rests on: a ready model takes a newcomer, a ticket behind another one of
   its model comes or goes, a lease ends that is not the last of its instance, or ends while nobody waits. (The property test
   runs a pass after each event and asserts that it does nothing.) Nearly all requests are such facts from their beginning
   to their end. So these have entries of their own, `grant_at_once` and `end_at_once`, through which the events go as well: where
   there is nothing to decide, there need be no event and no command.

Theory of operation
-------------------
A request is a **ticket**. It waits, or holds a **lease** on a ready instance until it has `Left`. Tickets of one model wait in
the order of their arrival; models wait in the order of their first ticket (`_order`): those that have waited for the patience
first, oldest first; then by priority, then by age. So a priority makes others late, and starves none.

The pass does four things, in this order:

- **retire**: an instance that a reload has made obsolete stops when its last lease has ended;
- **grant**: a ready model serves its tickets, newcomers too, though an older ticket waits for it to go: fewer swaps. But no
  ticket overtakes one that had already waited for the patience when it arrived. (`inf`: always overtakes; 0: strict order
  of arrival.) The comparison is between two arrivals, not with the clock, so a slow load cannot turn a burst of requests
  for three models into three swaps for each of its rounds;
- **expire**: an idle model whose time to live is over stops;
- **start and evict**, model by model in order: a model starts when its planner has nothing left to evict; until then its
  victims are stopped, as soon as all of them are idle and have stayed for `min_residency_s`. Stopping and starting meet here
  only: "stop B, then start A" is not a protocol, it is what the pass does at `Left` (stop B) and again at `Exited` (start
  A). Therefore a swap whose clients have all left before a victim was stopped does not happen.

Four rules keep the last step from livelock (property tests found all but the third):

- an eviction does not touch a model that an earlier ticket wants;
- nothing starts beside which an earlier, still blocked ticket would have to evict more than it has to now;
- nor is anything evicted for a later ticket without which the first blocked one would;
- the first blocked one keeps its victims as long as they are enough, though its planner would choose others now that some other
  model has gone. Else the victims, each of which serves newcomers until it is one, could take turns for ever.

The first model in order is bound by none, so it always gets on, as soon as the leases on its victims end; and they end,
because no newcomer overtakes it for longer than its patience. That makes the wait of every ticket finite: docs/swapping.md
states the bound, tests/scheduler/test_bound.py holds it.

A load under way is finished, even when nobody waits for it any more; it counts as idle from then on. A model that has failed to
start is not tried again before a *back-off* is over, which doubles with each failure in a row, unless somebody insists, its
configuration changes, or it is unloaded by hand: until then its requests are refused at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set as AbstractSet
from typing import TYPE_CHECKING, assert_never

from app.scheduler import estimate
from app.scheduler.commands import Announce, Command, Grant, Refusal, Refuse, Start, Stop, StopCause
from app.scheduler.events import (
    Arrived,
    Ending,
    Event,
    Exited,
    Fairness,
    Left,
    RareEvent,
    Ready,
    Reconfigured,
    ShutDown,
    Terms,
    Tick,
    Ticket,
    Unload,
)
from app.scheduler.failures import Failures
from app.scheduler.history import History
from app.scheduler.instances import LIVE, Instance, ModelView, Obstacle, Phase, QueuedView, SchedulerView
from app.scheduler.queue import Queue
from planners.protocol import Plan

if TYPE_CHECKING:
    from planners.protocol import ModelId, SwapPlanner


_NEVER = float("inf")


class Scheduler:
    """Decides; see the top of this file. One caller, one thread."""

    def __init__(
        self,
        terms: Mapping[ModelId, Terms],
        planner: SwapPlanner,
        fairness: Fairness | None = None,
        history: History | None = None,
    ) -> None:
        """Begins with nothing running. history: what is known of the models' times already; taken over."""
        # as configured; replaced whole by Reconfigured
        self._terms = terms
        self._planner = planner
        self._fairness = fairness or Fairness()

        # as things are
        self.history = history or History()
        """What is learned of the models' times; others read it."""
        self._instances: dict[ModelId, Instance] = {}
        self._queue = Queue()
        self._leases: dict[Ticket, tuple[Instance, float]] = {}
        """Who serves a ticket, and since when. Instances may be gone by the time their leases end."""
        self._failures = Failures()
        self._swaps: dict[ModelId, tuple[float, tuple[ModelId, ...]]] = {}
        """Waiting models for which something was told to stop, since when, and what."""
        self._generation = 0
        self._shutting_down = False
        self._chosen: tuple[ModelId, Plan] | None = None
        """The first model that is blocked, and whom it waits for; None: no model is."""
        self._any_retiring = False
        """Whether the last reload made any instance obsolete; saves looking for them at every event."""
        self.deadline = _NEVER
        """When a `Tick` is due if nothing happens before, always after the `now` of the last event; `inf`: never. Others read it."""

        # of the event in hand
        self._now = 0.0
        self._commands: list[Command] = []

        # answers kept until what they rest on changes
        self._plans: dict[ModelId, Plan] = {}
        """Of the planner, good until the set of instances changes; so are the next ones."""
        self._disturbances: dict[tuple[ModelId, ModelId], bool] = {}
        self._waits: dict[ModelId, float] | None = None
        """Estimates, good until the next pass."""
        self._view: SchedulerView | None = None

    def handle(self, event: Event, now: float) -> list[Command]:
        """Takes in one fact and returns what is to be done, in order.

        now: seconds of a monotonic clock; never less than at the last call.
        """
        self._now = now
        self._view = None
        commands: list[Command] = []
        self._commands = commands
        if isinstance(event, Arrived):
            is_to_look = self._arrive(event)
        elif isinstance(event, Left):
            is_to_look = self._leave(event.ticket)
        else:
            self._record(event)
            is_to_look = True
        if is_to_look or now >= self.deadline:
            self._advance()
        return commands

    def grant_at_once(self, ticket: Ticket, model: ModelId, now: float) -> bool:
        """Grants a new ticket if *model* is ready and nobody waits, so that nobody is overtaken; returns whether it has.

        Does then all that `handle` does of `Arrived`, but for returning a `Grant`; else nothing. now: as there.
        """
        instance = self._instances.get(model)
        if (
            instance is None
            or instance.phase is not Phase.READY
            or instance.retiring
            or self._queue.waiting
            or now >= self.deadline
        ):
            return False
        instance.leases += 1
        self._leases[ticket] = instance, now
        self._view = None
        return True

    def end_at_once(self, ticket: Ticket, now: float) -> bool:
        """Ends a lease if nobody can have waited for that; returns whether it has.

        Does then all that `handle` does of `Left`; else nothing. now: as there.
        """
        lease = self._leases.get(ticket)
        if lease is None or now >= self.deadline:
            return False
        instance, granted_at = lease
        if instance.leases > 1:
            instance.leases -= 1
        elif self._queue.waiting or self._any_retiring:
            return False
        else:
            instance.leases = 0
            instance.idle_since = now
            # With nobody waiting, all that can come of it is that its time to live ends.
            self.deadline = min(self.deadline, self._expires_at(instance.model, instance))
        del self._leases[ticket]
        self.history.served(instance.model, now - granted_at)
        self._view = None
        return True

    def view(self) -> SchedulerView:
        """Returns a picture of all models, kept until the next event."""
        if self._view is None:
            models = {model: self._model_view(model) for model in {**self._terms, **self._instances}}
            self._view = SchedulerView(models, len(self._queue), self._shutting_down)
        return self._view

    def queue(self, now: float) -> list[QueuedView]:
        """Returns the whole queue, in the order in which models will be loaded for it."""
        self._now = now
        return [
            queued
            for place, model in self._places()
            for queued in self._explained(model, place, self._queue.tickets(model))
        ]

    def place(self, ticket: Ticket, now: float) -> QueuedView | None:
        """Returns how one ticket stands; None when it does not wait."""
        self._now = now
        model = self._queue.model_of(ticket)
        if model is None:
            return None
        tickets = self._queue.tickets(model)
        first = next(place for place, its in self._places() if its == model)
        before = next(index for index, other in enumerate(tickets) if other == ticket)
        return next(self._explained(model, first + before, {ticket: tickets[ticket]}))

    def wait_s(self, model: ModelId, now: float) -> float | None:
        """Returns an estimate of how long a request for *model* that came now would wait; None: too little is known.

        Raises KeyError if *model* is not in the configuration.
        """
        self._now = now
        instance = self._instances.get(model)
        if model not in self._queue and instance is not None and instance.serves():
            return 0.0
        estimates = self._estimates()
        if model not in estimates:
            order = [*self._order(), model]
            estimates = estimate.waits(order, self._instances, self._planner, self.history, now)
        return _or_none(estimates[model])

    def __repr__(self) -> str:
        waiting = {model: list(self._queue.tickets(model)) for model in self._queue}
        return f"<Scheduler {list(self._instances.values())}, waiting {waiting}>"

    # Facts

    def _record(self, event: RareEvent) -> None:
        """Takes in what is no ticket's."""
        match event:
            case Ready(model, generation):
                instance = self._current(model, generation)
                if instance is not None and instance.phase is Phase.STARTING:
                    self._failures.forget({model})
                    self.history.loaded(model, self._now - instance.since)
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
                    if instance.phase is Phase.STOPPING:
                        self.history.stopped(model, self._now - instance.since)
                    del self._instances[model]
                    self._forget_answers()
                    self._enter(instance, Phase.STOPPED, reason)
            case Unload(models):
                for model in [model for model in self._queue if models is None or model in models]:
                    self._refuse_all(model, Refusal.UNLOADED)
                self._failures.forget(models)
                for instance in self._instances.values():
                    if models is None or instance.model in models:
                        self._stop(instance, StopCause.UNLOADED, "unloaded on request")
            case Reconfigured(terms, planner, fairness):
                self._reconfigure(terms, planner, fairness)
            case ShutDown():
                self._shutting_down = True
                for model in list(self._queue):
                    self._refuse_all(model, Refusal.SHUTTING_DOWN)
                for instance in self._instances.values():
                    self._stop(instance, StopCause.SHUTDOWN, "Hostler is shutting down")
            case Tick():
                pass
            case _:
                assert_never(event)

    def _arrive(self, event: Arrived) -> bool:
        """Takes in a new ticket; returns whether a decision may rest on it."""
        ticket, model = event.ticket, event.model
        if self._shutting_down:
            self._refuse(ticket, Refusal.SHUTTING_DOWN)
            return False
        instance = self._instances.get(model)
        if instance is not None and self.grant_at_once(ticket, model, self._now):
            self._commands.append(Grant(ticket, model, instance.generation))
            return False
        if model not in self._terms:
            self._refuse(ticket, Refusal.UNKNOWN)
            return False
        failure = self._failures.of(model)
        if failure is not None and self._now < failure.retry_at and not event.insists and not self._is_live(model):
            self._refuse(ticket, Refusal.BACKING_OFF, failure.reason, failure.retry_at - self._now)
            return False
        if instance is not None and instance.serves() and model not in self._queue and not self._blockers(model):
            self._hand_over(instance, ticket)
            return False
        if len(self._queue) >= self._fairness.max_queued:
            waits = [wait for wait in self._estimates().values() if wait < _NEVER]
            self._refuse(ticket, Refusal.QUEUE_FULL, "", min(waits, default=0.0))
            return False
        return self._queue.add(ticket, model, self._now)

    def _leave(self, ticket: Ticket) -> bool:
        """Takes in the end of a ticket; returns whether a decision may rest on it."""
        if self.end_at_once(ticket, self._now):
            return False
        lease = self._leases.pop(ticket, None)
        if lease is None:
            return self._queue.model_of(ticket) is not None and self._withdraw(ticket)
        instance, granted_at = lease
        self.history.served(instance.model, self._now - granted_at)
        instance.leases -= 1
        if not instance.leases:
            instance.idle_since = self._now
        return True

    def _withdraw(self, ticket: Ticket) -> bool:
        """Takes a waiting ticket out of the queue; returns whether it was the first of its model."""
        model = self._queue.model_of(ticket)
        was_first = self._queue.remove(ticket)
        if model is not None and model not in self._queue:
            self._swaps.pop(model, None)
        return was_first

    def _reconfigure(self, terms: Mapping[ModelId, Terms], planner: SwapPlanner, fairness: Fairness) -> None:
        self._terms, self._planner, self._fairness = terms, planner, fairness
        self._forget_answers()
        self._chosen = None
        self._queue.forget_order()
        for model in [model for model in self._queue if model not in terms]:
            self._refuse_all(model, Refusal.REMOVED)
        self._failures.forget_changed(terms)
        for instance in self._instances.values():
            its = terms.get(instance.model)
            instance.retiring = its is None or its.launch != instance.launch
        self._any_retiring = any(instance.retiring for instance in self._instances.values())

    def _fail_if_starting(self, instance: Instance, reason: str) -> None:
        """Fails those who wait for an instance that ends, unasked, before it was ready."""
        if instance.phase is Phase.STARTING:
            back_off_s = self._failures.add(instance.model, reason, instance.launch, self._now)
            self._refuse_all(instance.model, Refusal.START_FAILED, reason, back_off_s)

    def _forget_answers(self) -> None:
        """Forgets what the planner has said: there are other instances now, or there is another planner."""
        self._plans = {}
        self._disturbances = {}

    # The pass

    def _advance(self) -> None:
        self._waits = None
        if self._any_retiring:
            self._retire()
        if self._queue.waiting:
            self._grant()
        self._expire()
        self._chosen = self._start_and_evict() if self._queue.waiting else None
        self.deadline = self._next_change()

    def _retire(self) -> None:
        for instance in self._instances.values():
            if instance.retiring and not instance.leases:
                self._stop(instance, StopCause.RECONFIGURED, "its configuration has changed")

    def _grant(self) -> None:
        queue = self._queue
        ready = [instance for model in queue if (instance := self._instances.get(model)) and instance.serves()]
        if not ready:
            return
        for instance in ready:
            model = instance.model
            blockers = self._blockers(model)
            patience_s = self._fairness.patience_s
            served = []
            for ticket, since in queue.tickets(model).items():
                # Tickets are numbered in the order of their arrival, so of two that came at the same time one is the older.
                if any(ticket > older and since >= its + patience_s for older, its in blockers):
                    break
                served.append((ticket, since))
            for ticket, since in served:
                self._withdraw(ticket)
                # Of its wait what was the swap; nothing, if the instance was ready before the ticket came.
                self._hand_over(instance, ticket, max(instance.since - max(since, instance.swap_since), 0.0))

    def _start_and_evict(self) -> tuple[ModelId, Plan] | None:
        """Starts and evicts what it can, and returns the first model that is blocked, with its victims."""
        instances = self._instances
        residency_s = self._fairness.min_residency_s
        idle = {
            model
            for model, its in instances.items()
            if its.phase is Phase.READY and not its.leases and self._now >= its.since + residency_s
        }
        """Those that may be evicted."""
        held = {model for model, its in instances.items() if its.phase in LIVE} - idle
        """Those that may not: in use, loading, ready for too short a time, or wanted by an earlier ticket."""
        blocked: list[ModelId] = []
        """Models that earlier tickets want and cannot have yet."""
        for model in self._order():
            own = instances.get(model)
            if own is None or own.phase not in LIVE or own.retiring:
                plan = self._plan(model)
                if plan.evict or own is not None:
                    # An obsolete instance of the model itself has to go as well, which it does as soon as it has drained.
                    drains = own is not None and own.phase is Phase.READY
                    can_go = plan.evict.isdisjoint(held) and not plan.evict.isdisjoint(idle)
                    if can_go and not drains and not (blocked and self._spoils(plan, blocked[0])):
                        self._evict(plan, model)
                        idle -= plan.evict
                    blocked.append(model)
                elif any(self._disturbs(model, earlier) for earlier in blocked):
                    blocked.append(model)
                else:
                    self._start(model, plan.reason)
                    held.add(model)
            if own is not None and own.phase in LIVE:
                held.add(model)
        return (blocked[0], self._plan(blocked[0])) if blocked else None

    def _evict(self, plan: Plan, model: ModelId) -> None:
        """Stops the victims of *plan*: all at once, for until all of them may go, those that are idle stay useful."""
        since, gone = self._swaps.get(model, (self._now, ()))
        for victim in sorted((self._instances[victim] for victim in plan.evict), key=lambda each: each.generation):
            if victim.phase in LIVE:
                gone = tuple(dict.fromkeys((*gone, victim.model)))
                self._stop(victim, StopCause.EVICTED, f"makes room for {model}: {plan.reason}", model)
        self._swaps[model] = since, gone

    def _expire(self) -> None:
        """Stops what has been idle for too long."""
        for model, instance in self._instances.items():
            if self._now >= self._expires_at(model, instance):
                ttl_s = self._terms[model].ttl_s
                self._stop(instance, StopCause.IDLE, f"idle for its ttl of {ttl_s:g} s")

    def _next_change(self) -> float:
        """Returns when there will be something to do without an event."""
        now = self._now
        deadline = _NEVER
        for model, instance in self._instances.items():
            deadline = min(deadline, self._expires_at(model, instance))
            if self._queue.waiting and instance.phase is Phase.READY:
                may_go = instance.since + self._fairness.min_residency_s
                if now < may_go < deadline:
                    deadline = may_go
        if self._queue.models > 1:
            self._order()
            deadline = min(deadline, self._queue.overdue_at)
        return deadline

    def _expires_at(self, model: ModelId, instance: Instance) -> float:
        """Returns when *instance* will have been idle for its time to live, if things stay as they are."""
        terms = self._terms.get(model)
        if (
            terms is None
            or terms.ttl_s <= 0
            or instance.leases
            or instance.phase is not Phase.READY
            or model in self._queue
        ):
            return _NEVER
        return instance.idle_since + terms.ttl_s

    # Questions

    def _order(self) -> list[ModelId]:
        """Returns the models that are waited for, the one to be served first in front."""
        return self._queue.order(self._terms, self._fairness.patience_s, self._now)

    def _current(self, model: ModelId, generation: int) -> Instance | None:
        """Returns the instance of which there is news; None when the news is of an older one."""
        instance = self._instances.get(model)
        return instance if instance is not None and instance.generation == generation else None

    def _is_live(self, model: ModelId) -> bool:
        """Whether *model* serves, or will without anybody having to go."""
        instance = self._instances.get(model)
        return instance is not None and instance.phase in LIVE and not instance.retiring

    def _plan(self, model: ModelId) -> Plan:
        plan = self._plans.get(model)
        if plan is None:
            live = self._instances.keys() - {model}
            plan = self._planner.evictions(model, live)
            if self._chosen is not None and self._chosen[0] == model:
                chosen = self._chosen[1]
                if not plan.evict <= chosen.evict and self._is_enough(chosen, model, live):
                    # A planner that has a choice prefers others now. But those have been serving newcomers all the time.
                    plan = Plan(chosen.evict & live, chosen.reason)
            self._plans[model] = plan
        return plan

    def _disturbs(self, model: ModelId, earlier: ModelId) -> bool:
        """Whether *earlier* would have to evict others than it has to now, were *model* started."""
        key = model, earlier
        answer = self._disturbances.get(key)
        if answer is None:
            beside = (self._instances.keys() | {model}) - {earlier}
            answer = self._disturbances[key] = not self._is_enough(self._plan(earlier), earlier, beside)
        return answer

    def _spoils(self, plan: Plan, first: ModelId) -> bool:
        """Whether *first* would have to evict others than it has to now, once the victims of *plan* are gone."""
        left = self._instances.keys() - plan.evict - {first}
        return not self._is_enough(self._plan(first), first, left)

    def _is_enough(self, plan: Plan, model: ModelId, live: AbstractSet[ModelId]) -> bool:
        """Whether *model* could start if of those who are *live* the victims of *plan* were gone."""
        return not self._planner.evictions(model, live - plan.evict).evict

    def _estimates(self) -> dict[ModelId, float]:
        if self._waits is None:
            self._waits = estimate.waits(self._order(), self._instances, self._planner, self.history, self._now)
        return self._waits

    def _places(self) -> Iterator[tuple[int, ModelId]]:
        """Yields the models in order, with the position of their first ticket."""
        place = 1
        for model in self._order():
            yield place, model
            place += len(self._queue.tickets(model))

    def _explained(self, model: ModelId, place: int, tickets: Mapping[Ticket, float]) -> Iterator[QueuedView]:
        """Yields views of *tickets*, the first of which is at *place* in the queue."""
        wait_s = _or_none(self._estimates()[model])
        held_by: tuple[Obstacle, ...] = ()
        if not self._is_live(model):
            victims = sorted((self._instances[each] for each in self._plan(model).evict), key=lambda each: each.model)
            held_by = tuple(Obstacle(each.model, each.phase, each.leases) for each in victims)
        for position, (ticket, since) in enumerate(tickets.items(), place):
            overdue = self._now >= since + self._fairness.patience_s
            yield QueuedView(ticket, model, since, position, wait_s, held_by, overdue)

    def _model_view(self, model: ModelId) -> ModelView:
        instance = self._instances.get(model)
        waiting = len(self._queue.tickets(model))
        failure = self._failures.of(model)
        told, retry_at = ("", 0.0) if failure is None else (failure.reason, failure.retry_at)
        if instance is None:
            return ModelView(Phase.STOPPED, waiting=waiting, failure=told, retry_at=retry_at)
        return ModelView(
            instance.phase, instance.generation, instance.leases, waiting, instance.since, instance.idle_since, told, retry_at
        )  # fmt: skip

    def _blockers(self, model: ModelId) -> list[tuple[Ticket, float]]:
        """Returns the first tickets, and their arrival, of models that have waited for the patience and need *model* gone."""
        order = self._order()
        return [
            self._queue.head(rival)
            for rival in order[: self._queue.overdue]
            if not self._is_live(rival) and model in self._plan(rival).evict
        ]

    # Acts

    def _hand_over(self, instance: Instance, ticket: Ticket, swap_s: float = 0.0) -> None:
        """Grants *ticket*. swap_s: how much of its wait was the swap."""
        instance.leases += 1
        self._leases[ticket] = instance, self._now
        self._commands.append(Grant(ticket, instance.model, instance.generation, swap_s))

    def _start(self, model: ModelId, reason: str) -> None:
        self._generation += 1
        launch = self._terms[model].launch
        swap_since, victims = self._swaps.get(model, (self._now, ()))
        self._instances[model] = instance = Instance(model, self._generation, launch, self._now, swap_since)
        self._forget_answers()
        self._commands.append(Start(model, self._generation))
        self._commands.append(Announce(model, instance.phase, reason, victims=victims))

    def _stop(self, instance: Instance, cause: StopCause, reason: str, room_for: ModelId | None = None) -> None:
        if instance.phase in LIVE:
            self._enter(instance, Phase.STOPPING, reason, cause, room_for)
            self._commands.append(Stop(instance.model, instance.generation, cause))

    def _enter(
        self,
        instance: Instance,
        phase: Phase,
        reason: str,
        cause: StopCause | None = None,
        room_for: ModelId | None = None,
    ) -> None:
        instance.phase = phase
        instance.since = self._now
        self._commands.append(Announce(instance.model, phase, reason, cause, room_for))

    def _refuse(self, ticket: Ticket, refusal: Refusal, detail: str = "", retry_after_s: float = 0.0) -> None:
        self._commands.append(Refuse(ticket, refusal, detail, retry_after_s))

    def _refuse_all(self, model: ModelId, refusal: Refusal, detail: str = "", retry_after_s: float = 0.0) -> None:
        for ticket in list(self._queue.tickets(model)):
            self._withdraw(ticket)
            self._refuse(ticket, refusal, detail, retry_after_s)


def _or_none(seconds: float) -> float | None:
    return None if seconds == _NEVER else seconds
