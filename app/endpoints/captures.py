"""Captured exchanges: to be looked at, searched, taken elsewhere, deleted.

Source of the first: compatibility specification 6.7; the others are our own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
from anyio import to_thread
from starlette.routing import Route

from app.asgi import header, send_error, send_json
from app.errors import HostlerError, NotFound, RequestError, Unavailable
from app.metering.encoding import INFLATERS, Decoder, Undecodable
from app.telemetry.capture_export import curl, document, har
from app.telemetry.captures import FOUND, Captures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import Receive, Scope, Send

    from app.asgi import Headers
    from app.telemetry.capture_record import Capture

STALLED_S = 60.0
"""Seconds after which a client that takes nothing loses its connection, and with it what is held for it."""

DOWNLOADS = 64 << 20
"""Bytes of captures that may be on their way to clients; when there are more, others are asked to come back."""

LONGEST_TEXT = 1000
"""Characters of a text that is searched for."""

_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

_LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)

_HOST = re.compile(rb"[A-Za-z0-9._~\[\]:-]{1,255}")

_TEXT = b"text/plain; charset=utf-8"

_NO_GUESSING: Headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
"""What clients and models have said must not be taken for a page of ours, nor be kept by others."""


def routes(captures: Captures, stalled_s: float = STALLED_S) -> list[Route]:
    """Returns the routes of this module."""
    downloads = Downloads(captures, stalled_s)
    return [
        Route("/api/captures", Search(captures), methods=["GET"]),
        Route("/api/captures", DeleteAll(captures), methods=["DELETE"]),
        Route("/api/captures/{id}", Show(downloads), methods=["GET"]),
        Route("/api/captures/{id}", DeleteOne(captures), methods=["DELETE"]),
        Route("/api/captures/{id}/curl", AsCurl(downloads), methods=["GET"]),
        Route("/api/captures/{id}/har", AsHar(downloads), methods=["GET"]),
    ]


def decoded(body: bytes, encoding: str) -> Iterator[bytes]:
    """Yields what *body* becomes, and raises ValueError where it cannot be decoded: what `Captures` decodes bodies with."""
    if encoding not in INFLATERS:
        raise ValueError(f"the encoding {encoding!r} is not known")
    try:
        yield from Decoder(INFLATERS[encoding]()).decode(body)
    except Undecodable as exc:
        raise ValueError(str(exc)) from exc


class Search:
    """ASGI endpoint: the ids of the captures that hold the text `q`, of all without one; the newest first."""

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Searches and answers."""
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20)
        text = query.get("q", [""])[0]
        asked = query.get("limit", [str(FOUND)])[0]
        if not _LIMIT.fullmatch(asked):
            await send_error(scope, send, RequestError("limit must be between 1 and 999"))
            return
        if len(text) > LONGEST_TEXT:
            await send_error(scope, send, RequestError(f"q must not be longer than {LONGEST_TEXT} characters"))
            return
        found = await self._captures.search(text, int(asked)) if text else self._captures.ids(int(asked))
        await send_json(send, {"ids": found.ids, "complete": found.is_complete})


class DeleteAll:
    """ASGI endpoint: deletes all captures."""

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Deletes and answers."""
        await self._captures.delete_all()
        await send_json(send, {"msg": "ok"})


class DeleteOne:
    """ASGI endpoint: deletes the capture named in the path."""

    def __init__(self, captures: Captures) -> None:
        self._captures = captures

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Deletes and answers."""
        number = _number(scope)
        if number is None:
            await send_error(scope, send, RequestError("invalid capture ID"))
        elif await self._captures.delete(number):
            await send_json(send, {"msg": "ok"})
        else:
            await send_error(scope, send, NotFound("capture not found"))


class Downloads:
    """Sends captures, and bounds what that takes: in bytes, and in the time of a client that reads nothing."""

    def __init__(self, captures: Captures, stalled_s: float) -> None:
        self._captures = captures
        self._stalled_s = stalled_s
        self._held = 0

    async def find(self, scope: Scope) -> tuple[int, Capture] | HostlerError:
        """Returns the capture that the path names and its id, or why there is none."""
        number = _number(scope)
        if number is None:
            return RequestError("invalid capture ID")
        capture = await self._captures.get(number)
        return NotFound("capture not found") if capture is None else (number, capture)

    async def send(
        self, scope: Scope, send: Send, pieces: Iterable[bytes], size: int, media_type: bytes, headers: Headers = ()
    ) -> None:
        """Sends a response of *size* bytes, or says that too much is being sent already.

        Its end is not sent to a client that has taken nothing for too long: the server then closes the connection.
        """
        if self._held and self._held + size > DOWNLOADS:
            busy = Unavailable("too many captures are being downloaded; try again later")
            await send_error(scope, send, busy.retry_after(5))
            return
        self._held += size
        try:
            with anyio.move_on_after(self._stalled_s) as patience:
                length = str(size).encode()
                head = [(b"content-type", media_type), (b"content-length", length), *headers, *_NO_GUESSING]
                await send({"type": "http.response.start", "status": 200, "headers": head})
                for piece in pieces:
                    patience.deadline = anyio.current_time() + self._stalled_s
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await anyio.lowlevel.checkpoint()  # a client as fast as we are must not keep the loop
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._held -= size


class Show:
    """ASGI endpoint: one capture as JSON."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        found = await self._downloads.find(scope)
        if isinstance(found, HostlerError):
            await send_error(scope, send, found)
            return
        number, capture = found
        size, pieces = document(number, capture)
        await self._downloads.send(scope, send, pieces, size, b"application/json")


class _Export:
    """What both exports share: it is made in a worker thread, as a whole, since its length is not known before."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def export(
        self, scope: Scope, send: Send, form: Callable[[Capture, str], Iterable[bytes]], media_type: bytes, ending: str
    ) -> None:
        found = await self._downloads.find(scope)
        if isinstance(found, HostlerError):
            await send_error(scope, send, found)
            return
        number, capture = found
        base = _base(scope)
        pieces = await to_thread.run_sync(lambda: list(form(capture, base)))
        size = sum(map(len, pieces))
        name = f'inline; filename="capture-{number}.{ending}"'
        headers = [(b"content-disposition", name.encode())]
        await self._downloads.send(scope, send, pieces, size, media_type, headers)


class AsCurl(_Export):
    """ASGI endpoint: one capture as a curl command that asks us the same again."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await self.export(scope, send, curl, _TEXT, "sh")


class AsHar(_Export):
    """ASGI endpoint: one capture as HAR 1.2."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await self.export(scope, send, har, b"application/json", "har")


def _number(scope: Scope) -> int | None:
    named: str = scope["path_params"]["id"]
    return int(named) if _ID.fullmatch(named) else None


def _base(scope: Scope) -> str:
    host = header(scope, b"host")
    if not _HOST.fullmatch(host):
        address, port = scope.get("server") or ("localhost", None)
        host = f"{address}:{port}".encode() if port else b"localhost"
    return f"{scope['scheme']}://{host.decode()}"
