"""One line for each request, written by hand: `logging` would cost ten times as much (design section 3).

    Request 127.0.0.1 "POST /v1/chat/completions HTTP/1.1" 200 1830 "curl/7.88.1" 402.4ms

or, with `--log-format json`, the same as an object. Source: compatibility specification 3.1. What a client chose (path, user agent,
forwarded address) can neither end the line nor break its quotes.
"""

from __future__ import annotations

import re
from time import perf_counter_ns
from typing import TYPE_CHECKING

from app.asgi import ClientDisconnected, first_values
from app.exchange import KEY
from app.middleware.answer import ANSWER, Answer
from app.telemetry.times import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.exchange import Exchange
    from app.telemetry.logs import LogBook

SILENT = ("/wol-health", "/api/performance", "/metrics", "/ui/assets/")
"""Beginnings of paths that are asked for too often to be worth a line: polled, or by the dozen for each visit of the page."""

CLIENT_LEFT = 499
"""Status written for a client that left before a response was started; nginx's."""

LONGEST = 1024
"""Characters of a path or a user agent that are written."""

_NOT_IN_ADDRESS = re.compile(r"[^0-9A-Za-z.:%\[\]_-]")


class AccessLog:
    """ASGI layer that writes the access log into *book*. A websocket gets its line when it is closed."""

    def __init__(self, app: ASGIApp, book: LogBook) -> None:
        self._app = app
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request and writes its line when the application has done with it."""
        if scope["type"] == "lifespan" or not self._book.logs_access or scope["path"].startswith(SILENT):
            await self._app(scope, receive, send)
            return
        began = perf_counter_ns()
        answer = scope[ANSWER] = Answer(send)
        # Taken now: layers below may write another path into the scope.
        path = scope["path"]
        status_if_none = CLIENT_LEFT
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnected:
            raise
        except BaseException:
            status_if_none = 500
            raise
        finally:
            status = answer.status or status_if_none
            took_ns = perf_counter_ns() - began
            if self._book.as_json:
                self._book.record("INFO", "request", _fields(scope, path, status, answer.size, took_ns))
            else:
                self._book.write_access(_line(scope, path, status, answer.size, took_ns))


def _line(scope: Scope, path: str, status: int, size: int, took_ns: int) -> str:
    headers = first_values(scope)
    agent = headers.get(b"user-agent", b"").decode("utf-8", "replace")
    return (
        f'Request {_address(scope, headers)} "{scope.get("method", "GET")} {_harmless(path)} HTTP/{scope["http_version"]}"'
        f' {status} {size} "{_harmless(agent)}" {duration(took_ns)}'
    )


def _fields(scope: Scope, path: str, status: int, size: int, took_ns: int) -> dict[str, object]:
    """Returns what a line says, each with its name."""
    headers = first_values(scope)
    exchange: Exchange | None = scope.get(KEY)
    return {
        "client": _address(scope, headers),
        "method": scope.get("method", "GET"),
        "path": path[:LONGEST],
        "status": status,
        "bytes": size,
        "user_agent": headers.get(b"user-agent", b"").decode("utf-8", "replace")[:LONGEST],
        "duration_ms": round(took_ns / 1e6, 3),
        **({"model": exchange.model.id} if exchange is not None else {}),
    }


def _address(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    forwarded_for, real_ip = headers.get(b"x-forwarded-for", b""), headers.get(b"x-real-ip", b"")
    if forwarded_for or real_ip:
        claimed = forwarded_for.partition(b",")[0].strip() or real_ip.strip()
        # Whatever the client says is written, as existing setups expect, but only as far as an address could look like it.
        address = _NOT_IN_ADDRESS.sub("", claimed[:64].decode("latin-1"))
        if address:
            return address
    client = scope.get("client")
    return str(client[0]) if client and client[0] else "-"


def _harmless(text: str) -> str:
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    if text.isprintable() and '"' not in text:
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if character.isprintable():
        return character
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or character.encode("unicode_escape").decode("ascii")
