"""`create_app`: the only place where the parts are put together.

error boundary ← access log ← uvicorn
  → router
      /v1/chat/completions, …   resolve → limit → inference → lease → forwarder
      /upstream/{model}/…                 limit → inference → lease → forwarder
      everything else           an endpoint each
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.routing import Route, Router

from app.asgi import send_bytes
from app.config.active import ActiveConfig
from app.endpoints import control, health, index, inference, logs, models, upstream, version
from app.launchers.local import LocalLauncher
from app.middleware.access_log import AccessLog
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.services import Services
from app.supervisor.supervisor import Supervisor
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
    supervisor = Supervisor(catalog, launcher, book, on_fatal=on_fatal)
    admitted = Admitted()
    services = Services(config, book, launcher, supervisor, admitted, on_fatal, wait_bound, watch_config)
    serve = inference.model_app(supervisor, admitted)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with services.running():
            yield

    router = Router(
        [
            # In front what is asked most often: the router tries them in order.
            *inference.routes(serve, config.current),
            *models.routes(config.current, supervisor),
            *health.routes(),
            *control.routes(config.current, supervisor),
            *upstream.routes(serve, config.current),
            *logs.routes(config.current, book),
            *version.routes(),
            *index.routes(config.current),
        ],
        redirect_slashes=False,
        default=not_found,
        lifespan=lifespan,
    )
    return Application(services, AccessLog(ErrorBoundary(ShortCut(router)), book))


class ShortCut:
    """Finds routes without parameters by their path; the router would try one pattern after the other.

    Everything else, methods that do not fit included, is the router's.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._apps: dict[tuple[str, str], ASGIApp] = {}
        for route in router.routes:
            if isinstance(route, Route) and not route.param_convertors:
                for method in route.methods or ():
                    self._apps.setdefault((method, route.path), route.app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection, or the lifespan."""
        app: ASGIApp = self._router
        if scope["type"] == "http" and not scope.get("root_path"):
            app = self._apps.get((scope["method"], scope["path"]), app)
        await app(scope, receive, send)


async def not_found(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers for paths that nothing is at."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await send_bytes(send, 404, b"404 page not found\n", headers=[(b"x-content-type-options", b"nosniff")])
