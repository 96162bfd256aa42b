"""The one error boundary of a request.

Before the response has begun, an error becomes a body in the format the client asked for. After it, there is nothing left to say:
the response is left unfinished, the server closes the connection, and the client sees a stream that is cut instead of
one that looks complete.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.asgi import ClientDisconnected, send_error
from app.errors import HostlerError
from app.proxy.forwarder import StreamBroken

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)


class ErrorBoundary:
    """ASGI layer; see the top of this file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; raises nothing but cancellation."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        responder = _Responder(send)
        try:
            await self._app(scope, receive, responder.send)
        except (ClientDisconnected, StreamBroken):
            # Nobody left to tell, or told already; the server closes the connection of an unfinished response.
            return
        except HostlerError as exc:
            # One that comes later has been logged where it happened.
            if not responder.started:
                await send_error(scope, send, exc)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if not responder.started:
                await send_error(scope, send, HostlerError("internal error; see Hostler's log"))


class _Responder:
    """Knows whether one response has begun."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)
