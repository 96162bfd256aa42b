"""`/upstream/{model}/{path}`: any path of any model's own server, below one URL.

The model is the longest run of path segments that names one, so ids may contain slashes. The rest of the path goes to the
upstream with its percent-encoding as it came. Source: compatibility specification 3.7.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from starlette.routing import Route

from app.asgi import IN_MEMORY, read_body
from app.config.catalog import Catalog, Model, PeerModel, Profile
from app.endpoints.inference import Wrap, unwrapped
from app.errors import Conflict, NotFound
from app.exchange import KEY, Exchange
from app.middleware.paths import send_redirect
from app.routing.forms import without_malformed
from app.routing.resolve import Routing, find
from app.scheduler.instances import Phase, SchedulerView

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/upstream/"


class Residents(Protocol):
    """Knows which models are up; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how things stand."""


class Upstream:
    """Resolves the model from the path and serves the request like any other."""

    def __init__(
        self, app: ASGIApp, routing: Routing, residents: Residents, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._routing = routing
        self._residents = residents
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises NotFound when the path names no model, Conflict when it may not load one."""
        arrived_at = self._clock()
        catalog = self._routing.catalog()
        profile = self._routing.profile.current
        raw = scope["raw_path"].decode("latin-1").removeprefix(scope.get("root_path", ""))
        found = split(catalog, raw.removeprefix(PREFIX), profile)
        if found is None:
            raise NotFound("model not found")
        name, model, path = found
        if not path:
            # 308 keeps the method and the body of what is not a page visit.
            status = 301 if scope["method"] in {"GET", "HEAD"} else 308
            await send_redirect(scope, send, status, f"{scope.get('root_path', '')}{PREFIX}{name}/".encode("latin-1"))
            return
        asked = unquote(name)
        requested = asked if profile is None else profile.pins.get(asked, asked)
        query = scope["query_string"]
        if isinstance(model, Model):
            check_ignored(catalog, model, path, self._residents.view)
        else:
            query = without_malformed(query)
        body = await read_body(receive, in_memory=IN_MEMORY)
        try:
            scope[KEY] = Exchange(catalog, asked, requested, model, False, body, path, query, arrived_at)
            await self._app(scope, receive, send)
        finally:
            body.close()


def check_ignored(catalog: Catalog, model: Model, path: str, view: Callable[[], SchedulerView]) -> None:
    """Raises Conflict when *path*, percent-encoded and below *model*, never loads a model and this one is not ready."""
    if not catalog.ignore_paths:
        return
    known = view().models.get(model.id)
    if known is not None and known.phase is Phase.READY:
        return
    decoded = unquote(path)
    if any(pattern.search(decoded) for pattern in catalog.ignore_paths):
        raise Conflict(f"model {model.id} is not loaded; path matches upstream.ignorePaths")


def split(catalog: Catalog, raw: str, profile: Profile | None = None) -> tuple[str, Model | PeerModel, str] | None:
    """Splits the *raw* (percent-encoded) remainder of a path into a model's name and the path below it.

    A pin of the active *profile* goes before any model's name. Selectors do not count here.

    Returns the name as it was written, the model, and a path that begins with a slash, or is empty when there is not even one.
    None when no run of leading segments names a model, or names one that the profile has disabled.
    """
    pins = {} if profile is None else profile.pins
    # No longer than any name is: a path of a million slashes must not be tried a million times.
    names = (*catalog.models, *catalog.aliases, *catalog.peer_models, *pins)
    most_slashes = max((name.count("/") for name in names), default=0)
    ends = [found.start() for found in islice(re.finditer(r"/|\Z", raw), most_slashes + 1)]
    for end in reversed(ends):
        target = pins.get(unquote(raw[:end]))
        if target is not None:
            pinned = find(catalog, target)
            return None if pinned is None else (raw[:end], pinned, raw[end:])
    for end in reversed(ends):
        model = find(catalog, unquote(raw[:end]))
        if model is not None:
            return raw[:end], model, raw[end:]
    return None


class NoModel:
    """ASGI endpoint: sends a browser that names no model to the page of all of them."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_redirect(scope, send, 302, f"{scope.get('root_path', '')}/ui/models".encode("latin-1"))


def routes(serve: ASGIApp, routing: Routing, residents: Residents, wrap: Wrap = unwrapped) -> list[Route]:
    """Returns the route of all upstreams' paths, and the one of none. wrap: puts around the former what is to stand outside."""
    return [
        Route("/upstream", NoModel(), methods=["GET"]),
        Route(PREFIX + "{rest:path}", wrap(Upstream(serve, routing, residents))),
    ]
