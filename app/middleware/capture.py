"""Records exchanges, for those who want to look into them later.

Stands behind whoever finds out what a request is for, so that it sees the body that is forwarded, and before whoever may refuse
it. Whoever records the exchange as activity takes over the recorder, tells it how it has ended and gives it its number.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import unquote

from app.exchange import exchange_of
from app.telemetry.captures import Captures
from app.telemetry.inflight import path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.telemetry.capture_recorder import CaptureRecorder


CAPTURE = "hostler.capture"
"""Where the recorder of an exchange lives in its scope; nothing is there if it is not captured."""


class Capturing:
    """ASGI layer of everything that leads to a model and is recorded as activity."""

    def __init__(self, app: ASGIApp, captures: Captures, recorded: Collection[str]) -> None:
        """Prepares. recorded: paths of which exchanges are recorded as activity: of others nobody would take over the recorder."""
        self._app = app
        self._captures = captures
        self._recorded = recorded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one exchange."""
        captures = self._captures
        if not captures.is_on or scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        if unquote(exchange.path) not in self._recorded:
            await self._app(scope, receive, send)
            return
        target: bytes = scope.get("raw_path") or b""
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        scope[CAPTURE] = recorder = captures.recorder(
            scope["method"], path_of(scope), scope["headers"], exchange.body, target
        )
        await self._app(scope, receive, _Responder(send, recorder).send)


class _Responder:
    """Shows one response to its recorder."""

    __slots__ = ("_recorder", "_send")

    def __init__(self, send: Send, recorder: CaptureRecorder) -> None:
        self._send = send
        self._recorder = recorder

    def send(self, message: Message) -> Awaitable[None]:
        """Notes and passes on. Not a coroutine function, since that would cost each chunk of a stream another coroutine."""
        if message["type"] == "http.response.body":
            self._recorder.chunk(message.get("body", b""))
        elif message["type"] == "http.response.start":
            self._recorder.head(message["status"], message["headers"])
        return self._send(message)
