"""`/api/events` served by a real server, with what it tells of, and clients that read it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import anyio
import httpx
from openai._streaming import SSEDecoder
from starlette.responses import StreamingResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from app.config.catalog import Capabilities, Catalog, LogSettings, Model, Peer
from app.endpoints.event_topics import topics
from app.endpoints.events import EventStream, routes
from app.endpoints.queue import ShowQueue
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.middleware.track import track
from app.routing.resolve import ActiveProfile
from app.supervisor.supervisor import Supervisor
from app.telemetry.bus import Bus
from app.telemetry.inflight import InFlight
from app.telemetry.logs import LogBook
from app.telemetry.pulse import Pulse
from planners.protocol import ModelId
from tests import fakes
from tests.fakes import FakeLauncher, Logs
from tests.middleware.serving import served

PATIENCE_S = 20.0

ID = re.compile(rb"id:[0-9a-f]{8}-\d+-\d+\n")

A = ModelId("a")


def some_models() -> Catalog:
    """Returns a configuration with something of everything that events tell of."""
    seeing = Capabilities(("text", "image"), ("text",), tools=True, context=4096)
    models: list[Model] = [
        replace(fakes.model("a", aliases=("one", "uno"), capabilities=seeing), name="A & co", description="first"),
        fakes.model("b", unlisted=True),
    ]
    return replace(fakes.catalog(*models), peers={"far": Peer("far", "http://far", ("x", "y"))})


@dataclass
class World:
    """What is watched."""

    catalog: Catalog = field(default_factory=some_models)
    bus: Bus = field(default_factory=Bus)
    book: LogBook = field(default_factory=lambda: LogBook(LogSettings()))
    inflight: InFlight = field(default_factory=InFlight)
    launcher: FakeLauncher = field(default_factory=FakeLauncher)
    profile: ActiveProfile = field(default_factory=ActiveProfile)
    heartbeat_s: float = 15.0
    stalled_s: float = 300.0
    url: str = ""
    sent: int = 0
    """Chunks that `/stream` has got rid of."""

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(
            self.catalog, self.launcher, Logs(), on_announce=lambda _: self.bus.changed("modelStatus")
        )
        self.pulse = Pulse(self.bus, self.inflight, lambda: self.supervisor.view().waiting)
        self.book.on_news = lambda: self.bus.changed("logData")
        queue = ShowQueue(lambda: self.catalog, self.supervisor, self.inflight, self.inflight.clock)
        told = topics(
            self.bus,
            lambda: self.catalog,
            self.supervisor.view,
            lambda: self.profile.current,
            self.inflight,
            queue.document,
        )
        self.stream = EventStream(self.bus, self.book, told, heartbeat_s=self.heartbeat_s, stalled_s=self.stalled_s)
        tracked = track([Route("/stream/{chunks:int}", self._chunks)], self.inflight)
        self.app = ErrorBoundary(Router([*routes(self.stream), *tracked]))

    async def _chunks(self, request: Any) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(request.path_params["chunks"]):
                self.sent += 1
                yield b"x" * 100
                await anyio.lowlevel.checkpoint()

        return StreamingResponse(chunks())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        await self.app(scope, receive, send)


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Serves *world*; yields a client of it for any number of connections."""
    async with world.book, served(world, http=CorkedProtocol) as url, anyio.create_task_group() as group:
        world.url = url
        await group.start(world.supervisor.run)
        group.start_soon(world.pulse.run, 0.01)
        try:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE_S) as client:
                yield client
        finally:
            world.bus.close()
            with anyio.CancelScope(shield=True):
                await world.supervisor.shut_down(5)
            group.cancel_scope.cancel()


class Reader:
    """A client that reads."""

    def __init__(self, reply: httpx.Response) -> None:
        self.reply = reply
        self.raw = b""
        """All that has come."""
        self._chunks = reply.aiter_raw()

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Every whole event so far: its type and what it says."""
        return parsed(self.raw[: self.raw.rfind(b"\n\n") + 2])

    def of(self, kind: str) -> list[Any]:
        """Returns what events of one type say."""
        return [data for name, data in self.events if name == kind]

    @property
    def last_id(self) -> str:
        """What a browser would come back with."""
        found: list[bytes] = ID.findall(self.raw)
        return found[-1][3:].decode().strip()

    @property
    def text(self) -> str:
        """All that has come of the proxy's log."""
        return "".join(data["data"] for data in self.of("logData") if data["source"] == "proxy")

    async def until(self, condition: Callable[[Reader], object]) -> None:
        """Reads on until *condition* holds."""
        with anyio.fail_after(PATIENCE_S):
            while not condition(self):
                self.raw += await anext(self._chunks)

    async def to_the_end(self) -> None:
        """Reads what is left."""
        with anyio.fail_after(PATIENCE_S):
            async for chunk in self._chunks:
                self.raw += chunk


def parsed(raw: bytes) -> list[tuple[str, Any]]:
    """Returns the events of a stream, as another project's parser finds them."""
    found = []
    for event in SSEDecoder().iter_bytes(iter([raw])):
        assert event.event == "message"
        envelope = json.loads(event.data)
        assert list(envelope) == ["type", "data"]
        found.append((cast(str, envelope["type"]), json.loads(envelope["data"])))
    return found


@asynccontextmanager
async def reading(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[Reader]:
    """Connects."""
    async with client.stream("GET", f"/api/events{query}", headers=headers) as reply:
        assert reply.status_code == 200
        yield Reader(reply)
