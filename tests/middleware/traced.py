"""Hostler's endpoints for models with tracing around them: real sockets, a real supervisor, spans kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import httpx
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from starlette.routing import Router

from app.config.catalog import Catalog
from app.endpoints import inference, upstream
from app.endpoints.captures import decoded
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.meter import Metering
from app.middleware.trace import Traces
from app.middleware.track import track
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.supervisor.supervisor import Supervisor
from app.telemetry.activity import ActivityLog
from app.telemetry.captures import Captures
from app.telemetry.inflight import InFlight
from app.telemetry.store import StoreSettings
from app.telemetry.tracing import Tracing
from tests.endpoints.waiting import PATIENCE_S, Asked, Launcher, Server
from tests.fakes import Logs
from tests.middleware.serving import served

ASKED = {"OTEL_TRACES_EXPORTER": "otlp"}


@dataclass
class World:
    """Hostler, and what it has recorded once it is left."""

    client: httpx.AsyncClient
    launcher: Launcher
    supervisor: Supervisor
    inflight: InFlight
    memory: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def server(self, model: str, *, ready: bool = True, answers: bool = True, ends: bool = True) -> Server:
        """Returns a model's server, made anew: answers with a whole JSON document."""
        server = self.launcher.server(model, ready=ready, answers=answers, ends=ends)
        server.content_type, server.pieces = "application/json", (b"{}",)
        return server

    def asked(self, model: str) -> Asked:
        """Returns the only request that a model's server was asked."""
        (asked,) = self.launcher.servers[model].asked
        return asked

    async def ask(self, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        """Asks the model `a`."""
        return await self.client.post(path, json={"model": "a"}, headers=headers)

    def spans(self, kind: SpanKind) -> list[ReadableSpan]:
        """Returns the finished spans of a kind. Whole after the world has been left."""
        return [span for span in self.memory.get_finished_spans() if span.kind is kind]

    @property
    def server_span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans(SpanKind.SERVER)
        return span

    @property
    def client_span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans(SpanKind.CLIENT)
        return span


@asynccontextmanager
async def world(catalog: Catalog) -> AsyncIterator[World]:
    """Serves *catalog*."""
    launcher = Launcher()
    supervisor = Supervisor(catalog, launcher, Logs())
    admitted, peers, inflight = Admitted(), Peers(catalog), InFlight()
    activity, captures = ActivityLog(StoreSettings()), Captures(0, decoded)
    memory = InMemorySpanExporter()
    traces = Traces(ASKED, lambda settings: Tracing(settings, lambda: [memory]))
    routing = Routing(lambda: catalog, ActiveProfile(), Reservations(supervisor.view))
    serve = traces.onward(inference.model_app(supervisor, admitted, peers))
    metered = partial(Metering, current=lambda: catalog, activity=activity, captures=captures)
    routes = [*inference.routes(serve, routing, metered), *upstream.routes(serve, routing, supervisor)]
    app = ErrorBoundary(Router(traces.around(track(routes, inflight)), redirect_slashes=False))
    with anyio.fail_after(PATIENCE_S):
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(activity)
            await stack.enter_async_context(traces.running())
            group = await stack.enter_async_context(anyio.create_task_group())
            await group.start(supervisor.run)
            async with (
                served(app, http=CorkedProtocol) as url,
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client,
            ):
                yield World(client, launcher, supervisor, inflight, memory)
            await supervisor.shut_down(5)
            await peers.aclose()
            group.cancel_scope.cancel()
