"""Records exchanges, for those who want to look into them later.

Stands behind whoever finds out what a request is for, so that it sees the body that is forwarded, and before whoever may refuse
it. Whoever records the exchange as activity takes over the recorder and gives it its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import HostlerError
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
    """ASGI layer of everything that leads to a model."""

    def __init__(self, app: ASGIApp, captures: Captures) -> None:
        self._app = app
        self._captures = captures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one exchange."""
        captures = self._captures
        if not captures.is_on or scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        target: bytes = scope.get("raw_path") or b""
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        scope[CAPTURE] = recorder = captures.recorder(
            scope["method"], path_of(scope), scope["headers"], exchange.body, target
        )
        try:
            await self._app(scope, receive, _Responder(send, recorder).send)
        except HostlerError as exc:
            recorder.finish(str(exc), exc.status)
            raise
        except BaseException as exc:
            recorder.finish(str(exc) or type(exc).__name__)
            raise
        finally:
            recorder.finish()


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
