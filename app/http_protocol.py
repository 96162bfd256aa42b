"""uvicorn's HTTP protocol, with two savings for every request (docs/benchmarks.md).

One system call for a response's head and body instead of two: ASGI sends the head and each piece of the body as messages of their own, and uvicorn writes each at once. Joining what is
written in one turn of the loop saves a system call, and the client a wake-up; a piece that comes alone is still written before the
loop looks for anything else.

And the protocol itself tells who wants to know that the client has left (`app.asgi.Connection`), which would otherwise take a
task that waits in `receive`.

Upgrades
--------
- `websocket` is handed over to `WebsocketProtocol`.
- `h2c` is ignored and the request served as the HTTP/1.1 request it is (RFC 9110, 7.8 leaves that to the server): curl
  --http2 and Java's own client offer it with every request they make, and are content without.
- Whoever asks for anything else could not go on without it: the application answers 501 (`UPGRADE` in the scope).

The parser takes what follows the head of an upgrade for another protocol, even if it is the body the head has announced. So such
a request is set aside and read again by a new parser, its `Upgrade` header left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.asgi import CONNECTION, UPGRADE

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from websockets.http11 import Request

quiet = logging.getLogger(f"{__name__}.websockets")
quiet.setLevel(logging.WARNING)
"""uvicorn tells of each handshake, with its query, and at DEBUG of each message: the one is in the access log, the other nobody's business."""

BAD_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\nbad websocket request"
)


class CorkedProtocol(HttpToolsProtocol):
    """One client's connection."""

    _when_lost: Callable[[], None] | None = None
    _is_lost = False
    _is_set_aside = False
    """Whether the request being read is only looked at, to be read again."""
    _refused_upgrade = b""
    """The protocol that the next request asked for in vain."""

    def watch(self, when_lost: Callable[[], None] | None) -> bool:
        """Has *when_lost* called once when the client leaves; see `app.asgi.Connection`."""
        self._when_lost = when_lost
        if when_lost is not None:
            # Reading may rest since the last piece of a large body; without it nobody would see the connection end.
            self.flow.resume_reading()
        return not self._is_lost

    def abort(self) -> None:
        """Cuts the connection at once; see `app.asgi.Connection`."""
        self.transport.abort()

    def hold(self, most: int | None) -> None:
        """Sets how much may be buffered for the client; see `app.asgi.Connection`."""
        self.transport.set_write_buffer_limits(most)

    def on_message_begin(self) -> None:
        """Puts itself into the scope of a new request."""
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[CONNECTION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells who wants to know."""
        self._is_lost = True
        super().connection_lost(exc)
        when_lost, self._when_lost = self._when_lost, None
        if when_lost is not None:
            when_lost()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; as uvicorn does it, but for upgrades."""
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as exc:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                if not self._is_set_aside:
                    # CONNECT, which has been refused; what follows is for somebody else.
                    return
                data = self._without_upgrade() + data[exc.args[0] :]
            except httptools.HttpParserError:
                self.logger.warning("invalid HTTP request from %s", self.client)
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    def _get_upgrade(self) -> bytes | None:
        """Returns which protocol is asked for: of several, one that we speak, else one that may be ignored, else all."""
        if self.parser.get_http_version() == "1.0":
            return None
        upgrade = _tokens(value for name, value in self.headers if name == b"upgrade")
        connection = _tokens(value for name, value in self.headers if name == b"connection")
        if not upgrade or b"upgrade" not in connection:
            return None
        return next((known for known in (b"websocket", b"h2c") if known in upgrade), b", ".join(upgrade))

    def on_headers_complete(self) -> None:
        """Begins the request, unless it is to be read again."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT" and not self._should_upgrade():
            self._is_set_aside = True
            return
        if self._refused_upgrade:
            cast("dict[str, object]", self.scope)[UPGRADE] = self._refused_upgrade
            self._refused_upgrade = b""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends the request's body."""
        if not self._is_set_aside:
            super().on_message_complete()

    def _without_upgrade(self) -> bytes:
        """Returns the head of the request that was set aside, for a new parser, which this puts in place."""
        upgrade = self._get_upgrade()
        self._refused_upgrade = upgrade if upgrade is not None and upgrade != b"h2c" else b""
        self._is_set_aside = False
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b": ".join(header) for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"\r\n"])

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over."""
        transport = cast("_CorkedTransport", self.transport)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            # Asked for while an earlier request is being answered: two protocols would write at once.
            transport.close()
            return
        self.flow.resume_reading()
        # A websocket sends whole messages, and its back-pressure must be felt by who writes them: no joining.
        self.transport = transport.uncorked()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, WebSocketsSansIOProtocol)
        if not protocol.handshake_initiated:
            # Its stricter parser gave up (more than 128 headers, a very long one), and says nothing.
            self.transport.write(BAD_HANDSHAKE)
            self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Puts the joining transport between uvicorn and the real one."""
        super().connection_made(_CorkedTransport(transport, self.loop))  # type: ignore[arg-type]  # all that is used


class WebsocketProtocol(WebSocketsSansIOProtocol):
    """One client's websocket."""

    _when_lost: Callable[[], None] | None = None
    _is_lost = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = quiet
        self.conn.debug = False

    def watch(self, when_lost: Callable[[], None] | None) -> bool:
        """Has *when_lost* called once when the connection is over; see `app.asgi.Connection`."""
        self._when_lost = when_lost
        return not self._is_lost

    def abort(self) -> None:
        """Cuts the connection at once; see `app.asgi.Connection`."""
        self.transport.abort()

    def hold(self, most: int | None) -> None:
        """Sets how much may be buffered for the client; see `app.asgi.Connection`."""
        self.transport.set_write_buffer_limits(most)

    def handle_connect(self, event: Request) -> None:
        """Puts itself into the scope of the application, which begins in the loop's next turn."""
        super().handle_connect(event)
        if not self.handshake_complete:
            cast("dict[str, object]", self.scope)[CONNECTION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells who wants to know."""
        self._is_lost = True
        super().connection_lost(exc)
        when_lost, self._when_lost = self._when_lost, None
        if when_lost is not None:
            when_lost()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends a message. Once the connection is being closed from this side there is nobody to send to; uvicorn would call it a mistake."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            # Answered in full; uvicorn would write into the log that nobody has.
            self.handshake_complete = True

    def keepalive_timeout(self) -> None:
        """Ends a connection whose client does not answer, but not one that is slow.

        Where either direction is held up by back-pressure, the answer may wait behind messages; should the client be gone, the pings
        that go on being sent find out.
        """
        if self.read_paused or not self.writable.is_set():
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()


class _CorkedTransport:
    """A transport whose writes of one turn of the loop go out together. Everything else is the real transport's."""

    __slots__ = ("_loop", "_parts", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        # Asked for at every request: not by way of __getattr__, which costs a microsecond.
        self.is_closing = transport.is_closing
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes *data*, with what else is written now."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Closes the connection once everything is written."""
        self._flush()
        self._transport.close()

    def uncorked(self) -> asyncio.Transport:
        """Writes what waits and returns the real transport."""
        self._flush()
        return self._transport

    def _flush(self) -> None:
        parts = self._parts
        if parts:
            self._parts = []
            # Also after the connection was lost: writing to a closed transport is uvloop's to ignore.
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))


def _tokens(values: Iterable[bytes]) -> list[bytes]:
    """Returns the members of a list header, in lower case."""
    return [token for value in values for token in (part.strip() for part in value.lower().split(b",")) if token]
