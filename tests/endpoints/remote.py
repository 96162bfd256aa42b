"""A server on another machine, as far as anybody can tell: tells what it was asked, and waits when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """Returns the only header called *name*, or None."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None


@dataclass(slots=True)
class Remote:
    """The server."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    inside: int = 0
    most_inside: int = 0
    connections: int = 0
    """How many there have been."""
    left: anyio.Event = field(default_factory=anyio.Event)
    """Set when a client has closed its connection in the middle of a request."""
    open: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set nobody is answered."""
    arrived: anyio.Condition = field(default_factory=anyio.Condition)

    async def until_inside(self, count: int) -> None:
        """Returns when so many requests wait to be answered."""
        async with self.arrived:
            while self.inside < count:
                await self.arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := await reader.readline():
                self.asked.append(await _rest(line, reader))
                await self._count(+1)
                try:
                    await self._wait(reader)
                finally:
                    await self._count(-1)
                writer.write(self.answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()

    async def _count(self, change: int) -> None:
        self.inside += change
        self.most_inside = max(self.most_inside, self.inside)
        async with self.arrived:
            self.arrived.notify_all()

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        """Returns when it may answer. Raises ConnectionError when nobody would hear it."""
        if self.open.is_set():
            return
        gone = False

        async def listen() -> None:
            nonlocal gone
            gone = not await reader.read(1)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await self.open.wait()
            group.cancel_scope.cancel()
        if gone:
            raise ConnectionError


async def _rest(line: bytes, reader: asyncio.StreamReader) -> Asked:
    headers = []
    while (header := await reader.readline()) not in {b"\r\n", b""}:
        name, _, value = header.decode("latin-1").partition(":")
        headers.append((name.lower(), value.strip()))
    body = await reader.readexactly(int(dict(headers).get("content-length", 0)))
    return Asked(line.decode("latin-1").rstrip(), headers, body)


@asynccontextmanager
async def remote(*, is_open: bool = True) -> AsyncIterator[Remote]:
    """Runs one, which answers at once unless it is not open."""
    made = Remote()
    if is_open:
        made.open.set()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.open.set()
        server.close()
        await server.wait_closed()
