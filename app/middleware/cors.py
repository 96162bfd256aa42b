"""Answers what browsers ask before they let a page of another origin send a request. Source: compatibility specification 3.2.

Every page may try, on every path, and before any key is asked for, since browsers show none here. Responses carry no permission
to be read, but for the list of models and what an upstream allows itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.asgi import header

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"

HEADERS = b"Content-Type, Authorization, Accept, X-Requested-With"
"""Allowed when a client does not say which it wants."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Preflight:
    """ASGI layer that answers every OPTIONS request itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request. Not a coroutine function: nearly all only pass through."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            return _allow(scope, send)
        return self._app(scope, receive, send)


async def _allow(scope: Scope, send: Send) -> None:
    asked = header(scope, b"access-control-request-headers")
    headers = [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", _tokens(asked) if asked else HEADERS),
        (b"access-control-max-age", b"86400"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _tokens(listed: bytes) -> bytes:
    """Returns the members of a list that can be names of headers."""
    return b", ".join(token for member in listed.split(b",") if _TOKEN.fullmatch(token := member.strip()))
