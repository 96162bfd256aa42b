"""Upstreams that do exactly what a test tells them, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import checkpoint

from app.asgi import Body
from app.config.catalog import Timeouts
from app.proxy.transport import UpstreamResponse, UpstreamTransport

HOST = (b"host", b"upstream")

Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Received:
    """One request as the upstream read it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


@dataclass
class Peer:
    """The upstream's side of one connection."""

    number: int
    """Counted from 1 in the order of their arrival."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_head(self) -> Received:
        """Reads up to the blank line; EOFError when the client closes instead."""
        lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines[1:])]
        return Received(lines[0], headers)

    async def read_request(self) -> Received:
        """Reads a whole request."""
        received = await self.read_head()
        length = int(dict(received.headers).get(b"content-length", b"0"))
        received.body = await self.reader.readexactly(length)
        return received

    def write(self, *pieces: bytes) -> None:
        """Writes, without waiting."""
        if self.writer.is_closing():
            raise ConnectionResetError("the client has left")
        for piece in pieces:
            self.writer.write(piece)

    async def write_split(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        """Writes *data* in pieces, each of which the client has the chance to read by itself."""
        edges = [0, *sorted(cuts), len(data)]
        for start, end in itertools.pairwise(edges):
            self.write(data[start:end])
            await checkpoint()
            await checkpoint()

    def close(self) -> None:
        """Closes in order."""
        self.writer.close()

    def reset(self) -> None:
        """Closes with a reset."""
        connected = self.writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Returns when the client has closed, whatever it sent before."""
        try:
            while await self.reader.read(1 << 16):
                pass
        except ConnectionError:
            pass


@dataclass
class Upstream:
    """A listening server."""

    port: int
    accepted: int = 0
    seen: list[Received] = field(default_factory=list)
    """What `keep` was given."""

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def upstream(script: Script, host: str = "127.0.0.1", **options: object) -> AsyncIterator[Upstream]:
    """Serves *script* once per connection, which is closed when the script returns."""
    tasks: set[asyncio.Task[object]] = set()
    served = Upstream(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        served.accepted += 1
        try:
            await script(Peer(served.accepted, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has left, or the test is over; asyncio would log it
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, 0, **options)  # type: ignore[arg-type]  # ssl and the like
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        left = tuple(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with anyio.CancelScope(shield=True):
            for _ in range(5):  # the transports' own callbacks
                await checkpoint()


@asynccontextmanager
async def transport_to(url: str, **timeouts: float) -> AsyncIterator[UpstreamTransport]:
    """A transport that leaves no connection behind."""
    transport = UpstreamTransport(url, Timeouts(**timeouts))
    try:
        yield transport
    finally:
        await transport.aclose()

        assert transport.pool.open_count == 0


async def read_all(response: UpstreamResponse) -> bytes:
    """Reads a body to its end."""
    parts = []
    while data := await response.read_some():
        parts.append(data)
    return b"".join(parts)


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until *condition* holds."""
    with anyio.fail_after(10):
        while not condition():
            await checkpoint()


def spooled(data: bytes) -> Body:
    """A body in a file."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the Body owns it
    file.write(data)
    return Body(b"", file, len(data))


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with its length declared."""
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)
