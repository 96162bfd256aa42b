"""From a resolved exchange to its model and back: the innermost ASGI application of every request for a model."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import FIRST_VALUES, cancel_on_disconnect
from app.config.catalog import PeerModel
from app.endpoints.table import ENDPOINTS, Source
from app.exchange import KEY, Exchange
from app.middleware.answer import ANSWER, Answer
from app.middleware.limit import Admitted, ConcurrencyLimit, room_in_s
from app.middleware.resolve import Resolve
from app.proxy.forwarder import forward
from app.proxy.loading import PACE, LoadingStream, Pace, plain
from app.proxy.loading_text import Holder, Standing
from app.proxy.peers import Peers
from app.proxy.timing import timing_headers
from app.routing.resolve import Routing
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Lease, Supervisor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Inference:
    """Waits for the model, forwards, gives it back."""

    def __init__(
        self,
        supervisor: Supervisor,
        peers: Peers,
        clock: Callable[[], float] = time.monotonic,
        pace: Pace = PACE,
    ) -> None:
        self._supervisor = supervisor
        self._peers = peers
        self._clock = clock
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one exchange. Raises ClientDisconnected, UpstreamError, Unavailable."""
        exchange: Exchange = scope[KEY]
        model = exchange.model
        if isinstance(model, PeerModel):
            async with cancel_on_disconnect(receive, scope):
                exchange.granted_at = self._clock()
                await self._peers.forward(exchange, model, scope, send)
            return
        exchange.claim = lease = self._supervisor.lease(model.id)
        exchange.queued_at = self._clock()
        if exchange.streaming and model.send_loading_state:
            row = _STREAMS.get(exchange.path)
            if row is not None and row.grammar is not None:
                standing = partial(_standing, self._supervisor, lease) if row.tells_loading else None
                stream = LoadingStream(
                    scope,
                    send,
                    model.id,
                    row.grammar,
                    standing,
                    self._pace,
                    self._clock,
                    is_cancelled=partial(_is_cancelled, scope),
                )
                await self._serve_telling(exchange, scope, receive, lease, stream)
                return
        # Outside the lease, so that a client that hangs up while it is queued leaves the queue.
        async with cancel_on_disconnect(receive, scope), lease as running:
            exchange.granted_at = self._clock()
            exchange.swap_s = lease.swap_s
            await forward(exchange, scope, send, running.transport, added=timing_headers)

    async def _serve_telling(
        self, exchange: Exchange, scope: Scope, receive: Receive, lease: Lease, stream: LoadingStream
    ) -> None:
        scope = {**scope, "headers": plain(scope["headers"]), FIRST_VALUES: None}
        # The lease ends first, so that a client that is slow to read of a failure holds no model.
        async with cancel_on_disconnect(receive, scope), stream, lease as running:
            stream.granted()
            exchange.granted_at = self._clock()
            exchange.swap_s = lease.swap_s
            await forward(exchange, scope, stream.send, running.transport, added=timing_headers)


_STREAMS = {row.upstream_path: row for row in ENDPOINTS if row.grammar is not None}
"""Rows whose streams may begin before the upstream's answer, by what the upstream is asked for."""


def _is_cancelled(scope: Scope) -> bool:
    """Returns whether an operator has cancelled the request."""
    answer: Answer | None = scope.get(ANSWER)
    return answer is not None and answer.entry is not None and answer.entry.cancelled


def _standing(supervisor: Supervisor, lease: Lease) -> Standing | None:
    """Returns how a waiting request stands, in the words of the loading stream."""
    queued = supervisor.place(lease.ticket)
    if queued is None:
        return None
    holders = tuple(Holder(each.model, each.leases, _DOING.get(each.phase, "")) for each in queued.held_by)
    return Standing(queued.position, queued.wait_s, holders)


_DOING = {Phase.STARTING: "loading", Phase.STOPPING: "stopping"}


def model_app(supervisor: Supervisor, admitted: Admitted, peers: Peers, pace: Pace = PACE) -> ASGIApp:
    """Returns what serves a resolved exchange. pace: of the text for clients that wait."""
    inference = Inference(supervisor, peers, pace=pace)
    return ConcurrencyLimit(inference, admitted, partial(room_in_s, supervisor))


class Wrap(Protocol):
    """Puts another layer around an endpoint."""

    def __call__(self, app: ASGIApp, *, path: str = "") -> ASGIApp:
        """Returns *app* with the layer around it. path: what the upstream is asked for there; empty: it depends."""


def unwrapped(app: ASGIApp, *, path: str = "") -> ASGIApp:  # noqa: ARG001 - as Wrap has it
    """Puts nothing around *app*."""
    return app


def routes(serve: ASGIApp, routing: Routing, wrap: Wrap = unwrapped) -> list[Route]:
    """Returns a route for each row of the table. wrap: puts around each what stands outside of the finding of its model."""
    return [
        Route(
            row.path,
            wrap(
                Resolve(serve, routing, path=row.upstream_path, in_query=row.source is Source.QUERY),
                path=row.upstream_path,
            ),
            methods=[row.method],
        )
        for row in ENDPOINTS
    ]
