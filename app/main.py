"""What `uvicorn app.main:app` serves; the path of the configuration comes from HOSTLER_CONFIG."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import anyio
import psutil

from app.application import Application, create_app
from app.config.active import ActiveConfig
from app.config.loader import load
from app.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LOOK_EVERY_S = 0.05
LOOK_FOR_S = 10.0
"""A server whose sockets we cannot see is taken to have bound them by then."""


async def wait_bound() -> None:
    """Returns when this process listens on a TCP port: uvicorn starts the application first and tells it nothing later."""
    process = psutil.Process()
    with anyio.move_on_after(LOOK_FOR_S):
        while not any(entry.status == psutil.CONN_LISTEN for entry in process.net_connections("tcp")):  # noqa: ASYNC110 - no event
            await anyio.sleep(LOOK_EVERY_S)


def workers_asked_for() -> int:
    """Returns how many workers uvicorn was asked for, as far as a worker can tell."""
    arguments = sys.argv
    for at, argument in enumerate(arguments):
        if argument == "--workers" and arguments[at + 1 : at + 2]:
            return _number(arguments[at + 1])
        if argument.startswith("--workers="):
            return _number(argument.partition("=")[2])
    return _number(os.environ.get("WEB_CONCURRENCY", "1"))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 1


def _app() -> Application:
    if multiprocessing.parent_process() is not None and workers_asked_for() > 1:
        print(  # noqa: T201 - there is no log yet
            "hostler: one worker only: each would start models of its own and evict the others' without knowing. "
            "Run uvicorn without --workers (and WEB_CONCURRENCY); one process serves thousands of requests a second.",
            file=sys.stderr,
            flush=True,
        )
        # uvicorn's parent would replace a worker that ends by another one, for ever.
        os.kill(os.getppid(), signal.SIGTERM)
        raise SystemExit(1)
    path = os.environ.get("HOSTLER_CONFIG", "config.yaml")
    try:
        config = ActiveConfig(lambda ports: load(path, environ=os.environ, ports=ports))
    except ConfigError as exc:
        print(f"hostler: {exc}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    return create_app(config, wait_bound=wait_bound)


class UnderUvicorn:
    """The application with what our own server (`app/server.py`) does for it otherwise."""

    def __init__(self, application: Application) -> None:
        self.services = application.services
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a connection, or the lifespan."""
        if scope["type"] == "lifespan":
            self._prepare()
        await self._application(scope, receive, send)

    def _prepare(self) -> None:
        # uvicorn waits for open responses before it ends the lifespan: log streams have to be ended before.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._draining(signal.getsignal(number)))
        # Our access lines are in our own log; twice is once too many.
        access = logging.getLogger("uvicorn.access")
        access.handlers.clear()
        access.propagate = False

    def _draining(self, before: Callable[[int, FrameType | None], object] | int | None) -> Callable[..., None]:
        def handler(number: int, frame: FrameType | None) -> None:
            if self.services.draining_since is None:
                self.services.begin_drain()
            if callable(before):
                before(number, frame)

        return handler


app = UnderUvicorn(_app())
