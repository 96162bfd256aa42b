"""The singletons and their life: made once by `create_app`, alive while the application's lifespan is."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.config.plan import ReloadPlan
from app.config.watcher import changes
from app.errors import HostlerError
from app.launchers.local import LocalLauncher
from app.middleware.limit import Admitted
from app.preload import Preload
from app.proxy.peers import Peers
from app.reload import Reloads
from app.routing.resolve import ActiveProfile
from app.supervisor.supervisor import Supervisor
from app.telemetry.activity import ActivityLog
from app.telemetry.bus import Bus
from app.telemetry.captures import Captures
from app.telemetry.inflight import InFlight
from app.telemetry.logs import LogBook
from app.telemetry.performance import Performance
from app.telemetry.pulse import Pulse

logger = logging.getLogger(__name__)

SHUTDOWN_S = 30.0
"""Seconds from the first signal until what has not stopped is killed. Source: compatibility specification 1.4."""

LAST_STOP_S = 5.0
"""Seconds that models always get to stop, however long requests took to end."""

DRAIN_S = SHUTDOWN_S - LAST_STOP_S - 1.0
"""Seconds that requests under way get to finish. A second more, and the server cuts what has not been answered by then."""


@dataclass(slots=True)
class Services:
    """Everything there is one of."""

    config: ActiveConfig
    logs: LogBook
    launcher: LocalLauncher
    supervisor: Supervisor
    admitted: Admitted
    inflight: InFlight
    bus: Bus
    activity: ActivityLog
    captures: Captures
    peers: Peers
    profile: ActiveProfile
    performance: Performance
    on_fatal: Callable[[], None]
    """Called when Hostler cannot go on; ends the program."""
    wait_bound: Callable[[], Awaitable[None]]
    """Returns when our own socket is bound: no model is started before."""
    watch_config: bool = False

    # of the run
    draining_since: float | None = None
    reloads: Reloads = field(init=False)
    preload: Preload = field(init=False)
    pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self.reloads = Reloads(self.config, self._take_over, self._tell_of_reload)
        self.preload = Preload(self.config, self.supervisor, self.wait_bound)
        self.pulse = Pulse(self.bus, self.inflight, lambda: self.supervisor.view().waiting)
        self.logs.on_news = lambda: self.bus.changed("logData")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Is the lifespan: everything runs inside, and everything is gone when it is left."""
        with self.logs.handler:
            async with self.logs, self.launcher, self.activity, anyio.create_task_group() as group:
                self._tell_of_config()
                await group.start(self.captures.run, name="captures")
                await group.start(self._supervise, name="supervisor")
                group.start_soon(self.preload.run, name="preload")
                group.start_soon(self.reloads.run, name="reload")
                group.start_soon(self.pulse.run, name="pulse")
                group.start_soon(self.performance.run, name="performance")
                if self.watch_config:
                    group.start_soon(self._watch_config, name="config watcher")
                try:
                    yield
                finally:
                    with anyio.CancelScope(shield=True):
                        await self.supervisor.shut_down(self._time_left())
                        await self.peers.aclose()
                        await self.activity.save_history(self.supervisor.history.learned())
                    logger.info("shutdown complete")
                    group.cancel_scope.cancel()

    def begin_drain(self) -> None:
        """Ends the streams that would never end by themselves. Requests under way may finish."""
        self.draining_since = time.monotonic()
        self.logs.close()
        self.bus.close()

    def end_drain(self) -> None:
        """Refuses who waits for a model, so that they are told so instead of being cut, and lets all models stop."""
        self.supervisor.begin_shut_down()

    def kill(self) -> None:
        """Kills every upstream at once. For the second signal and for the end of a crashed Hostler."""
        self.launcher.kill_all()
        self.logs.flush()

    def want_reload(self) -> None:
        """Asks for a reload; of several that come during one, the last is enough."""
        self.reloads.want()

    async def _take_over(self, catalog: Catalog) -> None:
        self.config.replace(catalog)
        # In the same breath: no request may find the profile of one configuration with the models of another.
        self.profile.current = None
        self.logs.reconfigure(catalog.logs)
        self.captures.reconfigure(catalog.records.capture_bytes, catalog.records.capture_folder_bytes)
        self.performance.reconfigure(catalog.monitoring)
        self.supervisor.reconfigure(catalog)
        await self.peers.reconfigure(catalog)
        self.preload.want()
        for topic in ("modelStatus", "uiConfig", "profileChanged"):
            self.bus.changed(topic)

    def _tell_of_reload(self, outcome: ReloadPlan | HostlerError) -> None:
        self.bus.publish("reload", {"ok": isinstance(outcome, ReloadPlan), "message": str(outcome)})

    def _time_left(self) -> float:
        if self.draining_since is None:
            return SHUTDOWN_S
        return max(self.draining_since + SHUTDOWN_S - time.monotonic(), LAST_STOP_S)

    def _tell_of_config(self) -> None:
        for warning in self.config.current().warnings:
            logger.warning("%s", warning)

    async def _supervise(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            await self.supervisor.run(task_status=task_status)
        except Exception:
            logger.exception("the supervisor failed; Hostler cannot go on")
            self.on_fatal()

    async def _watch_config(self) -> None:
        async for _ in changes(self.config.current().sources, self.config.directory, seen=self.config.seen):
            self.reloads.want()
