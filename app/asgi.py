"""What every ASGI layer of ours leans on: bodies, small responses, and noticing that a client has left.

`cancel_on_disconnect` and `Belated` are the two on the request path that may need a plain task: an anyio task group costs 45 µs per
request, one task 5 (measured; the whole budget for a request is 60). The task is owned by the block that made it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import IO, TYPE_CHECKING, Protocol

import anyio

from app.errors import HostlerError, Rendered, TooLarge, dialect_of, escape_json, render

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]

IN_MEMORY = 1 << 20
"""Bytes of a body kept in memory when nobody needs to look into it; what is longer goes to a temporary file."""

JSON_LIMIT = 256 << 20
"""Longest body that is looked into, in bytes: it is in memory while it is parsed."""

BODY_LIMIT = 8 << 30
"""Longest body at all, in bytes."""

MESSAGE_LIMIT = 16 << 20
"""Longest message of a websocket in either direction, in bytes: it is in memory as a whole."""

CHUNK = 256 << 10
"""Bytes read from a spooled body at a time."""


Splice = tuple[int, int, bytes]
"""Start and end of a stretch of a body, and the bytes to put in its place."""


class ClientDisconnected(Exception):
    """The client has left; there is nobody to answer."""


class Body:
    """The whole body of one request: in memory, or spooled to an unnamed temporary file.

    A body is received whole before a model is asked for: a slow upload never holds a model, and a client that leaves
    while it waits is noticed whatever it was sending. Owned by the layer that read it, which closes it.
    """

    __slots__ = ("_file", "_splices", "data", "size")

    def __init__(
        self, data: bytes, file: IO[bytes] | None = None, size: int | None = None, splices: Sequence[Splice] = ()
    ) -> None:
        self.data = data
        """The bytes, unless spooled."""
        self.size = len(data) if size is None else size
        """Length in bytes, spooled or not."""
        self._file = file
        self._splices = splices

    @property
    def is_spooled(self) -> bool:
        """Whether the bytes are in a file instead of in `data`."""
        return self._file is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the bytes from the start, as often as asked."""
        if self._file is None:
            if self.data:
                yield self.data
            return
        await anyio.to_thread.run_sync(self._file.seek, 0)
        position = 0
        for start, end, new in (*self._splices, (sys.maxsize, sys.maxsize, b"")):
            while position < start:
                chunk = await anyio.to_thread.run_sync(self._file.read, min(CHUNK, start - position))
                if not chunk:
                    break
                position += len(chunk)
                yield chunk
            if new:
                yield new
            if position == start:
                position = await anyio.to_thread.run_sync(self._file.seek, end)

    def spliced(self, splices: Sequence[Splice]) -> Body:
        """Returns this body with *splices* made, in order of their place and not overlapping; the file is shared, not copied.

        To be asked of a body as it was received: splices of splices would count from other places.
        """
        assert not self._splices
        if self._file is None:
            parts = []
            position = 0
            for start, end, new in splices:
                parts += [self.data[position:start], new]
                position = end
            return Body(b"".join([*parts, self.data[position:]]))
        size = self.size + sum(len(new) - (end - start) for start, end, new in splices)
        return Body(b"", self._file, size, splices)

    def close(self) -> None:
        """Lets the temporary file go."""
        if self._file is not None:
            self._file.close()


async def read_body(receive: Receive, *, in_memory: int = JSON_LIMIT, limit: int = BODY_LIMIT) -> Body:
    """Receives the whole body.

    in_memory: bytes kept in memory; a longer body is spooled, or refused when *limit* is not above it.
    Raises TooLarge over *limit*, ClientDisconnected when the client leaves before the end.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    first = message.get("body", b"")
    if not message.get("more_body", False) and len(first) <= in_memory and len(first) <= limit:
        return Body(first)
    parts = [first]
    size = len(first)
    file: IO[bytes] | None = None
    more = message.get("more_body", False)
    try:
        while True:
            if size > limit:
                raise TooLarge(f"the request's body is longer than {limit} bytes, the most that is accepted here")
            if size > in_memory and file is None:
                file = tempfile.TemporaryFile()  # noqa: SIM115 - owned by the Body from here on
            if file is not None and parts:
                await anyio.to_thread.run_sync(file.writelines, parts)
                parts = []
            if not more:
                break
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            parts.append(chunk)
            more = message.get("more_body", False)
    except BaseException:
        if file is not None:
            file.close()
        raise
    if file is not None:
        return Body(b"", file, size)
    return Body(b"".join(parts))


class Connection(Protocol):
    """What our own server tells of a client's connection (`app/http_protocol.py`), under `CONNECTION` in the scope."""

    def watch(self, when_lost: Callable[[], None] | None) -> bool:
        """Has *when_lost* called once when the client leaves, or nothing any more (None). False: it has left already."""

    def abort(self) -> None:
        """Cuts the connection at once, whatever the client has not taken; what `watch` was given is called soon after."""

    def hold(self, most: int | None) -> None:
        """Has `send` wait as long as the client has more than *most* bytes to take; None: as many as usual."""


CONNECTION = "hostler.connection"

FIRST_VALUES = "hostler.first_values"
"""Where the first value of each header lives in a scope, once somebody has asked; who puts other headers into a scope removes it."""

TASK = "hostler.task"
"""Where our own server puts the task that serves a request."""

UPGRADE = "hostler.upgrade"
"""Where our own server says which other protocol a request has asked for in vain."""


class cancel_on_disconnect:  # noqa: N801 - reads as a statement: async with cancel_on_disconnect(receive)
    """Cancels the block when the client leaves, and then raises ClientDisconnected out of it.

    To be entered after the whole body was received: from then on `receive` has only one thing to say. Cancellation from
    elsewhere passes through untouched.

    A server that puts a `Connection` into *scope* says so itself, at no cost; of others it takes a task to hear it.
    """

    __slots__ = ("_connection", "_fired", "_owner", "_receive", "_watcher")

    def __init__(self, receive: Receive, scope: Scope | None = None) -> None:
        scope = scope or {}
        self._receive = receive
        self._connection: Connection | None = scope.get(CONNECTION)
        self._owner: asyncio.Task[object] | None = task_of(scope)
        """Who is cancelled; None once the block is left."""
        self._watcher: asyncio.Task[None] | None = None
        self._fired = False

    async def __aenter__(self) -> None:
        if self._connection is None:
            self._watcher = asyncio.create_task(self._watch(), name="disconnect watcher")  # noqa: TID251 - see the top
        elif not self._connection.watch(self._leave):
            raise ClientDisconnected

    async def _watch(self) -> None:
        while (await self._receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
            pass
        self._leave()

    def _leave(self) -> None:
        if self._owner is not None:
            self._fired = True
            self._owner.cancel()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        owner, self._owner = self._owner, None
        assert owner is not None
        if self._connection is not None:
            self._connection.watch(None)
        elif self._watcher is not None and not self._watcher.done():
            # Cancelled and not waited for: it sleeps in `receive`, holds nothing, and ends in the loop's next turn.
            # Waiting for that turn would cost every request a trip round the loop.
            self._watcher.cancel()
        if self._fired:
            still_cancelled = owner.uncancel()
            if still_cancelled == 0 and (exc_type is None or issubclass(exc_type, asyncio.CancelledError)):
                raise ClientDisconnected from exc


Work = Callable[[], Coroutine[object, object, None]]


class Belated:
    """Work beside a request, in a task of its own that is made only if its time comes: until then it costs a timer.

    Owned by who makes it, who calls `close` whatever happens.
    """

    __slots__ = ("_error", "_name", "_over", "_task", "_timer")

    def __init__(self, name: str) -> None:
        self._name = name
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._over: anyio.Event | None = None
        self._error: Exception | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its time has come."""
        return self._task is not None

    def after(self, delay_s: float, work: Work) -> None:
        """Has *work* begin in so many seconds, instead of what was to begin before; 0: as soon as the caller's task waits."""
        self.call_off()
        # Only the timer knows the work, so that an owner whose method it is makes no cycle for the collector.
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin, work)

    def call_off(self) -> None:
        """Has it never begin; without effect when it has."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, work: Work) -> None:
        self._timer = None
        self._over = over = anyio.Event()
        self._task = asyncio.create_task(self._run(work), name=self._name)  # noqa: TID251 - see the top
        self._task.add_done_callback(lambda _: over.set())

    async def _run(self, work: Work) -> None:
        try:
            await work()
        except Exception as exc:
            self._error = exc

    async def end(self) -> None:
        """Returns when the work is done, or will never begin. Raises what it raised."""
        self.call_off()
        if self._over is not None:
            await self._over.wait()
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Cancels the work and returns when it is gone."""
        self.call_off()
        if self._task is not None and self._over is not None and not self._task.done():
            self._task.cancel()
            with anyio.CancelScope(shield=True):
                await self._over.wait()


async def send_bytes(
    send: Send, status: int, body: bytes, media_type: bytes = b"text/plain; charset=utf-8", headers: Headers = ()
) -> None:
    """Sends a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, document: object, status: int = 200, headers: Headers = ()) -> None:
    """Sends *document* as JSON, with the final newline and the escapes existing clients know."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    await send_bytes(send, status, (escape_json(text) + "\n").encode(), b"application/json", headers)


async def send_error(scope: Scope, send: Send, error: HostlerError) -> None:
    """Sends *error* in the format the client accepts and the dialect of the API it asked."""
    rendered = rendered_for(scope, error)
    await send({"type": "http.response.start", "status": rendered.status, "headers": rendered.headers})
    await send({"type": "http.response.body", "body": rendered.body})


def rendered_for(scope: Scope, error: HostlerError) -> Rendered:
    """Returns *error* in the format the client accepts and the dialect of the API it asked."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return render(error, header(scope, b"accept").decode("latin-1"), dialect_of(path))


def header(scope: Scope, name: bytes) -> bytes:
    """Returns the first header called *name* (lower case), or b''."""
    return first_values(scope).get(name, b"")


def task_of(scope: Scope) -> asyncio.Task[object]:
    """Returns the task that serves *scope*, to whoever runs in it."""
    task: asyncio.Task[object] | None = scope.get(TASK)
    if task is None:
        # Of another server than ours. To ask for it is not cheap before Python 3.12.
        task = asyncio.current_task()
        assert task is not None
    return task


def first_values(scope: Scope) -> dict[bytes, bytes]:
    """Returns the first value of each header, by its name in lower case. Made once for all who ask, and not to be changed."""
    first: dict[bytes, bytes] | None = scope.get(FIRST_VALUES)
    if first is None:
        first = scope[FIRST_VALUES] = dict(reversed(scope["headers"]))
    return first
