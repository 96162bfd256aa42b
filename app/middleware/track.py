"""Keeps the list of requests in flight, and ends those that an operator cancels.

Stands around everything that leads to a model. To cancel is what a client does that leaves: the request gives up its place in
the queue, or closes its connection to the upstream. Only that here the client is still there: before its response has begun it is told,
afterwards it sees the response cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.asgi import task_of
from app.errors import CANCELLED, Cancelled
from app.middleware.answer import noted
from app.telemetry.inflight import InFlight

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send


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
        task = task_of(scope)
        inflight = self._inflight
        entry = inflight.enter(scope, task)
        answer, send = noted(scope, send)
        answer.inflight = inflight
        answer.entry = entry
        cancelled: asyncio.CancelledError | None = None
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError as exc:
            cancelled = exc
            raise
        finally:
            answer.entry = None
            inflight.leave(entry)
            # Whatever it ended by, from here on the task is not cancelled any more; unless somebody else wants it to be.
            if entry.cancelled and task.uncancel() == 0 and cancelled is not None:
                raise Cancelled(CANCELLED) from cancelled
