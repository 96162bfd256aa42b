"""Calls an ASGI app the way a server would: a scripted `receive`, a recorded `send`, a client that may leave.

It follows uvicorn where ASGI leaves room: after the body, `receive` waits for the client to leave or the answer to end and
then says `http.disconnect` as often as asked; what is sent to a client that has left is dropped without an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.types import ASGIApp, Message, Scope


@dataclass(slots=True)
class Reply:
    """What the client got."""

    status: int = 0
    """0 when no response was started."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    messages: list[Message] = field(default_factory=list)
    """Everything that was sent while the client was there."""
    complete: bool = False
    """Whether the last message of the body arrived."""

    def header(self, name: str) -> str | None:
        """Returns the first header called *name* (lower case), or None."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name.encode()), None)


async def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes | Sequence[bytes] = b"",
    query: bytes = b"",
    disconnect_after: int | None = None,
    client: tuple[str, int] | None = ("127.0.0.1", 1234),
    on_send: Callable[[Message], Awaitable[None]] | None = None,
    reply: Reply | None = None,
    extra: Mapping[str, object] | None = None,
) -> Reply:
    """Makes one request and returns the reply; what the app raises comes out.

    path: as on the wire, percent-encoded. body: one message for each part, if it is a sequence.
    disconnect_after: the client leaves once so many messages were sent to it; 0: as soon as its body has been read.
    on_send: awaited before a message counts as sent: a slow client, or a test that acts in mid-stream.
    reply: filled while the app runs, for tests that look before the end or after an exception.
    extra: laid over the scope.
    """
    reply = reply if reply is not None else Reply()
    parts = [body] if isinstance(body, bytes) else list(body) or [b""]
    gone = anyio.Event()

    async def receive() -> Message:
        if parts:
            part = parts.pop(0)
            if not parts and disconnect_after == 0:
                gone.set()
            return {"type": "http.request", "body": part, "more_body": bool(parts)}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if gone.is_set() and not reply.complete:
            return
        if on_send is not None:
            await on_send(message)
        assert not reply.complete, f"{message['type']} after the end of the response"
        reply.messages.append(message)
        if message["type"] == "http.response.start":
            assert not reply.status, "a second response was started"
            reply.status = message["status"]
            reply.headers = [(bytes(key), bytes(value)) for key, value in message.get("headers", ())]
        else:
            assert message["type"] == "http.response.body", message
            assert reply.status, "a body before the start of the response"
            reply.body += message.get("body", b"")
            reply.complete = not message.get("more_body", False)
        if reply.complete or (disconnect_after is not None and len(reply.messages) >= disconnect_after):
            gone.set()

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": client,
        "server": ("127.0.0.1", 8080),
        **(extra or {}),
    }
    await app(scope, receive, send)
    return reply
