"""Websockets end to end in one process: real clients, our real server, models that are real websocket servers."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import anyio
import uvicorn
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.application import Application
from app.asgi import MESSAGE_LIMIT
from app.config.catalog import Catalog
from app.endpoints import comfyui, websockets
from app.endpoints.comfyui import ComfyUI
from app.endpoints.inference import model_app
from app.endpoints.upstream import Upstream
from app.endpoints.websockets import Tunnel
from app.launchers.protocol import LaunchSpec, LogSink
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.paths import Dispatch
from app.middleware.trace import Traces
from app.middleware.upgrade import NoUpgrade
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.server import server_config
from app.supervisor.supervisor import Supervisor
from planners.protocol import ModelId
from tests.fakes import Behaviour, FakeUpstream, Logs

PATIENCE_S = 30.0


@dataclass
class ModelServer:
    """What the websocket servers of one model do, and what has happened to them."""

    may_start: anyio.Event = field(default_factory=anyio.Event)
    started: anyio.Event = field(default_factory=anyio.Event)
    may_read: anyio.Event = field(default_factory=anyio.Event)
    """`/stuck` reads nothing before."""
    closed: list[tuple[int | None, str | None]] = field(default_factory=list)
    """How each of its websockets was closed."""
    sent: int = 0
    """Messages `/flood` has got rid of."""
    server: Server | None = None

    async def answer(self, websocket: ServerConnection) -> None:
        """Serves one websocket."""
        assert websocket.request is not None
        url = urlsplit(websocket.request.path)
        knobs = dict(parse_qsl(url.query))
        try:
            match url.path.removeprefix("/base"):
                case "/told":
                    headers = [[name.lower(), value] for name, value in websocket.request.headers.raw_items()]
                    await websocket.send(json.dumps({"path": websocket.request.path, "headers": headers}))
                case "/close":
                    await websocket.close(int(knobs["code"]), knobs.get("reason", ""))
                case "/vanish":
                    websocket.transport.abort()
                case "/last-words":
                    await websocket.send("one")
                    await websocket.send("two")
                    await websocket.close(4001, "done")
                case "/large":
                    await websocket.send("x" * int(knobs["size"]))
                    await websocket.wait_closed()
                case "/flood":
                    while True:
                        await websocket.send(b"x" * 65536)
                        self.sent += 1
                case "/stuck":
                    await self.may_read.wait()
            async for message in websocket:
                await websocket.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.closed.append((websocket.close_code, websocket.close_reason))


def _refusals(websocket: ServerConnection, request: Request) -> Response | None:
    path = urlsplit(request.path).path
    if path == "/refused":
        response = websocket.respond(HTTPStatus.UNAUTHORIZED, "not you")
        response.headers["X-Why"] = "because"
        return response
    if path == "/moved":
        response = websocket.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = "/echo"
        return response
    return None


def _accepted(_websocket: ServerConnection, request: Request, response: Response) -> Response:
    if request.path == "/cookie":
        response.headers["Set-Cookie"] = "a=1"
        response.headers["Set-Cookie"] = "b=2"
    return response


class SocketLauncher:
    """A launcher whose upstreams are websocket servers in this process."""

    def __init__(self) -> None:
        self.models: dict[str, ModelServer] = {}
        self.story: list[str] = []

    def model(self, name: str) -> ModelServer:
        """Returns what is known of *name*."""
        if name not in self.models:
            self.models[name] = ModelServer()
            self.models[name].may_start.set()
        return self.models[name]

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec, log: LogSink) -> AsyncIterator[FakeUpstream]:
        """Serves on the spec's port while inside."""
        model = self.model(spec.model)
        self.story.append(f"start {spec.model}")
        model.started.set()
        behaviour = Behaviour()
        try:
            await model.may_start.wait()
            server = serve(
                model.answer,
                spec.host,
                spec.port,
                process_request=_refusals,
                process_response=_accepted,
                subprotocols=[Subprotocol("second"), Subprotocol("third")],
                select_subprotocol=_select,
                max_size=2 * MESSAGE_LIMIT,
                close_timeout=1,
            )
            async with server as model.server:
                yield FakeUpstream(behaviour)
                model.server.close(code=1012)
        finally:
            with anyio.CancelScope(shield=True):
                if model.server is not None:
                    model.server.close()
                    await model.server.wait_closed()
            self.story.append(f"gone {spec.model}")

    def kill_all(self) -> None:
        """Has nothing to kill."""


def _select(_websocket: ServerConnection, offered: Any) -> Subprotocol | None:
    return next((name for name in offered if name in {"second", "third"}), None)


@dataclass(frozen=True)
class Host:
    """Our server, with what is behind it."""

    port: int
    supervisor: Supervisor
    launcher: SocketLauncher
    admitted: Admitted

    def open(self, path: str, **options: Any) -> connect:
        """Returns a client's websocket, to be entered or awaited."""
        options = {"compression": None, "proxy": None, "max_size": None, "ping_interval": None} | options
        return connect(f"ws://127.0.0.1:{self.port}{path}", **options)

    async def load(self, model: str) -> None:
        """Loads *model*."""
        async with self.supervisor.lease(ModelId(model)):
            pass

    def leases(self, model: str) -> int:
        """Returns how many hold *model*."""
        return self.supervisor.view().models[ModelId(model)].leases


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, listening: anyio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()


@asynccontextmanager
async def hosting(
    catalog: Catalog,
    launcher: SocketLauncher | None = None,
    ping_interval_s: float = 20.0,
    traces: Traces | None = None,
) -> AsyncIterator[Host]:
    """Serves the endpoints that have websockets, as the whole program does."""
    launcher = launcher or SocketLauncher()
    supervisor = Supervisor(catalog, launcher, Logs())
    admitted, peers = Admitted(), Peers(catalog)
    routing = Routing(lambda: catalog, ActiveProfile(), Reservations(supervisor.view))
    traces = traces or Traces({})
    tunnel = traces.onward(Tunnel(supervisor, admitted, peers))
    serve_model = model_app(supervisor, admitted, peers)

    def upstream(app: ASGIApp) -> ASGIApp:
        return Upstream(app, routing, supervisor)

    def comfy(app: ASGIApp) -> ASGIApp:
        return ComfyUI(app, lambda: catalog, supervisor)

    routes = [
        *websockets.routes(
            {"/upstream/{rest:path}": upstream, "/comfyui": comfy, "/comfyui/{rest:path}": comfy}, tunnel
        ),
        *comfyui.routes(serve_model, lambda: catalog, supervisor),
    ]
    app = ErrorBoundary(NoUpgrade(Dispatch(traces.around(routes), serve_model)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = server_config(cast(Application, app))
        config.lifespan = "off"
        config.ws_ping_interval = ping_interval_s
        config.ws_ping_timeout = ping_interval_s + 10 if ping_interval_s > 1 else ping_interval_s
        listening = anyio.Event()
        server = _Server(config, listening)
        async with anyio.create_task_group() as group:
            await group.start(supervisor.run)
            group.start_soon(server._serve, [listener])
            await listening.wait()
            try:
                yield Host(listener.getsockname()[1], supervisor, launcher, admitted)
            finally:
                server.should_exit = True
                with anyio.CancelScope(shield=True), anyio.fail_after(PATIENCE_S):
                    await until(lambda: not server.servers or not server.servers[0].is_serving())
                    await until(lambda: not server.server_state.connections and not server.server_state.tasks)
                    await supervisor.shut_down(5)
                    await peers.aclose()
                group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what has no event: turns of the loop pass until *condition* holds."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.sleep(0.001)


async def closed(websocket: ClientConnection) -> tuple[int | None, str | None]:
    """Returns how the client's websocket ends."""
    with anyio.fail_after(PATIENCE_S):
        await websocket.wait_closed()
    return websocket.close_code, websocket.close_reason
