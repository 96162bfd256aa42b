"""From a resolved exchange to its model and back: the innermost ASGI application of every request for a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from app.asgi import cancel_on_disconnect
from app.config.catalog import PeerModel
from app.endpoints.table import ENDPOINTS, Source
from app.exchange import exchange_of
from app.middleware.limit import Admitted, ConcurrencyLimit, room_in_s
from app.middleware.resolve import Resolve
from app.proxy.forwarder import forward
from app.proxy.peers import Peers
from app.routing.resolve import Routing
from app.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Inference:
    """Waits for the model, forwards, gives it back."""

    def __init__(self, supervisor: Supervisor, peers: Peers, clock: Callable[[], float] = time.monotonic) -> None:
        self._supervisor = supervisor
        self._peers = peers
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one exchange. Raises ClientDisconnected, UpstreamError, Unavailable."""
        exchange = exchange_of(scope)
        model = exchange.model
        if isinstance(model, PeerModel):
            async with cancel_on_disconnect(receive, scope):
                exchange.granted_at = self._clock()
                await self._peers.forward(exchange, model, scope, send)
            return
        # Outside the lease, so that a client that hangs up while it is queued leaves the queue.
        exchange.claim = lease = self._supervisor.lease(model.id)
        async with cancel_on_disconnect(receive, scope), lease as running:
            exchange.granted_at = self._clock()
            await forward(exchange, scope, send, running.transport)


def model_app(supervisor: Supervisor, admitted: Admitted, peers: Peers) -> ASGIApp:
    """Returns what serves a resolved exchange."""
    return ConcurrencyLimit(Inference(supervisor, peers), admitted, partial(room_in_s, supervisor))


def routes(serve: ASGIApp, routing: Routing) -> list[Route]:
    """Returns a route for each row of the table."""
    return [
        Route(
            row.path,
            Resolve(serve, routing, path=row.upstream_path, in_query=row.source is Source.QUERY),
            methods=[row.method],
        )
        for row in ENDPOINTS
    ]
