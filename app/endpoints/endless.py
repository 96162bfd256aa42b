"""Responses without an end of their own, to clients that may not read them.

Back-pressure comes from awaiting `send`: what a slow client has not taken is not added to. One that takes nothing at all is cut off
after a while; and at the end of the program, which it must not hold up, after a moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from app.asgi import CONNECTION, ClientDisconnected

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from app.asgi import Connection

STALLED_S = 300.0
"""Seconds for which a client may take nothing."""

LAST_S = 1.0
"""Seconds for which one may, once the response is to end."""

CHUNK = 64 << 10
"""Bytes sent at a time."""


class EndlessBody:
    """The body of one such response. To be used inside `cancel_on_disconnect`, after its head was sent."""

    __slots__ = ("_connection", "_send", "_sending", "_stalled_s")

    def __init__(self, scope: Scope, send: Send, stalled_s: float = STALLED_S) -> None:
        self._connection: Connection | None = scope.get(CONNECTION)
        self._send = send
        self._stalled_s = stalled_s
        self._sending: anyio.CancelScope | None = None
        """Around what waits for the client to take something."""
        if self._connection is not None:
            # What the server buffers would be waited for once more when the connection is closed, and without a limit.
            self._connection.hold(0)

    async def write(self, data: bytes) -> None:
        """Sends *data*; with an empty one the head at least. Raises ClientDisconnected when the client takes nothing."""
        for start in range(0, max(len(data), 1), CHUNK):
            with anyio.CancelScope(deadline=anyio.current_time() + self._stalled_s) as sending:
                self._sending = sending
                await self._send({"type": "http.response.body", "body": data[start : start + CHUNK], "more_body": True})
            self._sending = None
            if sending.cancelled_caught:
                await self._cut()

    async def end(self) -> None:
        """Ends the response in order. Raises ClientDisconnected when the client does not take the rest."""
        # Writes of one turn of the loop go out at its end; only then is it seen what is left of them.
        await anyio.lowlevel.checkpoint()
        await self.write(b"")
        if self._connection is not None:
            self._connection.hold(None)
        await self._send({"type": "http.response.body", "body": b""})

    def hurry(self) -> None:
        """Has it that the client takes the rest within `LAST_S`, for the program ends."""
        self._stalled_s = min(self._stalled_s, LAST_S)
        if self._sending is not None:
            # The loop's own clock, which is anyio's: this may be called outside any task, where anyio does not know it.
            now = asyncio.get_running_loop().time()
            self._sending.deadline = min(self._sending.deadline, now + LAST_S)

    async def _cut(self) -> None:
        """Ends the connection without waiting for a client that does not read. Raises ClientDisconnected."""
        if self._connection is not None:
            self._connection.abort()
            # The loss of the connection ends this, as if the client had left.
            await anyio.sleep_forever()
        raise ClientDisconnected
