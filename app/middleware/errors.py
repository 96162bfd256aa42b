"""The one error boundary of a request.

Before the response has begun, an error becomes a body in the format and the dialect of the client. After it, there is nothing
left to say: the response is left unfinished, the server closes the connection, and the client sees a stream that is cut instead of
one that looks complete. A websocket is refused with the same body, or closed once it is open.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.asgi import ClientDisconnected, rendered_for, send_error
from app.errors import HostlerError
from app.middleware.answer import Answer, noted
from app.proxy.forwarder import StreamBroken

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

DENIAL = "websocket.http.response"
"""The ASGI extension by which a websocket is refused with a response of our own."""

FAILED = 1011
"""Close code of a websocket: "the server encountered an unexpected condition"."""

INTERNAL = "internal error; see Hostler's log"


class ErrorBoundary:
    """ASGI layer; see the top of this file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; raises nothing but cancellation."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer, send = noted(scope, send)
        try:
            await self._app(scope, receive, send)
        except (ClientDisconnected, StreamBroken):
            # Nobody left to tell, or told already; the server closes the connection of an unfinished response.
            return
        except HostlerError as exc:
            # One that comes later has been logged where it happened.
            await _tell(scope, answer, send, exc)
        except Exception:
            logger.exception("%s %s failed", scope.get("method", scope["type"]), scope["path"])
            await _tell(scope, answer, send, HostlerError(INTERNAL))


async def _tell(scope: Scope, answer: Answer, send: Send, error: HostlerError) -> None:
    if scope["type"] == "http":
        if not answer.has_begun:
            await send_error(scope, send, error)
    elif not answer.has_begun:
        await refuse(scope, send, error)
    elif answer.is_open:
        await send({"type": "websocket.close", "code": FAILED, "reason": ""})


async def refuse(scope: Scope, send: Send, error: HostlerError) -> None:
    """Answers a request, or a websocket that nobody has accepted, with *error*."""
    if scope["type"] == "http":
        await send_error(scope, send, error)
        return
    if DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    rendered = rendered_for(scope, error)
    await send({"type": f"{DENIAL}.start", "status": rendered.status, "headers": rendered.headers})
    await send({"type": f"{DENIAL}.body", "body": rendered.body})
