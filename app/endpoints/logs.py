"""The logs, as they are and as they grow. Source: compatibility specification 3.11."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.routing import Route

from app.asgi import ClientDisconnected, cancel_on_disconnect, header, read_body, send_bytes
from app.endpoints.endless import STALLED_S, EndlessBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog
    from app.telemetry.logs import LogBook

TEXT = b"text/plain; charset=utf-8"

UNKNOWN = b"invalid logger. Use 'proxy', 'upstream' or a model's ID"


def routes(current: Callable[[], Catalog], book: LogBook) -> list[Route]:
    """Returns the routes of this module. current: gives the configuration in force."""
    stream = LogFollow(current, book)
    return [
        Route("/logs", LogHistory(book), methods=["GET"]),
        Route("/logs/stream", stream, methods=["GET"]),
        Route("/logs/stream/{name:path}", stream, methods=["GET"]),
    ]


class LogHistory:
    """ASGI endpoint: the end of the combined log; for a browser, the way to the page that shows it."""

    def __init__(self, book: LogBook) -> None:
        self._book = book

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        if b"text/html" in header(scope, b"accept"):
            body = b'<a href="/ui/">Found</a>.\n\n'
            await send_bytes(send, 302, body, b"text/html; charset=utf-8", [(b"location", b"/ui/")])
        else:
            await send_bytes(send, 200, self._book.history("combined"), TEXT)


class LogFollow:
    """ASGI endpoint: one log from its history on, until the client leaves or Hostler ends."""

    def __init__(self, current: Callable[[], Catalog], book: LogBook, stalled_s: float = STALLED_S) -> None:
        """Prepares. stalled_s: seconds for which a client may take nothing."""
        self._current = current
        self._book = book
        self.stalled_s = stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams. Back-pressure comes from `send`; what a slow client misses is the book's business."""
        stream = self._stream(scope.get("path_params", {}).get("name", ""))
        if stream is None:
            await send_bytes(send, 400, UNKNOWN, TEXT, [(b"x-content-type-options", b"nosniff")])
            return
        history = b"no-history" not in parse_qs(scope["query_string"], keep_blank_values=True)
        lines = self._book.subscribe(stream, history=history)
        try:
            (await read_body(receive)).close()
            async with cancel_on_disconnect(receive, scope):
                await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
                if scope["method"] == "HEAD":
                    await send({"type": "http.response.body", "body": b""})
                else:
                    body = EndlessBody(scope, send, self.stalled_s)
                    with self._book.told_of_end(body.hurry):
                        # So that the client knows it is connected.
                        await body.write(b"")
                        async for chunk in lines:
                            await body.write(chunk)
                        await body.end()
        except ClientDisconnected:
            return

    def _stream(self, name: str) -> str | None:
        if name == "":
            return "combined"
        if name in {"proxy", "upstream"}:
            return name
        return self._current().resolve(name)


_STREAM_HEADERS = [
    (b"content-type", TEXT),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
    (b"cache-control", b"no-cache"),
]
