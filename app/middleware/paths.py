"""From a path to its endpoint, by the rules of Go's router that existing clients know. Source: compatibility specification 3.1.

- `//`, `.` and `..` in a path are answered with a redirect to the path without them, before anything else looks at it. What counts is
  the decoded path, so `%2e%2e` is one of them, but an encoded slash is data: part of a model's id, for instance.
- A trailing slash makes another path, at which there is nothing.
- What answers GET answers HEAD. Other methods are told which there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute

from app.asgi import UPGRADE, send_bytes
from app.errors import NotFound, escape_html
from app.middleware.errors import refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

NO_SNIFF = [(b"x-content-type-options", b"nosniff")]

_LEGAL = "/%!$&'()*+,;=:@-._~"
"""Characters of a raw path that stay as they are in a `Location`. No backslash: browsers take it for a slash."""


class CleanPaths:
    """ASGI layer that lets only clean paths through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request. Not a coroutine function: nearly all paths are clean, and two looks tell so."""
        if scope["type"] != "lifespan":
            path = scope["path"]
            if "/." in path or "//" in path:
                raw = scope["raw_path"]
                clean = cleaned(raw)
                if clean != raw:
                    return _to_clean(scope, send, clean)
        return self._app(scope, receive, send)


def cleaned(raw: bytes) -> bytes:
    """Returns a *raw* path (percent-encoded, beginning with a slash) without empty, `.` and `..` segments.

    All others keep their encoding, and the path the slash at its end.
    """
    kept: list[bytes] = []
    for segment in raw.split(b"/"):
        decoded = unquote_to_bytes(segment)
        if decoded == b"..":
            del kept[-1:]
        elif decoded not in {b"", b"."}:
            kept.append(segment)
    end = b"/" if raw.endswith(b"/") and kept else b""
    return b"/" + b"/".join(kept) + end


async def _to_clean(scope: Scope, send: Send, clean: bytes) -> None:
    if scope["type"] == "http":
        await send_redirect(scope, send, 307, clean)
    else:
        # Clients of websockets follow no redirects.
        await refuse(scope, send, NotFound("404 page not found"))


async def send_redirect(scope: Scope, send: Send, status: int, raw_path: bytes) -> None:
    """Sends the client to *raw_path* with the query it came with.

    status: 301, 302, 307 or 308.
    """
    location = quote(raw_path, safe=_LEGAL)
    if scope["query_string"]:
        location += "?" + scope["query_string"].decode("latin-1")
    headers = [(b"location", location.encode("latin-1"))]
    if scope["method"] not in {"GET", "HEAD"}:
        await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    # A6 of the specification. The server keeps the body back from who asked for the head.
    body = f'<a href="{escape_html(location)}">{_WORDS[status]}</a>.\n\n'.encode("latin-1")
    await send_bytes(send, status, body, b"text/html; charset=utf-8", headers)


_WORDS = {301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect"}


class Shortcut:
    """ASGI layer by which a request for a plain route passes by the layers in between, which would all let it through.

    In between may stand what looks at the path, the method or an upgrade in vain: `CleanPaths`, `Preflight`, `NoUpgrade`.
    """

    def __init__(self, app: ASGIApp, dispatch: Dispatch) -> None:
        """Prepares. dispatch: the innermost of the layers of *app*."""
        self._app = app
        self._apps = {
            (method, path): its
            for (method, path), its in dispatch.plain.items()
            if method != "OPTIONS" and cleaned(path.encode()) == path.encode()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves a connection, or the lifespan."""
        if scope["type"] == "http":
            app = self._apps.get((scope["method"], scope["path"]))
            if app is not None and UPGRADE not in scope and not scope.get("root_path"):
                return app(scope, receive, send)
        return self._app(scope, receive, send)


class Dispatch:
    """ASGI application that finds the route of each request: plain ones by their path, which costs one look, others in order."""

    def __init__(self, routes: Sequence[BaseRoute], otherwise: ASGIApp) -> None:
        """Prepares. otherwise: serves what is no connection, the lifespan."""
        self._otherwise = otherwise
        self.plain: dict[tuple[str, str], ASGIApp] = {}
        """What serves a method and a path; not to be changed."""
        self._methods: dict[str, set[str]] = {}
        self._patterned: list[BaseRoute] = []
        for route in routes:
            if isinstance(route, Route) and not route.param_convertors and route.methods:
                self._methods.setdefault(route.path, set()).update(route.methods)
                for method in route.methods:
                    self.plain.setdefault((method, route.path), route.app)
            else:
                if isinstance(route, Route | WebSocketRoute | Mount):
                    # A line feed in a path, percent-encoded as it is on the wire, is a character like any other.
                    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
                self._patterned.append(route)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves a connection, or the lifespan."""
        if scope["type"] == "http":
            app = self.plain.get((scope["method"], _path(scope)))
            if app is not None:
                return app(scope, receive, send)
        elif scope["type"] != "websocket":
            return self._otherwise(scope, receive, send)
        return self._search(scope, receive, send)

    async def _search(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = set(self._methods.get(_path(scope), ()))
        for route in self._patterned:
            match, below = route.matches(scope)
            if match is Match.FULL:
                scope.update(below)
                await route.handle(scope, receive, send)
                return
            if match is Match.PARTIAL and isinstance(route, Route):
                allowed |= route.methods or set()
        if scope["type"] == "websocket":
            await refuse(scope, send, NotFound("404 page not found"))
        elif allowed:
            allow = (b"allow", ", ".join(sorted(allowed)).encode())
            await send_bytes(send, 405, b"Method Not Allowed\n", headers=[allow, *NO_SNIFF])
        else:
            await send_bytes(send, 404, b"404 page not found\n", headers=NO_SNIFF)


def _path(scope: Scope) -> str:
    """Returns the path below the one that a reverse proxy puts us at."""
    root: str = scope.get("root_path", "")
    path: str = scope["path"]
    return path.removeprefix(root) if root else path
