"""`/upstream/{model}/{path}`: any path of any model's own server, below one URL.

The model is the longest run of path segments that names one, so ids may contain slashes. The rest of the path goes to the
upstream with its percent-encoding as it came. Source: compatibility specification 3.7.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.routing import Route

from app.asgi import IN_MEMORY, read_body, send_bytes
from app.config.catalog import Catalog, Model
from app.errors import NotFound
from app.exchange import KEY, Exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/upstream/"


class Upstream:
    """Resolves the model from the path and serves the request like any other."""

    def __init__(
        self, app: ASGIApp, current: Callable[[], Catalog], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._current = current
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises NotFound when the path names no model."""
        arrived_at = self._clock()
        catalog = self._current()
        raw = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", ""))
        found = split(catalog, raw.removeprefix(PREFIX))
        if found is None:
            raise NotFound("model not found")
        name, model, path = found
        if not path:
            await _redirect(scope, send, f"{scope.get('root_path', '')}{PREFIX}{name}/")
            return
        body = await read_body(receive, in_memory=IN_MEMORY)
        try:
            scope[KEY] = Exchange(catalog, unquote(name), model, False, body, path, arrived_at)
            await self._app(scope, receive, send)
        finally:
            body.close()


def split(catalog: Catalog, raw: str) -> tuple[str, Model, str] | None:
    """Splits the *raw* (percent-encoded) remainder of a path into a model's name and the path below it.

    Returns the name as it was written, the model, and a path that begins with a slash, or is empty when there is not even one.
    None when no run of leading segments names a model.
    """
    # No longer than any name is: a path of a million slashes must not be tried a million times.
    most_slashes = max((name.count("/") for name in (*catalog.models, *catalog.aliases)), default=0)
    ends = [found.start() for found in islice(re.finditer(r"/|\Z", raw), most_slashes + 1)]
    for end in reversed(ends):
        model = catalog.resolve(unquote(raw[:end]))
        if model is not None:
            return raw[:end], catalog.models[model], raw[end:]
    return None


async def _redirect(scope: Scope, send: Send, location: str) -> None:
    query = scope["query_string"].decode("latin-1")
    if query:
        location += "?" + query
    # 308 keeps the method and the body of what is not a page visit.
    status, words = (301, "Moved Permanently") if scope["method"] in {"GET", "HEAD"} else (308, "Permanent Redirect")
    body = f'<a href="{html.escape(location)}">{words}</a>.\n\n'.encode() if scope["method"] == "GET" else b""
    headers = [(b"location", location.encode("latin-1"))]
    await send_bytes(send, status, body, b"text/html; charset=utf-8", headers)


def routes(serve: ASGIApp, current: Callable[[], Catalog]) -> list[Route]:
    """Returns the route of all upstreams' paths."""
    return [Route(PREFIX + "{rest:path}", Upstream(serve, current))]
