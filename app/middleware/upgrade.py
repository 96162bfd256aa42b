"""Refuses what our own server could not switch to (`app/http_protocol.py`): a client that asked for it would not understand us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.asgi import UPGRADE
from app.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send


class NoUpgrade:
    """ASGI layer; see the top of this file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request. Not a coroutine function: nearly all only pass through. Raises NotSupported."""
        if UPGRADE in scope:
            asked = scope[UPGRADE].decode("latin-1")
            raise NotSupported(f"cannot upgrade to {asked}: only websocket is spoken here besides HTTP/1.1")
        return self._app(scope, receive, send)
