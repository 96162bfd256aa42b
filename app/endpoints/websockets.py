"""Websockets to models: `/upstream/{model}/…` and `/comfyui/…`.

A websocket is a request that loads its model and holds it for as long as it is open: no swap, no ttl ends it. That of a model
with `compat.ignoreWebsockets` does neither: it needs a model that is ready, and is dropped when that is stopped.

The upstream is asked first and the client accepted with what it answered: its subprotocol, or its refusal.
Source: compatibility specification 3.12.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import WebSocketRoute

from app.asgi import ClientDisconnected, cancel_on_disconnect
from app.config.catalog import Model, PeerModel
from app.errors import Conflict
from app.exchange import Exchange, exchange_of
from app.middleware.errors import DENIAL
from app.middleware.limit import Admitted, ConcurrencyLimit, room_in_s
from app.proxy.forwarder import upstream_target
from app.proxy.headers import peer_headers, request_headers, with_instead
from app.proxy.peers import Peers
from app.proxy.transport import UpstreamTransport
from app.proxy.websocket import Refused, accepted_headers, connect, handshake_headers, relay
from app.supervisor.supervisor import Lease, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.proxy.headers import RawHeaders

RECEIVE = "hostler.websocket.receive"
"""Where the websocket's own `receive` lives while its handshake is resolved as a request."""


class Tunnel:
    """Serves the exchange of a websocket: what `Inference` is for requests."""

    def __init__(
        self, supervisor: Supervisor, admitted: Admitted, peers: Peers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._supervisor = supervisor
        self._peers = peers
        self._clock = clock
        self._limited = ConcurrencyLimit(self._hold, admitted, partial(room_in_s, supervisor))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one websocket until it is closed. Raises ClientDisconnected or a HostlerError before it is accepted."""
        model = exchange_of(scope).model
        if isinstance(model, Model) and model.ignore_websockets:
            running = self._supervisor.running(model.id)
            if running is None:
                raise Conflict(f"model {model.id} is not loaded; ignored websocket requests cannot start it")
            await self._serve(scope, receive, send, _already(running.transport))
        else:
            await self._limited(scope, receive, send)

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        model = exchange.model
        if isinstance(model, PeerModel):
            await self._serve(scope, receive, send, self._peers.transport(model.peer))
        else:
            exchange.claim = lease = self._supervisor.lease(model.id)
            await self._serve(scope, receive, send, _leased(lease))

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, held: AbstractAsyncContextManager[UpstreamTransport]
    ) -> None:
        exchange = exchange_of(scope)
        async with AsyncExitStack() as stack:
            # A client that leaves now leaves the queue; once it is accepted, `relay` sees to it.
            async with cancel_on_disconnect(receive, scope):
                transport = await stack.enter_async_context(held)
                exchange.granted_at = self._clock()
                try:
                    upstream = await connect(
                        transport,
                        upstream_target(transport.base_path, exchange.path.encode("latin-1"), exchange.query),
                        handshake_headers(_headers(exchange, scope, transport)),
                        scope["subprotocols"],
                    )
                except Refused as exc:
                    await _refuse(exc, exchange, send)
                    return
                stack.callback(upstream.transport.abort)
            exchange.status = 101
            await send(
                {
                    "type": "websocket.accept",
                    "subprotocol": upstream.subprotocol,
                    "headers": accepted_headers(upstream),
                }
            )
            await relay(scope, receive, send, upstream, transport)


@asynccontextmanager
async def _leased(lease: Lease) -> AsyncIterator[UpstreamTransport]:
    async with lease as running:
        yield running.transport


@asynccontextmanager
async def _already(transport: UpstreamTransport) -> AsyncIterator[UpstreamTransport]:
    yield transport


def _headers(exchange: Exchange, scope: Scope, transport: UpstreamTransport) -> RawHeaders:
    if isinstance(exchange.model, PeerModel):
        key = exchange.model.peer.api_key
        headers = peer_headers(scope["headers"], method="GET", body_size=0, host=transport.host, api_key=key)
    else:
        client = scope["client"][0].encode() if scope["client"] else b""
        headers = request_headers(scope["headers"], method="GET", body_size=0, client=client, host=transport.host)
    return headers if exchange.outgoing is None else with_instead(headers, exchange.outgoing())


async def _refuse(refused: Refused, exchange: Exchange, send: Send) -> None:
    exchange.status = refused.status
    await send({"type": "http.response.start", "status": refused.status, "headers": refused.headers})
    await send({"type": "http.response.body", "body": refused.body})


class Handshake:
    """ASGI endpoint: resolves a websocket's handshake as the GET request without a body that it is."""

    def __init__(self, resolve: Callable[[ASGIApp], ASGIApp], tunnel: ASGIApp) -> None:
        """Prepares for one endpoint.

        resolve: makes the endpoint that finds the exchange and passes on to the application it was given.
        tunnel: takes it from there.
        """
        self._tunnel = tunnel
        self._endpoint = resolve(self._resolved)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one websocket."""
        if (await receive())["type"] != "websocket.connect":
            raise ClientDisconnected
        scope["method"] = "GET"
        scope[RECEIVE] = receive
        await self._endpoint(scope, _no_body, _Answer(scope, send).send)

    async def _resolved(self, scope: Scope, _no_body: Receive, send: Send) -> None:
        await self._tunnel(scope, scope[RECEIVE], send)


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


class _Answer:
    """Lets whoever answers a handshake with a response do so as for any request."""

    __slots__ = ("_can_deny", "_send")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._can_deny = DENIAL in scope.get("extensions", {})

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if not kind.startswith("http.response."):
            await self._send(message)
        elif self._can_deny:
            await self._send({**message, "type": f"websocket.{kind}"})
        elif kind == "http.response.start":
            # All that ASGI knows without the extension: 403.
            await self._send({"type": "websocket.close"})


def routes(paths: dict[str, Callable[[ASGIApp], ASGIApp]], tunnel: ASGIApp) -> list[WebSocketRoute]:
    """Returns a route for each of *paths*, resolved by the endpoint beside it."""
    return [WebSocketRoute(path, Handshake(resolve, tunnel)) for path, resolve in paths.items()]
