"""Lets no other site's page do with us what it likes, by the hand of a visitor's browser.

A browser sends the key that it remembers along with whatever any page asks for; and where no key is asked for, it is enough that
the browser is where we can be reached. Such a page sees no answer, but what it has asked for would be done. So what changes
something here is not done for pages of others: of other sites, of other ports of this machine, and of models' own
servers. Who shows a key that a page would have to know itself is let through, wherever the page is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route

from app.asgi import header
from app.config.catalog import Catalog
from app.errors import Forbidden
from app.middleware.errors import refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

REFUSAL = (
    "this changes something, and is asked for by a page of another origin ({origin}), without a key of its own; "
    "if it was Hostler's own page: the reverse proxy in front of Hostler has to pass the Host header on"
)


def shield(routes: Iterable[BaseRoute], current: Callable[[], Catalog]) -> list[BaseRoute]:
    """Puts the layer around the endpoints among *routes* that control Hostler, and returns them all."""
    shielded = list(routes)
    for route in shielded:
        if isinstance(route, Route) and (
            route.path == "/unload"
            or (route.path.startswith("/api/") and route.methods not in ({"GET"}, {"GET", "HEAD"}))
        ):
            route.app = OwnPages(route.app, current)
    return shielded


class OwnPages:
    """ASGI layer of one endpoint that changes something."""

    def __init__(self, app: ASGIApp, current: Callable[[], Catalog]) -> None:
        """Prepares. current: gives the configuration in force: it says whether keys count."""
        self._app = app
        self._current = current

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request."""
        if is_foreign(scope) and not (self._current().api_keys and shows_key(scope)):
            origin = (header(scope, b"origin") or header(scope, b"sec-fetch-site")).decode("latin-1")
            return refuse(scope, send, Forbidden(REFUSAL.format(origin=origin)))
        return self._app(scope, receive, send)


def is_foreign(scope: Scope) -> bool:
    """Returns whether a request was made by a page that is not ours; not so of programs, which say nothing of pages."""
    site = header(scope, b"sec-fetch-site")
    if site:
        return site not in {b"same-origin", b"none"}
    # Where the connection is not safe, browsers tell only the origin, and that not with GET.
    origin = header(scope, b"origin")
    return bool(origin) and urlsplit(origin).netloc != header(scope, b"host")


def shows_key(scope: Scope) -> bool:
    """Returns whether a request carries a key that no browser adds by itself."""
    scheme = header(scope, b"authorization").strip().partition(b" ")[0].lower()
    return scheme == b"bearer" or (not scheme and bool(header(scope, b"x-api-key")))
