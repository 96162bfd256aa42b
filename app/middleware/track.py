"""Keeps the list of requests in flight, and ends those that an operator cancels.

Stands around everything that leads to a model. To cancel is what a client does that leaves: the request gives up its place in
the queue, or closes its connection to the upstream. Only that here the client is still there: before its response has begun it is told,
afterwards it sees the response cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.errors import Cancelled
from app.telemetry.inflight import Entry, InFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def track(routes: Iterable[BaseRoute], inflight: InFlight) -> list[BaseRoute]:
    """Puts the layer around the endpoint of each of *routes*, and returns them all."""
    tracked = list(routes)
    for route in tracked:
        assert isinstance(route, Route | WebSocketRoute), f"cannot track {route!r}"
        route.app = Track(route.app, inflight)
    return tracked


class Track:
    """ASGI layer of one endpoint, HTTP or websocket."""

    def __init__(self, app: ASGIApp, inflight: InFlight) -> None:
        self._app = app
        self._inflight = inflight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises Cancelled when an operator has ended it, and nobody else."""
        task = asyncio.current_task()
        assert task is not None
        inflight = self._inflight
        entry = inflight.enter(scope, task)
        cancelled: asyncio.CancelledError | None = None
        try:
            await self._app(scope, receive, _Responder(send, entry, inflight).send)
        except asyncio.CancelledError as exc:
            cancelled = exc
            raise
        finally:
            inflight.leave(entry)
            # Whatever it ended by, from here on the task is not cancelled any more; unless somebody else wants it to be.
            if entry.cancelled and task.uncancel() == 0 and cancelled is not None:
                raise Cancelled("the request was cancelled by the operator") from cancelled


class _Responder:
    """What is noted of one response on its way out."""

    __slots__ = ("_entry", "_inflight", "_send")

    def __init__(self, send: Send, entry: Entry, inflight: InFlight) -> None:
        self._send = send
        self._entry = entry
        self._inflight = inflight

    def send(self, message: Message) -> Awaitable[None]:
        """Notes and passes on. Not a coroutine function, since that would cost each chunk of a stream another coroutine."""
        kind = message["type"]
        if kind == "http.response.body" or kind == "websocket.http.response.body":  # noqa: PLR1714 - the first is quicker
            self._entry.resp_bytes += len(message.get("body", b""))
        elif kind in {"http.response.start", "websocket.http.response.start"}:
            self._inflight.answered(self._entry, message["status"], message.get("headers", ()))
        elif kind == "websocket.send":
            data = message.get("bytes")
            self._entry.resp_bytes += len(message["text"].encode() if data is None else data)
        elif kind == "websocket.accept":
            self._inflight.answered(self._entry, 101, message.get("headers", ()))
        return self._send(message)
