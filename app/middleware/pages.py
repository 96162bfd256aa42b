"""A port where models' own pages may be themselves: `hostler serve --pages-listen`.

There is nothing of ours on it, so that nothing of ours can be reached with what a page there may use: its own storage, and the key
that the browser remembers for that port. Keys are asked for as everywhere. See `app/proxy/sandbox.py` for what pages
may do elsewhere, and docs/upstream-pages.md for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.asgi import send_bytes
from app.errors import NotFound
from app.middleware.errors import refuse
from app.middleware.paths import NO_SNIFF
from app.proxy.sandbox import UNCONFINED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send


class PagesPort:
    """ASGI layer that serves requests to one of our ports with the paths of upstreams, and nothing else there."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request, or the lifespan."""
        # Of the socket, not of the `Host` header, which says what the client likes.
        server = scope.get("server")
        if server is None or server[1] != self._port:
            return self._app(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(("/upstream/", "/comfyui/")) or path == "/comfyui":
            scope[UNCONFINED] = True
            return self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return refuse(scope, send, NotFound("404 page not found"))
        return send_bytes(send, 404, b"404 page not found\n", headers=NO_SNIFF)
