"""Our server: uvicorn, with an order of shutdown and signals that suit a program with children.

- The first SIGINT or SIGTERM: no new connections, endless streams end, requests under way may finish, then models stop.
- The second: everything is killed at once.
- SIGHUP: reload.

uvicorn waits for open responses before it tells the application that it is over, so endless streams are ended first, here.
It also polls for its end ten times a second; here it waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn

from app.application import Application
from app.asgi import MESSAGE_LIMIT
from app.http_limits import LimitedProtocol
from app.services import DRAIN_S, LAST_STOP_S, SHUTDOWN_S, Services
from app.websocket_protocol import WebsocketProtocol

EXIT_FATAL = 70
"""Exit code of a Hostler that could not go on (EX_SOFTWARE of sysexits.h)."""

EXIT_KILLED = 130
"""Exit code after a second signal, as shells know it."""


COLLECT_AFTER = 20_000, 20, 20
"""Python's thresholds of garbage collection: hardly anything of a request is garbage in cycles, so look less often."""


class Server(uvicorn.Server):
    """One server for one application."""

    def __init__(self, config: uvicorn.Config, services: Services, drain_s: float = DRAIN_S) -> None:
        """Prepares. drain_s: seconds that requests under way get to finish when it is to end."""
        super().__init__(config)
        self._drain_s = drain_s
        self.exit_code = 0
        self._services = services
        self._end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reload_asked_early = False
        """Whether SIGHUP came after the configuration was read and before there was a loop to tell."""

    async def main_loop(self) -> None:
        """Serves until told to end."""
        self._loop = asyncio.get_running_loop()
        if self._reload_asked_early:
            self._services.want_reload()
        await self.on_tick(0)
        # What is here now stays: no collection need look at it again, which is 6 % of a busy server's time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        if not self.should_exit:
            await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in order."""
        for server in self.servers:
            server.close()
        self._services.begin_drain()
        time_is_up = asyncio.get_running_loop().call_later(self._drain_s, self._services.end_drain)
        try:
            await super().shutdown(sockets)
        finally:
            time_is_up.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Is the handler of SIGINT and SIGTERM."""
        if self.should_exit:
            self._services.kill()
            os._exit(self.exit_code or EXIT_KILLED)
        self.end(0)

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as `signal` calls it
        """Is the handler of SIGHUP."""
        if self._loop is None:
            self._reload_asked_early = True
        else:
            self._loop.call_soon_threadsafe(self._services.want_reload)

    def end(self, exit_code: int) -> None:
        """Asks the server to end. From the thread of the loop, in a signal handler or not."""
        self.should_exit = True
        self.exit_code = exit_code
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Puts our handlers in place; unlike uvicorn's own, it does not raise the signals again in the end: we exit with 0."""
        handlers = {signal.SIGINT: self.handle_exit, signal.SIGTERM: self.handle_exit}
        if hasattr(signal, "SIGHUP"):
            handlers[signal.SIGHUP] = self.handle_reload
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What is needed to serve HTTPS: names of PEM files."""

    certificate: str
    """The server's certificate, and those between it and the one that clients trust."""
    key: str


def server_config(
    app: Application, *, host: str = "127.0.0.1", port: int = 8080, tls: TlsFiles | None = None
) -> uvicorn.Config:
    """Returns how uvicorn is to serve *app*. tls: None for plain HTTP. HTTP/1.1 is spoken either way."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=LimitedProtocol,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        loop="uvloop" if os.name == "posix" else "asyncio",
        ws=WebsocketProtocol,
        ws_max_size=MESSAGE_LIMIT,
        # Compressing would keep everybody waiting for one: 16 MiB take half a second. What is large here is pictures anyway.
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=30.0,
        lifespan="on",
        interface="asgi3",
        # The access line is ours (middleware/access_log.py), the log, too.
        access_log=False,
        log_config=None,
        # An upstream's own headers go through; two dates would be one too many.
        date_header=False,
        server_header=False,
        # Whose address is believed is decided where it is shown.
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(SHUTDOWN_S - LAST_STOP_S),
    )
