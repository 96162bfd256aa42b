"""uvicorn's HTTP protocol, with two savings for every request (docs/benchmarks.md).

One system call for a response's head and body instead of two: ASGI sends the head and each piece of the body as messages of their own, and uvicorn writes each at once. Joining what is
written in one turn of the loop saves a system call, and the client a wake-up; a piece that comes alone is still written before the
loop looks for anything else.

And the protocol itself tells who wants to know that the client has left (`app.asgi.Connection`), which would otherwise take a
task that waits in `receive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.asgi import CONNECTION


class CorkedProtocol(HttpToolsProtocol):
    """One client's connection."""

    _when_lost: Callable[[], None] | None = None
    _is_lost = False

    def watch(self, when_lost: Callable[[], None] | None) -> bool:
        """Has *when_lost* called once when the client leaves; see `app.asgi.Connection`."""
        self._when_lost = when_lost
        if when_lost is not None:
            # Reading may rest since the last piece of a large body; without it nobody would see the connection end.
            self.flow.resume_reading()
        return not self._is_lost

    def on_message_begin(self) -> None:
        """Puts itself into the scope of a new request."""
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[CONNECTION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells who wants to know."""
        self._is_lost = True
        super().connection_lost(exc)
        when_lost, self._when_lost = self._when_lost, None
        if when_lost is not None:
            when_lost()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Puts the joining transport between uvicorn and the real one."""
        super().connection_made(_CorkedTransport(transport, self.loop))  # type: ignore[arg-type]  # all that is used


class _CorkedTransport:
    """A transport whose writes of one turn of the loop go out together. Everything else is the real transport's."""

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes *data*, with what else is written now."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Closes the connection once everything is written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        parts = self._parts
        if parts:
            self._parts = []
            # Also after the connection was lost: writing to a closed transport is uvloop's to ignore.
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
