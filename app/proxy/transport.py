"""How requests reach one upstream: a lean native method, and httpx's transport interface on top of it.

The native method deals in raw bytes and lists of headers, because building httpx's objects costs as much as forwarding a whole
small request does without them (design.md 3). `handle_async_request` is the same thing for all who want httpx.

One transport per upstream instance: it dies with its instance, so no socket ever leads to a process that has been swapped
away, and its pool stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from app.errors import UpstreamError
from app.proxy.connection import (
    AnswerBroken,
    AnswerTimedOut,
    BadAnswer,
    ConnectFailed,
    Connection,
    ConnectTimedOut,
    Framing,
)
from app.proxy.transport_pool import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.asgi import Body
    from app.config.catalog import Timeouts

RawHeaders = list[tuple[bytes, bytes]]

DEFAULT_PORTS = {"http": 80, "https": 443}


class UpstreamResponse:
    """An answer whose head has arrived. Whoever holds it closes it."""

    __slots__ = ("_connection", "framing", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self.status: int = connection.status
        self.headers: RawHeaders = connection.headers
        """As sent, but for names in lower case; hop-by-hop headers are among them."""
        self.framing: Framing = connection.framing

    @property
    def at_end(self) -> bool:
        """Whether everything was read; then `read_some` has only b'' to say. False does not promise more."""
        connection = self._connection
        return connection is None or (connection.complete and not connection.chunks)

    async def read_some(self) -> bytes:
        """Returns everything that has arrived since the last call, waiting if that is nothing; b'' at the end.

        Raises an UpstreamError when the answer ends before it is complete, after what came before was read.
        """
        connection = self._connection
        if connection is None:
            raise RuntimeError("this response was closed")
        while not connection.chunks:
            if connection.complete:
                return b""
            await connection.arrival()
        return connection.take()

    def close(self) -> None:
        """Ends the exchange, at once and without waiting. May be repeated.

        The connection is kept for reuse when the whole answer has arrived and both sides allow it. If not, it is closed now, so
        that the upstream learns that nobody listens any more.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    async def aclose(self) -> None:
        """Does what `close` does."""
        self.close()


class UpstreamTransport(httpx.AsyncBaseTransport):
    """Sends requests to one upstream, over connections of its own.

    It follows no redirects, keeps no cookies, adds no headers, asks no environment for proxies and decodes nothing.
    """

    def __init__(self, base_url: str, timeouts: Timeouts) -> None:
        """Connects to nothing yet.

        base_url: where the upstream serves, `http` or `https`. Raises ValueError if it is something else. Certificates are verified.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"not an http or https URL: {base_url!r}")
        default_port = DEFAULT_PORTS[parts.scheme]
        port = parts.port or default_port
        self.base_path = (f"{parts.path}?{parts.query}" if parts.query else parts.path).encode()
        """Path and query of the base URL: what stands before the path and query of a request."""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.host = (host if port == default_port else f"{host}:{port}").encode()
        """`Host` for requests that bring none."""
        self.pool = ConnectionPool(parts.scheme, parts.hostname, port, timeouts)
        self._header_timeout_s = timeouts.response_header_s

    @property
    def origin(self) -> str:
        """Scheme, host and port, as messages name them."""
        return self.pool.origin

    async def request(
        self, method: bytes | str, target: bytes, headers: RawHeaders, body: Body | bytes = b""
    ) -> UpstreamResponse:
        """Sends a request and returns its answer as soon as the head of that is here.

        The caller gives every header, `Host` and `Content-Length` included, and closes the response.

        Raises an UpstreamError: ConnectFailed and ConnectTimedOut (nothing was sent), AnswerTimedOut, AnswerBroken, BadAnswer,
        TransportClosed; ValueError when the head would not stay one head on the wire.
        """
        if isinstance(method, str):
            method = method.encode()
        lines = [b"%b %b HTTP/1.1" % (method, target), *map(b": ".join, headers), b"\r\n"]
        head = b"\r\n".join(lines)
        # The cheapest check there is against a line smuggled in by a header: count them.
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or target.find(b" ") >= 0:
            raise ValueError("a line break in a request header, or a blank in its path")
        is_head = method == b"HEAD"
        pool = self.pool
        connection = pool.take()
        if connection is not None:
            try:
                await connection.ask(head, body, is_head, self._header_timeout_s, pool.turn)
            except AnswerBroken:
                # A kept-alive connection that its server closed while our request was on the way. Nothing was answered, so
                # nothing was done: ask again, once, on a connection that cannot be stale.
                if connection.answered:
                    raise
            else:
                return UpstreamResponse(connection)
        connection = await pool.connect()
        await connection.ask(head, body, is_head, self._header_timeout_s)
        return UpstreamResponse(connection)

    async def aclose(self) -> None:
        """Closes all connections. What is in flight fails with TransportClosed. Returns when the sockets are closed."""
        await self.pool.aclose()

    # httpx's transport interface

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Does for httpx what `request` does; its URL's origin is not looked at, and its time-outs are ours.

        A request body is taken into memory first, so that it can be sent again.
        """
        body = await request.aread()
        headers = [
            (name, value)
            for name, value in request.headers.raw
            if name.lower() not in {b"transfer-encoding", b"content-length"}
        ]
        if body or "content-length" in request.headers or "transfer-encoding" in request.headers:
            headers.append((b"content-length", b"%d" % len(body)))
        try:
            response = await self.request(request.method, request.url.raw_path, headers, body)
        except UpstreamError as exc:
            raise _as_httpx(exc, request) from exc
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_AnswerStream(response, request),
            extensions={"http_version": b"HTTP/1.1"},
        )


class _AnswerStream(httpx.AsyncByteStream):
    """The body of an answer as httpx reads it."""

    def __init__(self, response: UpstreamResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._response.read_some():
                yield data
        except UpstreamError as exc:
            raise _as_httpx(exc, self._request) from exc

    async def aclose(self) -> None:
        self._response.close()


def _as_httpx(error: UpstreamError, request: httpx.Request) -> httpx.TransportError:
    """Returns what httpx calls *error*."""
    kind: type[httpx.TransportError]
    match error:
        case ConnectTimedOut():
            kind = httpx.ConnectTimeout
        case AnswerTimedOut():
            kind = httpx.ReadTimeout
        case ConnectFailed():
            kind = httpx.ConnectError
        case BadAnswer():
            kind = httpx.RemoteProtocolError
        case AnswerBroken() if error.__cause__ is None:
            kind = httpx.RemoteProtocolError
        case _:
            kind = httpx.ReadError
    return kind(str(error), request=request)
