"""Requests that wait: our real server and supervisor, and models whose servers do what a test says, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from starlette.routing import Router

from app.config.catalog import Catalog
from app.endpoints import inference, upstream
from app.http_protocol import CorkedProtocol
from app.launchers.protocol import LaunchError, LaunchSpec, LogSink
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.proxy.loading import Pace
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.supervisor.supervisor import Supervisor
from tests.fakes import Behaviour, FakeUpstream, Logs
from tests.middleware.serving import served

PATIENCE_S = 20.0

EAGER = Pace(update_s=0.01, silence_s=0.03)
"""Says something often."""

RESTLESS = Pace(update_s=0.01, silence_s=0.0)
"""Takes every wait for a long one."""

STEADY = Pace(update_s=0.01, silence_s=60.0)
"""Tells of loading often, and never breaks a silence."""

CALM = Pace(update_s=60.0, silence_s=60.0)
"""Says nothing but what has to be said."""


@dataclass
class Asked:
    """A request as a model's server read it."""

    head: str
    body: dict[str, Any]

    @property
    def path(self) -> str:
        return self.head.split(" ", 2)[1]

    def header(self, name: str) -> list[str]:
        """Returns every header called *name*."""
        pairs = [line.partition(":") for line in self.head.splitlines()[1:]]
        return [value.strip() for key, _, value in pairs if key.lower() == name]


@dataclass
class Server:
    """The server of one model."""

    ready: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set, the model loads."""
    may_answer: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set, no answer begins."""
    may_end: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set, no answer ends."""
    failure: str = ""
    """Why it cannot be launched, which is seen when it would be ready."""
    status: str = "200 OK"
    content_type: str = "text/event-stream"
    headers: str = ""
    pieces: tuple[bytes, ...] = (b"data: {}\n\n", b"data: [DONE]\n\n")
    breaks: bool = False
    """Whether its answers end too soon."""

    # what happened
    started: anyio.Event = field(default_factory=anyio.Event)
    probed: anyio.Event = field(default_factory=anyio.Event)
    asked: list[Asked] = field(default_factory=list)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if head.startswith("GET /health "):
            status = "200 OK" if self.ready.is_set() else "503 Loading"
            self.probed.set()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        asked = Asked(head, {})
        asked.body = json.loads(await reader.readexactly(int(asked.header("content-length")[0])))
        self.asked.append(asked)
        await self.may_answer.wait()
        writer.write(
            f"HTTP/1.1 {self.status}\r\nContent-Type: {self.content_type}\r\n{self.headers}"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        for piece in self.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        await self.may_end.wait()
        if self.breaks:
            writer.transport.abort()
        else:
            writer.write(b"0\r\n\r\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Launcher:
    """Launches servers in this process."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}

    def server(self, model: str, *, ready: bool = True, answers: bool = True, ends: bool = True) -> Server:
        """Returns a model's server, made anew."""
        one = self.servers[model] = Server()
        for event, is_set in ((one.ready, ready), (one.may_answer, answers), (one.may_end, ends)):
            if is_set:
                event.set()
        return one

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec, log: LogSink) -> AsyncIterator[FakeUpstream]:
        """Serves on the spec's port while inside."""
        one = self.servers[spec.model]
        one.started.set()
        if one.failure:
            await one.ready.wait()
            raise LaunchError(one.failure)
        with anyio.CancelScope(shield=True):
            server = await asyncio.start_server(one.serve, spec.host, spec.port)
        try:
            yield FakeUpstream(Behaviour())
        finally:
            server.close()

    def kill_all(self) -> None:
        """Has nothing to kill."""


@dataclass
class World:
    """Hostler's endpoints for models, served."""

    app: ErrorBoundary
    url: str
    client: httpx.AsyncClient
    supervisor: Supervisor
    launcher: Launcher
    admitted: Admitted

    def server(self, model: str, *, ready: bool = True, answers: bool = True, ends: bool = True) -> Server:
        """Returns a model's server, made anew."""
        return self.launcher.server(model, ready=ready, answers=answers, ends=ends)

    @asynccontextmanager
    async def stream(
        self, model: str, path: str = "/v1/chat/completions", **members: object
    ) -> AsyncIterator[Streamed]:
        """Asks for a stream, and yields the response once it has begun."""
        asked = {"model": model, "stream": True, **members}
        async with self.client.stream("POST", path, json=asked) as response:
            yield Streamed(response, response.aiter_raw())

    async def load(self, model: str) -> None:
        """Loads *model*."""
        async with self.supervisor.lease(self._id(model)):
            pass

    @staticmethod
    def _id(model: str) -> Any:
        return model


@dataclass
class Streamed:
    """A response that comes in pieces."""

    response: httpx.Response
    _pieces: AsyncIterator[bytes]
    body: bytes = b""

    async def until(self, text: str) -> None:
        """Reads until *text* has come; AssertionError when the response ends before."""
        while text.encode() not in self.body:
            piece = await anext(self._pieces, None)
            assert piece is not None, f"it ended with {self.body!r}"
            self.body += piece

    async def rest(self) -> bytes:
        """Reads to the end and returns the whole body."""
        async for piece in self._pieces:
            self.body += piece
        return self.body


@asynccontextmanager
async def world(catalog: Catalog, pace: Pace = STEADY) -> AsyncIterator[World]:
    """Serves *catalog*."""
    launcher = Launcher()
    supervisor = Supervisor(catalog, launcher, Logs())
    admitted, peers = Admitted(), Peers(catalog)
    routing = Routing(lambda: catalog, ActiveProfile(), Reservations(supervisor.view))
    serve = inference.model_app(supervisor, admitted, peers, pace)
    routes = [*inference.routes(serve, routing), *upstream.routes(serve, routing, supervisor)]
    app = ErrorBoundary(Router(routes, redirect_slashes=False))
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            await group.start(supervisor.run)
            async with (
                served(app, http=CorkedProtocol) as url,
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client,
            ):
                yield World(app, url, client, supervisor, launcher, admitted)
            await supervisor.shut_down(5)
            await peers.aclose()
            group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what has no event: turns of the loop pass until *condition* holds."""
    while not condition():
        await anyio.sleep(0.001)


def writers() -> list[str]:
    """Returns the names of the tasks that write loading streams."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("loading stream")]
