"""Records exchanges, for those who want to look into them later.

Stands behind whoever finds out what a request is for, so that it sees the body that is forwarded, and before whoever may refuse
it. Whoever records the exchange as activity takes over the recorder: shows it the answer, which passes there anyway, tells it how
it has ended and gives it its number.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import unquote

from app.exchange import KEY, Exchange
from app.telemetry.captures import Captures
from app.telemetry.inflight import path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Receive, Scope, Send

CAPTURE = "hostler.capture"
"""Where the recorder of an exchange lives in its scope; nothing is there if it is not captured."""


class Capturing:
    """ASGI layer of everything that leads to a model and is recorded as activity."""

    def __init__(self, app: ASGIApp, captures: Captures, recorded: Collection[str]) -> None:
        """Prepares. recorded: paths of which exchanges are recorded as activity: of others nobody would take over the recorder."""
        self._app = app
        self._captures = captures
        self._recorded = recorded

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one exchange. Not a coroutine function: nothing is left to do here when it has ended."""
        captures = self._captures
        if captures.is_on and scope["type"] == "http" and scope["method"] == "POST":
            exchange: Exchange = scope[KEY]
            path = exchange.path
            if path in self._recorded or unquote(path) in self._recorded:
                target: bytes = scope.get("raw_path") or b""
                if scope["query_string"]:
                    target += b"?" + scope["query_string"]
                scope[CAPTURE] = captures.recorder("POST", path_of(scope), scope["headers"], exchange.body, target)
        return self._app(scope, receive, send)
