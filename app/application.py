"""`create_app`: the only place where the parts are put together.

router ← (pages port) ← clean paths ← preflight ← no upgrade ← error boundary ← access log ← uvicorn
       ←────────── shortcut, for plain paths ──────────┘ (middleware/paths.py)
  → auth, around each of these that is not open to everybody; then trace, if traces are asked for; around what changes something
    here, a look at whose page asks (middleware/ambient.py)
      /v1/chat/completions, …       track → meter → resolve → capture → limit → inference → lease → forwarder
      /upstream/{model}/…           track → meter           → capture → limit → inference → lease → forwarder
      websockets there, /comfyui/…  track                             → limit → tunnel → lease
                                                               (a peer's model: inference → peers → forwarder)
      everything else               an endpoint each
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute, Router

from app import __version__
from app.config.active import ActiveConfig
from app.endpoints import (
    activity as records,
    captures as captured,
    comfyui,
    config as reloading,
    configuration,
    control,
    details,
    event_topics,
    events,
    hardware,
    health,
    index,
    inference,
    logs,
    metrics as figures,
    models,
    performance as hourly,
    profiles,
    queue,
    residency as coming_and_going,
    ui,
    upstream,
    version,
    websockets,
)
from app.endpoints.table import ENDPOINTS
from app.launchers.local import LocalLauncher
from app.middleware.access_log import AccessLog
from app.middleware.ambient import shield
from app.middleware.auth import guard
from app.middleware.capture import Capturing
from app.middleware.cors import Preflight
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.meter import Metering
from app.middleware.pages import PagesPort
from app.middleware.paths import CleanPaths, Dispatch, Shortcut
from app.middleware.trace import Traces
from app.middleware.track import track
from app.middleware.upgrade import NoUpgrade
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.scheduler.commands import Announce
from app.scheduler.history import History
from app.services import Services
from app.supervisor.supervisor import Supervisor
from app.telemetry.activity import ActivityLog
from app.telemetry.bus import Bus
from app.telemetry.hardware_metrics import HardwareMetrics
from app.telemetry.inflight import InFlight
from app.telemetry.logs import LogBook
from app.telemetry.performance import Performance
from app.telemetry.prometheus import RequestMetrics, Standing
from app.telemetry.residency import Residency
from app.telemetry.settings import captures_of, store_settings
from app.telemetry.store import load_history
from monitors import SOURCES, STANDS_IN_FOR
from monitors.inventory import Machine, describe
from monitors.inventory_programs import Programs
from monitors.sampler import Sampler

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.config.catalog import Catalog


RECORDED = frozenset(row.upstream_path for row in ENDPOINTS)
"""Paths of which requests are recorded as activity, wherever they came in."""


class Application:
    """The ASGI application, and the services behind it."""

    def __init__(self, services: Services, app: AccessLog) -> None:
        self.services = services
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[object, object, None]:
        """Serves a connection, or the lifespan. Not a coroutine function: it only passes on."""
        return self._app(scope, receive, send)


def end_program() -> None:
    """Ends the program in order, the way an operator would. What `create_app` does for want of anything better."""
    os.kill(os.getpid(), signal.SIGTERM)


def is_configured(catalog: Catalog, model: str) -> bool:
    """Returns whether *model* is the id of a model, or of a peer's."""
    return model in catalog.models or model in catalog.peer_models


async def bound_already() -> None:
    """Says that our socket is bound, for who binds it before the application starts."""


def create_app(
    config: ActiveConfig,
    *,
    on_fatal: Callable[[], None] = end_program,
    wait_bound: Callable[[], Awaitable[None]] = bound_already,
    watch_config: bool = False,
    json_logs: bool = False,
    pages_port: int | None = None,
) -> Application:
    """Puts Hostler together. Nothing is started before its lifespan is.

    on_fatal: called when it cannot go on.
    wait_bound: returns when our own socket is bound.
    watch_config: whether changed files are reloaded by themselves.
    json_logs: whether our own log lines are JSON objects.
    pages_port: the port that serves models' own pages and nothing else; None: there is none.
    """
    catalog = config.current()
    book = LogBook(catalog.logs, sys.stdout.buffer, as_json=json_logs)
    launcher = LocalLauncher()
    bus = Bus()
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry, RECORDED, lambda name: is_configured(config.current(), name))
    standing = Standing(registry)
    store = store_settings(catalog.records)
    activity = ActivityLog(store, on_batch=metrics.fold)
    captures = captures_of(catalog.records, captured.decoded)

    residency = Residency()

    def announced(news: Announce) -> None:
        metrics.announced(news, time.monotonic())
        residency.announced(news)
        bus.changed("modelStatus")

    supervisor = Supervisor(
        catalog, launcher, book, history=History(load_history(store.path)), on_announce=announced, on_fatal=on_fatal
    )
    traces = Traces(os.environ)
    admitted = Admitted()
    inflight = InFlight()
    peers = Peers(catalog)
    profile = ActiveProfile()
    routing = Routing(config.current, profile, Reservations(supervisor.view))
    performance = Performance(
        catalog.monitoring,
        lambda every_s: Sampler(SOURCES, stands_in_for=STANDS_IN_FOR, roots=launcher.roots, every_s=every_s),
        bus,
    )
    HardwareMetrics(registry, lambda: performance.latest)
    services = Services(
        config,
        book,
        launcher,
        supervisor,
        admitted,
        inflight,
        bus,
        activity,
        captures,
        peers,
        profile,
        performance,
        on_fatal,
        wait_bound,
        watch_config,
    )
    unrecorded = traces.onward(inference.model_app(supervisor, admitted, peers))
    serve = Capturing(unrecorded, captures, RECORDED)
    metered = partial(
        Metering,
        current=config.current,
        activity=activity,
        captures=captures,
        recorded=RECORDED,
        on_record=partial(bus.publish, "activity", key=""),
    )
    tunnel = traces.onward(websockets.Tunnel(supervisor, admitted, peers))

    programs = Programs()
    machine = hardware.Hardware(lambda: describe(__version__, Machine(), programs), programs.close)

    async def settle() -> None:
        await activity.flush()
        standing.look(supervisor.view(), config.current().max_queued)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with services.running(), traces.running(), machine.running():
            yield

    def profile_changed() -> None:
        bus.changed("profileChanged")
        bus.changed("modelStatus")

    waits = queue.ShowQueue(config.current, supervisor, inflight, time.monotonic)
    told = event_topics.topics(
        bus, config.current, supervisor.view, lambda: profile.current, inflight, waits.document, pages_port
    )

    to_models: list[BaseRoute] = [
        *inference.routes(serve, routing, metered),
        *upstream.routes(serve, routing, supervisor, metered),
        *comfyui.routes(unrecorded, config.current, supervisor),
        *websockets.routes(
            {
                "/upstream/{rest:path}": lambda app: upstream.Upstream(app, routing, supervisor),
                "/comfyui": lambda app: comfyui.ComfyUI(app, config.current, supervisor),
                "/comfyui/{rest:path}": lambda app: comfyui.ComfyUI(app, config.current, supervisor),
            },
            tunnel,
        ),
    ]
    routes: list[BaseRoute] = [
        *traces.around(track(to_models, inflight)),
        *models.routes(routing, supervisor),
        *health.routes(),
        *control.routes(config.current, supervisor),
        *details.routes(details.Sources(config.current, supervisor, residency, launcher.roots, performance.memory_of)),
        *coming_and_going.routes(residency),
        *queue.routes(config.current, supervisor, inflight),
        *profiles.routes(routing, profile_changed),
        *reloading.routes(services.reloads),
        *configuration.routes(config.current, services.reloads),
        *records.routes(activity, captures.has),
        *captured.routes(captures),
        *figures.routes(registry, settle, supervisor),
        *machine.routes(),
        *logs.routes(config.current, book),
        *hourly.routes(performance),
        *events.routes(events.EventStream(bus, book, told)),
        *version.routes(),
        *index.routes(),
        *ui.routes(config.current),
    ]
    router = Router(guard(shield(routes, config.current), config.current), lifespan=lifespan)
    dispatch = Dispatch(router.routes, router)
    app: ASGIApp = dispatch if pages_port is None else PagesPort(dispatch, pages_port)
    app = NoUpgrade(Preflight(CleanPaths(app)))
    if pages_port is None:
        # On that port hardly any path is let through.
        app = Shortcut(app, dispatch)
    return Application(services, AccessLog(ErrorBoundary(app), book))
