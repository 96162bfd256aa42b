"""The endpoints that lead to a model, with a real upstream behind them that tells what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from starlette.routing import Router

from app.config.catalog import Catalog, Timeouts
from app.endpoints import inference, upstream
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.proxy.peers import Peers
from app.proxy.transport import UpstreamTransport
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.scheduler.history import History
from app.scheduler.instances import Phase, SchedulerView
from app.supervisor.instance import Running
from app.supervisor.supervisor import Supervisor
from planners.protocol import ModelId
from tests.asgi import Reply
from tests.endpoints.catalogs import view


@dataclass(frozen=True, slots=True)
class Told:
    """What the upstream was asked."""

    method: str
    target: str
    body: str


def told(reply: Reply) -> Told:
    """Returns what the upstream says it was asked."""
    assert reply.status == 200, (reply.status, reply.body)
    return Told(**json.loads(reply.body))


class AlwaysReady:
    """Stands where the supervisor does: every model is ready, at one server."""

    def __init__(self, transport: UpstreamTransport) -> None:
        self._transport = transport
        self.phases: dict[str, Phase] = {}
        """What `view` tells; a model that is not in it is stopped."""
        self.leased: list[str] = []
        self.held = 0
        self.history = History()

    def wait_s(self, _model: ModelId) -> float:
        return 0.0

    def view(self) -> SchedulerView:
        return view(**self.phases)

    def lease(self, model: ModelId) -> _Held:
        return _Held(self, Running(model, 1, self._transport))


@dataclass
class _Held:
    """Stands where a lease does."""

    supervised: AlwaysReady
    running: Running
    ticket: int = 1
    swap_s: float = 0.0

    async def __aenter__(self) -> Running:
        self.supervised.leased.append(self.running.model)
        self.supervised.held += 1
        return self.running

    async def __aexit__(self, *_: object) -> None:
        self.supervised.held -= 1


@dataclass(frozen=True, slots=True)
class Stack:
    """The application's model endpoints."""

    app: ErrorBoundary
    supervised: AlwaysReady
    admitted: Admitted
    routing: Routing


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        method, target, _ = line.decode("latin-1").split(" ", 2)
        length = 0
        while (header := await reader.readline()) not in {b"\r\n", b""}:
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = (await reader.readexactly(length)).decode("latin-1")
        document = json.dumps({"method": method, "target": target, "body": body}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(document))
        if method != "HEAD":
            writer.write(document)
    writer.close()


@asynccontextmanager
async def stack(current: Callable[[], Catalog], base_path: str = "") -> AsyncIterator[Stack]:
    """Serves the model endpoints of the configuration in force."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = UpstreamTransport(f"http://127.0.0.1:{port}{base_path}", Timeouts())
    supervised, admitted = AlwaysReady(transport), Admitted()
    peers = Peers(current())
    routing = Routing(current, ActiveProfile(), Reservations(supervised.view))
    serve = inference.model_app(cast(Supervisor, supervised), admitted, peers)
    router = Router(
        [*inference.routes(serve, routing), *upstream.routes(serve, routing, supervised)], redirect_slashes=False
    )
    try:
        yield Stack(ErrorBoundary(router), supervised, admitted, routing)
    finally:
        await peers.aclose()
        await transport.aclose()
        server.close()
        await server.wait_closed()
