"""The shell around the scheduler: takes in events, performs commands, owns the tasks in which upstreams live.

Everything runs on one thread. `post` handles an event at once, on the caller's stack; an event posted while one is being
handled waits in a deque until that one is done (a trampoline), so the order is total and a request for a ready model gets
its lease without a trip round the event loop. Nothing in `_perform` awaits, and nothing in it calls the scheduler.

Most requests need no event: the scheduler grants and ends their leases at once, and there is no command to perform.

    post(event) → Scheduler.handle → commands → _perform: Grant, Refuse → the waiting `lease`
                                                          Start        → a task running `instance.live`
                                                          Stop         → that task's scope, cancelled
    the task ends → post(Exited): the only place that declares an upstream dead
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Protocol, assert_never

import anyio

from app.config.catalog import Catalog, ModelSpec
from app.errors import BackingOff, HostlerError, NotFound, QueueFull, ShuttingDown, StartFailed, Unloaded
from app.launchers.protocol import Launcher, LaunchError, LogSink
from app.scheduler.commands import Announce, Command, Grant, Refusal, Refuse, Start, Stop
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
from app.scheduler.history import History
from app.scheduler.instances import QueuedView, SchedulerView
from app.supervisor.instance import Running, live

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup, TaskStatus

    from planners.protocol import ModelId

logger = logging.getLogger(__name__)

LINES_IN_ERROR = 5
"""Lines of a model's log that its failure to start is told with."""

CHARACTERS_IN_ERROR = 1000
"""The most these may be."""


class ModelLogs(Protocol):
    """Where upstreams' output goes."""

    def model_sink(self, model: str) -> LogSink:
        """Returns what takes the output of *model*."""

    def tail(self, model: str, lines: int = 10) -> str:
        """Returns the last *lines* that *model* printed."""


class Supervisor:
    """Owns every upstream. `run` is its life; `lease` is how a request gets to a model."""

    def __init__(
        self,
        catalog: Catalog,
        launcher: Launcher,
        logs: ModelLogs,
        *,
        history: History | None = None,
        on_announce: Callable[[Announce], None] | None = None,
        on_fatal: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares; nothing is started before `run`.

        history: what an earlier run has learned of the models' times.
        on_announce: told of every change of a model's phase, on the thread of the loop; must not post.
        on_fatal: called when the supervisor cannot go on; the program should end.
        """
        # for its whole life
        self._launcher = launcher
        self._logs = logs
        self._on_announce = on_announce
        self._on_fatal = on_fatal
        self._clock = clock

        # as configured; replaced by reconfigure
        self._specs = {model: entry.spec for model, entry in catalog.models.items()}
        self._max_queued = catalog.max_queued
        self._scheduler = Scheduler(_terms(catalog), catalog.planner, _fairness(catalog), history)

        # as things are
        self._leases: dict[Ticket, Lease] = {}
        """Requests that wait for an answer."""
        self._instances: dict[ModelId, _InstanceTask] = {}
        self._tickets = map(Ticket, itertools.count(1))
        self._group: TaskGroup | None = None

        # of the trampoline
        self._events: deque[Event] = deque()
        self._handling = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Lives until cancelled; then everything it has started is gone."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                task_status.started()
                try:
                    await anyio.sleep_forever()
                finally:
                    # From here on nothing is started, whatever ends while the group is torn down.
                    self.post(ShutDown())
        finally:
            self._group = None
            self._disarm()

    def lease(self, model: ModelId, *, insists: bool = False) -> Lease:
        """Returns a context manager: entering waits for *model* and yields it, `Running`; leaving gives it back.

        insists: whether to try it although it has failed to start a moment ago.
        Entering raises StartFailed, BackingOff, QueueFull, Unloaded, ShuttingDown or NotFound when the model will not come.
        """
        return Lease(self, model, insists=insists)

    def running(self, model: ModelId) -> Running | None:
        """Returns *model*'s upstream if it is ready, without any claim to it: it may be stopped at any moment."""
        task = self._instances.get(model)
        return None if task is None or task.scope.cancel_called else task.running

    def view(self) -> SchedulerView:
        """Returns an immutable picture of all models and of the queue."""
        return self._scheduler.view()

    def queue(self) -> list[QueuedView]:
        """Returns everybody who waits, in the order in which models will be loaded for them. Not for the path of requests."""
        return self._scheduler.queue(self._clock())

    def place(self, ticket: Ticket) -> QueuedView | None:
        """Returns how one ticket stands; None when it does not wait."""
        return self._scheduler.place(ticket, self._clock())

    def wait_s(self, model: ModelId) -> float | None:
        """Returns an estimate of how long a request for *model* that came now would wait; None: too little is known.

        Raises KeyError if *model* is not in the configuration.
        """
        return self._scheduler.wait_s(model, self._clock())

    @property
    def history(self) -> History:
        """What has been learned of the models' times; to be read only."""
        return self._scheduler.history

    async def unload(self, models: Collection[ModelId] | None) -> None:
        """Stops *models* (None: all) whoever uses or awaits them, and returns when they are gone.

        Those that are requested again meanwhile start anew; that is not waited for.
        """
        ending = [task for model, task in self._instances.items() if models is None or model in models]
        self.post(Unload(None if models is None else frozenset(models)))
        for task in ending:
            await task.gone.wait()

    def reconfigure(self, catalog: Catalog) -> None:
        """Takes over a new configuration. Models whose spec is the same keep serving."""
        self._specs = {model: entry.spec for model, entry in catalog.models.items()}
        self._max_queued = catalog.max_queued
        self.post(Reconfigured(_terms(catalog), catalog.planner, _fairness(catalog)))

    def begin_shut_down(self) -> None:
        """Refuses what waits and what comes, and stops everything. Does not wait for that, and may be repeated."""
        self.post(ShutDown())

    async def shut_down(self, limit_s: float) -> None:
        """Refuses what waits and what comes, stops everything, and returns when all is gone.

        limit_s: what is not gone by then is killed.
        """
        self.begin_shut_down()
        with anyio.move_on_after(limit_s) as limit:
            while self._instances:
                await next(iter(self._instances.values())).gone.wait()
        if limit.cancelled_caught:
            logger.warning("not everything stopped within %g s; killing what is left", limit_s)
            self._launcher.kill_all()
            with anyio.CancelScope(shield=True):
                while self._instances:
                    await next(iter(self._instances.values())).gone.wait()

    def post(self, event: Event) -> None:
        """Handles *event* before it returns, unless one is being handled: then right after that one."""
        if self._handling:
            self._events.append(event)
            return
        self._handling = True
        try:
            while True:
                for command in self._scheduler.handle(event, self._clock()):
                    self._perform(command)
                if not self._events:
                    break
                event = self._events.popleft()
        except Exception:
            # The scheduler's picture may be torn. Serving on with it could mean grants to dead processes or two models
            # in memory made for one: ending the program, with everything it has started, is the safe way out.
            logger.exception("the scheduler failed; Hostler cannot go on")
            if self._on_fatal is not None:
                self._on_fatal()
            raise
        finally:
            self._handling = False
        if self._scheduler.deadline < self._timer_at:
            self._arm()

    def _granted_at_once(self, ticket: Ticket, model: ModelId) -> Running | None:
        """Returns what a new ticket is granted with nobody to be told, as nearly always; None: it has to be posted."""
        if self._handling or not self._scheduler.grant_at_once(ticket, model, self._clock()):
            return None
        running = self._instances[model].running
        assert running is not None, "only a ready instance is granted"
        return running

    def _end(self, ticket: Ticket) -> None:
        """Ends a ticket, whatever has become of it: one way for every ending leaves no race between them."""
        if self._handling or not self._scheduler.end_at_once(ticket, self._clock()):
            self.post(Left(ticket))
        elif self._scheduler.deadline < self._timer_at:
            self._arm()

    # Commands

    def _perform(self, command: Command) -> None:
        match command:
            case Grant():
                running = self._instances[command.model].running
                assert running is not None, "only a ready instance is granted"
                lease = self._leases.pop(command.ticket)
                lease.swap_s = command.swap_s
                lease._answer(running)  # noqa: SLF001 - a lease is the supervisor's other half
            case Refuse(ticket, refusal, detail, retry_after_s):
                lease = self._leases.pop(ticket)
                lease._answer(self._error_of(refusal, lease.model, detail, retry_after_s or None))  # noqa: SLF001
            case Start(model, generation):
                assert self._group is not None, "the supervisor is not running"
                task = self._instances[model] = _InstanceTask(generation)
                self._group.start_soon(
                    self._live, model, self._specs[model], task, name=f"instance {model}#{generation}"
                )
            case Stop(model):
                self._instances[model].scope.cancel()
            case Announce(model, phase, reason):
                logger.info("%s: %s", phase.value, reason, extra={"model": model})
                if self._on_announce is not None:
                    self._on_announce(command)
            case _:
                assert_never(command)

    async def _live(self, model: ModelId, spec: ModelSpec, task: _InstanceTask) -> None:
        """Is the task of one instance; posts what becomes of it."""
        generation = task.generation

        def on_ready(running: Running) -> None:
            task.running = running
            self.post(Ready(model, generation))

        reason = "stopped"

        def on_ending(why: str) -> None:
            nonlocal reason
            reason = why
            self._tell_of_failure(model, why, was_ready=task.running is not None)
            self.post(Ending(model, generation, why))

        try:
            with task.scope:
                await live(spec, generation, self._launcher, self._logs.model_sink(model), on_ready, on_ending)
        except LaunchError as exc:
            reason = str(exc)
            logger.error("%s", reason, extra={"model": model})  # noqa: TRY400 - the words say it all
        except Exception:
            reason = "failed inside Hostler; see its log"
            logger.exception("the instance's task failed", extra={"model": model})
        finally:
            del self._instances[model]
            self.post(Exited(model, generation, reason))
            task.gone.set()

    def _tell_of_failure(self, model: ModelId, reason: str, *, was_ready: bool) -> None:
        when = "while it was ready" if was_ready else "before it was ready"
        tail = self._logs.tail(model)
        told = f"; the last lines of its log:\n{tail}" if tail else "; it printed nothing"
        logger.error("%s %s%s", reason, when, told, extra={"model": model})

    def _error_of(self, refusal: Refusal, model: ModelId, detail: str, retry_after_s: float | None) -> HostlerError:
        """Returns what the request is told. Source of the words: compatibility specification 3.4."""
        match refusal:
            case Refusal.UNKNOWN | Refusal.REMOVED:
                return NotFound(f"{refusal.value}: {model}")
            case Refusal.UNLOADED:
                return Unloaded(f"unspecific error: group: model unloaded: {model}")
            case Refusal.START_FAILED:
                told = f"unspecific error: {detail} (model {model}; its log is at /logs/stream/{model})"
                return StartFailed(told + self._last_lines(model)).retry_after(retry_after_s)
            case Refusal.BACKING_OFF:
                assert retry_after_s is not None
                told = (
                    f"model {model} failed to start: {detail}. It is tried again in {math.ceil(retry_after_s)} s, or at once "
                    f"by POST /api/models/load/{model}; its log is at /logs/stream/{model}"
                )
                return BackingOff(told + self._last_lines(model)).retry_after(retry_after_s)
            case Refusal.QUEUE_FULL:
                told = (
                    f"{self._max_queued} requests are waiting already, the most that may (maxQueued); try again later"
                )
                return QueueFull(told).retry_after(retry_after_s or 1.0)
            case Refusal.SHUTTING_DOWN:
                return ShuttingDown("unspecific error: group is shutting down")
            case _:
                assert_never(refusal)

    def _last_lines(self, model: ModelId) -> str:
        """Returns what *model* printed last, for the operator who reads the error."""
        tail = self._logs.tail(model, LINES_IN_ERROR)[-CHARACTERS_IN_ERROR:]
        return f". The last lines of its log:\n{tail}" if tail else ""

    # Time

    def _arm(self) -> None:
        """Has a tick come at the scheduler's deadline, which is before the one that the timer is set to.

        A deadline that has moved away leaves the timer as it is: it will tick once for nothing and be set anew, which is cheaper than
        setting it at the end of every request.
        """
        deadline = self._scheduler.deadline
        self._disarm()
        # Loops round their timers; one that fires early would find nothing due and be set again for the same moment.
        delay = max(deadline - self._clock(), 0.0) + 0.001
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)
        self._timer_at = deadline

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = math.inf

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self.post(Tick())


_NO_TICKET = Ticket(0)


class Lease:
    """One request's claim to a model; made by `Supervisor.lease`, entered once.

    A class and not a generator, for it is on the path of every request.
    """

    __slots__ = ("_future", "_insists", "_result", "_supervisor", "model", "swap_s", "ticket")

    def __init__(self, supervisor: Supervisor, model: ModelId, *, insists: bool = False) -> None:
        self._supervisor = supervisor
        self._insists = insists
        self.model = model
        self.ticket = _NO_TICKET
        """Its place in the queue, once it is being entered."""
        self.swap_s = 0.0
        """How much of the wait was for victims to stop and for the model to load; true once it is granted."""
        self._future: asyncio.Future[None] | None = None
        self._result: Running | HostlerError | None = None

    def _answer(self, result: Running | HostlerError) -> None:
        self._result = result
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def __aenter__(self) -> Running:
        supervisor = self._supervisor
        self.ticket = ticket = next(supervisor._tickets)  # noqa: SLF001 - a lease is the supervisor's other half
        running = supervisor._granted_at_once(ticket, self.model)  # noqa: SLF001
        if running is not None:
            return running
        supervisor._leases[ticket] = self  # noqa: SLF001
        supervisor.post(Arrived(ticket, self.model, self._insists))
        try:
            if self._result is None:
                self._future = asyncio.get_running_loop().create_future()
                await self._future
            if isinstance(self._result, HostlerError):
                raise self._result
        except BaseException:
            supervisor._leases.pop(ticket, None)  # noqa: SLF001
            supervisor._end(ticket)  # noqa: SLF001
            raise
        assert self._result is not None
        return self._result

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._supervisor._end(self.ticket)  # noqa: SLF001


class _InstanceTask:
    """What the supervisor holds of one instance."""

    __slots__ = ("generation", "gone", "running", "scope")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.scope = anyio.CancelScope()
        """Cancelled to stop the instance, perhaps before its task has begun."""
        self.running: Running | None = None
        """Set once it is ready."""
        self.gone = anyio.Event()


def _terms(catalog: Catalog) -> Mapping[ModelId, Terms]:
    return {model: Terms(entry.spec, entry.ttl_s, entry.priority) for model, entry in catalog.models.items()}


def _fairness(catalog: Catalog) -> Fairness:
    return Fairness(catalog.patience_s, catalog.min_residency_s, catalog.max_queued)
