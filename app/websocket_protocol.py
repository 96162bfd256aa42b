"""uvicorn's websocket protocol: it tells who wants to know that the client has left, keeps quiet, and is patient with who is slow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.asgi import CONNECTION

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent
    from websockets.http11 import Request

quiet = logging.getLogger(__name__)
quiet.setLevel(logging.WARNING)
"""uvicorn tells of each handshake, with its query, and at DEBUG of each message: the one is in the access log, the other nobody's business."""


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
