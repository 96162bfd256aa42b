"""Serves an ASGI application by a real uvicorn, on a free port, in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: anyio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()


@asynccontextmanager
async def served(
    app: ASGIApp,
    http: type[asyncio.Protocol] | Literal["httptools"] = "httptools",
    ws: type[asyncio.Protocol] | Literal["none"] = "none",
) -> AsyncIterator[str]:
    """Yields the URL at which *app* is served. http, ws: the protocols that serve it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, interface="asgi3", lifespan="off", log_config=None, ws=ws, loop="asyncio", http=http
        )
        listening = anyio.Event()
        server = _Server(config, listening)
        async with anyio.create_task_group() as group:
            # `_serve` and not `serve`: that one would take over the signals of the test run.
            group.start_soon(server._serve, [listener])
            await listening.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
