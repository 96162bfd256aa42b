"""A websocket to an upstream, and the tunnel between it and a client's.

Messages are passed on whole, as text or binary, one at a time in each direction: a message is only read once the last one has been
taken by the other side, so a slow reader slows its writer down and at most a few messages wait here. Pings are answered on each
side for itself. A close goes on to the other side with its code and reason.

However it ends (either side closes or vanishes, the upstream is stopped), both sides are closed and nothing is left
after `CLOSE_S` at most.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from app.asgi import CONNECTION, MESSAGE_LIMIT
from app.proxy.connection import AnswerTimedOut, BadAnswer, ConnectFailed, ConnectTimedOut, TransportClosed
from app.proxy.headers import response_headers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send
    from websockets.http11 import Request, Response

    from app.proxy.headers import RawHeaders
    from app.proxy.transport import UpstreamTransport

quiet = logging.getLogger(f"{__name__}.frames")
quiet.setLevel(logging.WARNING)
"""At DEBUG the library would write every message into the log."""

CLOSE_S = 5.0
"""Seconds that either side has to answer a close."""

WAITING = 4, 1
"""Frames of the upstream that wait to be read: above the first it is no longer read, until they are fewer than the second."""

GOING_AWAY = 1001
NO_STATUS = 1005
BROKEN = 1011

_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class Refused(Exception):
    """The upstream answered the handshake with a response of its own, which is the client's to read."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the model's server answered a websocket's handshake with {response.status_code}")
        self.status = response.status_code
        self.headers = response_headers(_raw(response), response.status_code)
        self.body = bytes(response.body)


def handshake_headers(headers: RawHeaders) -> RawHeaders:
    """Returns what goes on of *headers*, which are those of a request to the same upstream."""
    return [
        header for header in headers if not header[0].startswith(b"sec-websocket-") and header[0] != b"content-length"
    ]


async def connect(
    transport: UpstreamTransport, target: bytes, headers: RawHeaders, subprotocols: Sequence[str]
) -> ClientConnection:
    """Opens a websocket to the upstream of *transport*. Whoever gets it closes it. Redirects are not followed.

    headers: with `Host`. subprotocols: what the client offers; the upstream's choice is in the result.
    Raises Refused, UpstreamError.
    """
    pool = transport.pool
    parts = urlsplit(pool.origin)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname, parts.port
    assert host is not None
    assert port is not None
    protocol = _Handshake(WebSocketURI(is_tls, host, port, "/", ""), target, headers, subprotocols)
    tls: ssl.SSLContext | None = await anyio.to_thread.run_sync(httpx.create_ssl_context) if is_tls else None
    if pool.closing.is_set():
        raise TransportClosed(f"the model's server at {pool.origin} is being stopped")

    def made() -> ClientConnection:
        # No pings: a busy model server answers late, and whether its process lives is known without.
        return ClientConnection(protocol, ping_interval=None, close_timeout=CLOSE_S, max_queue=WAITING)

    within_s = pool.timeouts.connect_s
    try:
        with anyio.fail_after(within_s if within_s > 0 else None):
            _, upstream = await asyncio.get_running_loop().create_connection(
                made, host, port, ssl=tls, server_hostname=host if is_tls else None
            )
    except TimeoutError as exc:
        raise ConnectTimedOut(f"no connection to the model's server at {pool.origin} within {within_s:g} s") from exc
    except OSError as exc:
        raise ConnectFailed(f"no connection to the model's server at {pool.origin}: {exc}") from exc
    within_s = pool.timeouts.response_header_s
    try:
        with anyio.fail_after(within_s if within_s > 0 else None):
            await upstream.handshake(user_agent_header=None)
    except BaseException as exc:
        upstream.transport.abort()
        match exc:
            case InvalidStatus():
                raise Refused(exc.response) from exc
            case TimeoutError():
                raise AnswerTimedOut(
                    f"no answer from the model's server at {pool.origin} within {within_s:g} s"
                ) from exc
            case InvalidHandshake() | OSError() | EOFError():
                raise BadAnswer(f"no websocket to the model's server at {pool.origin}: {_told(exc)}") from exc
        raise
    return upstream


class _Handshake(ClientProtocol):
    """The library's own opening handshake, with our target and headers."""

    def __init__(self, uri: WebSocketURI, target: bytes, headers: RawHeaders, subprotocols: Sequence[str]) -> None:
        offered = [Subprotocol(name) for name in subprotocols]
        # No compression: it would cost both processes time for a few bytes less in the same memory.
        super().__init__(uri, subprotocols=offered or None, max_size=MESSAGE_LIMIT, logger=quiet)
        self._target = target
        self._headers = headers

    def connect(self) -> Request:
        request = super().connect()
        request.path = self._target.decode("latin-1")
        del request.headers["Host"]
        for name, value in self._headers:
            request.headers[name.decode("latin-1")] = value.decode("latin-1")
        return request


def accepted_headers(upstream: ClientConnection) -> RawHeaders:
    """Returns what the upstream's acceptance tells the client beyond the handshake: cookies and the like."""
    assert upstream.response is not None
    headers = handshake_headers(response_headers(_raw(upstream.response), 101))
    return [header for header in headers if header[0] not in {b"date", b"server"}]


def _raw(response: Response) -> RawHeaders:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.raw_items()]


def _told(exc: BaseException) -> str:
    return f"{exc}: {exc.__cause__}" if exc.__cause__ is not None else str(exc) or type(exc).__name__


@dataclass(slots=True)
class Ending:
    """How a tunnel ends: as each side is told. The first one to end it decides."""

    to_client: tuple[int, str] | None = None
    to_upstream: tuple[int, str] = (GOING_AWAY, "")


async def relay(
    scope: Scope, receive: Receive, send: Send, upstream: ClientConnection, transport: UpstreamTransport
) -> None:
    """Passes messages between a client, accepted already, and *upstream* until one of them ends it; then both are closed."""
    ending = Ending()
    connection = scope.get(CONNECTION)
    try:
        async with anyio.create_task_group() as group:

            def client_is_lost() -> None:
                # What it has sent before may still be delivered, but not for longer.
                group.cancel_scope.deadline = min(
                    group.cancel_scope.deadline, asyncio.get_running_loop().time() + CLOSE_S
                )

            async def to_upstream() -> None:
                while True:
                    message = await receive()
                    if message["type"] != "websocket.receive":
                        ending.to_upstream = _passed_on(message.get("code"), message.get("reason"), GOING_AWAY)
                        group.cancel_scope.cancel()
                        return
                    data = message.get("bytes")
                    try:
                        await upstream.send(data if data is not None else message["text"])
                    except ConnectionClosed:
                        # `to_client` learns it, too, once it has passed on what came before.
                        return

            async def to_client() -> None:
                try:
                    while True:
                        data = await upstream.recv()
                        kind = "text" if isinstance(data, str) else "bytes"
                        await send({"type": "websocket.send", kind: data})
                except ConnectionClosed as exc:
                    ending.to_client = _of_upstream(exc)
                    group.cancel_scope.cancel()
                except OSError:
                    # ASGI's way to say that the client has left.
                    client_is_lost()

            async def until_stopped() -> None:
                await transport.pool.closing.wait()
                ending.to_client = GOING_AWAY, "the model is being stopped"
                group.cancel_scope.cancel()

            if connection is not None and not connection.watch(client_is_lost):
                client_is_lost()
            group.start_soon(to_upstream, name="websocket to upstream")
            group.start_soon(to_client, name="websocket to client")
            group.start_soon(until_stopped, name="websocket until its model is stopped")
    finally:
        if connection is not None:
            connection.watch(None)
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + CLOSE_S):
            await _close(ending, send, upstream)
        upstream.transport.abort()


async def _close(ending: Ending, send: Send, upstream: ClientConnection) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(upstream.close, *ending.to_upstream, name="close of websocket to upstream")
        if ending.to_client is not None:
            code, reason = ending.to_client
            try:
                await send({"type": "websocket.close", "code": code, "reason": reason})
            except OSError:
                # It has left by itself.
                return


def _of_upstream(exc: ConnectionClosed) -> tuple[int, str]:
    """Returns what the client is told of an upstream's end."""
    if exc.rcvd is not None and (exc.sent is None or exc.rcvd_then_sent):
        return _passed_on(exc.rcvd.code, exc.rcvd.reason, BROKEN)
    if exc.sent is not None:
        # We have ended it: a message too long, or no message at all.
        return exc.sent.code, exc.sent.reason
    return BROKEN, "the model's server has gone"


def _passed_on(code: int | None, reason: str | None, otherwise: int) -> tuple[int, str]:
    """Returns a close as it goes on: *otherwise* for codes that say only that no close was received."""
    if code == NO_STATUS and reason is not None:
        # A close without a code, in order; whoever has just vanished leaves no reason either.
        return 1000, ""
    if code is not None and (code in _SENDABLE or 3000 <= code < 5000):
        return code, reason or ""
    return otherwise, ""
