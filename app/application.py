"""`create_app`: the only place where the parts are put together.

router ← clean paths ← preflight ← no upgrade ← error boundary ← access log ← uvicorn
  → auth, around each of these that is not open to everybody
      /v1/chat/completions, …       track → resolve → limit → inference → lease → forwarder
      /upstream/{model}/…           track           → limit → inference → lease → forwarder
      websockets there, /comfyui/…  track           → limit → tunnel → lease
                                             (a peer's model: inference → peers → forwarder)
      everything else               an endpoint each
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Router

from app.config.active import ActiveConfig
from app.endpoints import (
    comfyui,
    config as configuration,
    control,
    events,
    health,
    index,
    inference,
    logs,
    models,
    profiles,
    queue,
    upstream,
    version,
    websockets,
)
from app.launchers.local import LocalLauncher
from app.middleware.access_log import AccessLog
from app.middleware.auth import guard
from app.middleware.cors import Preflight
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.paths import CleanPaths, Dispatch
from app.middleware.track import track
from app.middleware.upgrade import NoUpgrade
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.services import Services
from app.supervisor.supervisor import Supervisor
from app.telemetry.bus import Bus
from app.telemetry.inflight import InFlight
from app.telemetry.logs import LogBook

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Application:
    """The ASGI application, and the services behind it."""

    def __init__(self, services: Services, app: ASGIApp) -> None:
        self.services = services
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection, or the lifespan."""
        await self._app(scope, receive, send)


def end_program() -> None:
    """Ends the program in order, the way an operator would. What `create_app` does for want of anything better."""
    os.kill(os.getpid(), signal.SIGTERM)


async def bound_already() -> None:
    """Says that our socket is bound, for who binds it before the application starts."""


def create_app(
    config: ActiveConfig,
    *,
    on_fatal: Callable[[], None] = end_program,
    wait_bound: Callable[[], Awaitable[None]] = bound_already,
    watch_config: bool = False,
) -> Application:
    """Puts Hostler together. Nothing is started before its lifespan is.

    on_fatal: called when it cannot go on.
    wait_bound: returns when our own socket is bound.
    watch_config: whether changed files are reloaded by themselves.
    """
    catalog = config.current()
    book = LogBook(catalog.logs, sys.stdout.buffer)
    launcher = LocalLauncher()
    bus = Bus()
    supervisor = Supervisor(
        catalog, launcher, book, on_announce=lambda _: bus.changed("modelStatus"), on_fatal=on_fatal
    )
    admitted = Admitted()
    inflight = InFlight()
    peers = Peers(catalog)
    profile = ActiveProfile()
    routing = Routing(config.current, profile, Reservations(supervisor.view))
    services = Services(
        config, book, launcher, supervisor, admitted, inflight, bus, peers, profile, on_fatal, wait_bound, watch_config
    )
    serve = inference.model_app(supervisor, admitted, peers)
    tunnel = websockets.Tunnel(supervisor, admitted, peers)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with services.running():
            yield

    def profile_changed() -> None:
        bus.changed("profileChanged")
        bus.changed("modelStatus")

    waits = queue.ShowQueue(config.current, supervisor, inflight, time.monotonic)
    told = events.topics(bus, config.current, supervisor.view, lambda: profile.current, inflight, waits.document)

    to_models: list[BaseRoute] = [
        *inference.routes(serve, routing),
        *upstream.routes(serve, routing, supervisor),
        *comfyui.routes(serve, config.current, supervisor),
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
        *track(to_models, inflight),
        *models.routes(routing, supervisor),
        *health.routes(),
        *control.routes(config.current, supervisor),
        *queue.routes(config.current, supervisor, inflight),
        *profiles.routes(routing, profile_changed),
        *configuration.routes(services.reloads),
        *logs.routes(config.current, book),
        *events.routes(events.EventStream(bus, book, told)),
        *version.routes(),
        *index.routes(config.current),
    ]
    router = Router(guard(routes, config.current), lifespan=lifespan)
    app = Dispatch(router.routes, router)
    return Application(services, AccessLog(ErrorBoundary(NoUpgrade(Preflight(CleanPaths(app)))), book))
