"""Lets in who knows a key, once the configuration has any. Source: compatibility specification 3.3.

It stands around each protected endpoint rather than in front of the router, so that what is nobody's secret needs no key: paths
that do not exist and methods that do not fit.

Not how long a comparison takes, nor which key it was, can be learnt from outside: hashes are compared, in constant time, with
all keys, even after one has matched.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from app.config.catalog import Catalog
from app.errors import Unauthorized
from app.middleware.errors import refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = frozenset({"/", "/health", "/wol-health", "/favicon.ico", "/upstream"})
"""Paths that need no key: they tell nothing."""

KEY_DIGEST = "hostler.key"
"""Where the SHA-256 digest of a request's key lives in its scope, if keys are asked for: it tells keys apart."""

REFUSAL = "unauthorized: invalid or missing API key"


def guard(routes: Iterable[BaseRoute], current: Callable[[], Catalog]) -> list[BaseRoute]:
    """Puts the guard around the endpoint of each of *routes* that is not open, and returns them all."""
    guarded = list(routes)
    for route in guarded:
        assert isinstance(route, Route | WebSocketRoute | Mount), f"cannot guard {route!r}"
        if route.path not in OPEN:
            route.app = Auth(route.app, current)
    return guarded


class Auth:
    """ASGI layer of one endpoint, HTTP or websocket."""

    def __init__(self, app: ASGIApp, current: Callable[[], Catalog]) -> None:
        """Prepares. current: gives the configuration in force, whose keys count from the next request on."""
        self._app = app
        self._current = current
        self._keys: Sequence[str] = ()
        self._digests: tuple[bytes, ...] = ()
        """Of `_keys`."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request. Not a coroutine function, for the sake of those who have no keys."""
        keys = self._current().api_keys
        if not keys or self._knows(scope, keys):
            return self._app(scope, receive, send)
        return refuse(scope, send, Unauthorized(REFUSAL))

    def _knows(self, scope: Scope, keys: Sequence[str]) -> bool:
        if keys is not self._keys:
            self._keys = keys
            self._digests = tuple(sha256(each.encode()).digest() for each in keys)
        scope[KEY_DIGEST] = digest = sha256(key_of(scope["headers"])).digest()
        known = False
        for each in self._digests:
            known |= hmac.compare_digest(digest, each)
        return known


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns the key among *headers*: a Basic password, else a Bearer token, else `x-api-key`; b'' if there is none.

    The first that is not empty is the one that counts: a wrong Bearer token is not rescued by a right `x-api-key`.
    """
    authorization = x_api_key = None
    for name, value in headers:
        if name == b"authorization" and authorization is None:
            authorization = value
        elif name == b"x-api-key" and x_api_key is None:
            x_api_key = value
    scheme, _, credentials = (authorization or b"").strip().partition(b" ")
    match scheme.lower():
        case b"basic":
            key = _password(credentials.strip())
        case b"bearer":
            key = credentials.strip()
        case _:
            key = b""
    return key or (x_api_key or b"").strip()


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
