"""Hostler's endpoints for models as they are recorded: real sockets, a real supervisor, servers that do what a test says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import httpx
from starlette.routing import Router
from starlette.types import ASGIApp

from app.config.catalog import Catalog
from app.endpoints import captures as captured, inference, upstream
from app.endpoints.table import ENDPOINTS
from app.http_protocol import CorkedProtocol
from app.middleware.auth import guard
from app.middleware.capture import Capturing
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.meter import Metering
from app.middleware.track import track
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.supervisor.supervisor import Supervisor
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_record import ActivityRecord
from app.telemetry.captures import Captures
from app.telemetry.inflight import InFlight
from app.telemetry.store import StoreSettings
from tests.endpoints.waiting import PATIENCE_S, STEADY, Launcher, Server, until
from tests.fakes import Logs
from tests.middleware.serving import served
from tests.telemetry.activity_records import read_all

RECORDED = frozenset(row.upstream_path for row in ENDPOINTS)


@dataclass
class Clock:
    """Stands still unless a test moves it."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Recorded:
    """The endpoints, and what is written down of them."""

    app: ASGIApp
    client: httpx.AsyncClient
    supervisor: Supervisor
    launcher: Launcher
    inflight: InFlight
    activity: ActivityLog
    captures: Captures
    told: list[int] = field(default_factory=list)
    """Numbers of the records that there was news of."""

    def server(self, model: str = "a", *, ready: bool = True, answers: bool = True, ends: bool = True) -> Server:
        """Returns a model's server, made anew."""
        return self.launcher.server(model, ready=ready, answers=answers, ends=ends)

    async def ask(self, path: str = "/v1/chat/completions", **members: object) -> httpx.Response:
        """Asks model `a`, if *members* name no other."""
        return await self.client.post(path, json={"model": "a", **members})

    async def record(self) -> ActivityRecord:
        """Returns the only record, once it is there: what a client reads last may come before."""
        await until(lambda: len(self.told) > 0)
        (one,) = await read_all(self.activity)
        assert self.told == [one.id]
        return one


@asynccontextmanager
async def recorded(
    catalog: Catalog, clock: Callable[[], float] = time.monotonic, capture_bytes: int = 1 << 20
) -> AsyncIterator[Recorded]:
    """Serves *catalog*. clock: of the layer that meters."""
    launcher, inflight, told = Launcher(), InFlight(), list[int]()
    supervisor = Supervisor(catalog, launcher, Logs())
    peers = Peers(catalog)
    routing = Routing(lambda: catalog, ActiveProfile(), Reservations(supervisor.view))
    captures = Captures(capture_bytes, captured.decoded)
    serve = Capturing(inference.model_app(supervisor, Admitted(), peers, STEADY), captures, RECORDED)
    with anyio.fail_after(PATIENCE_S):
        async with ActivityLog(StoreSettings()) as activity, anyio.create_task_group() as group:
            wrap = partial(
                Metering,
                current=lambda: catalog,
                activity=activity,
                captures=captures,
                recorded=RECORDED,
                on_record=told.append,
                clock=clock,
            )
            routes = [*inference.routes(serve, routing, wrap), *upstream.routes(serve, routing, supervisor, wrap)]
            router = Router(guard(track(routes, inflight), lambda: catalog), redirect_slashes=False)
            app = ErrorBoundary(router)
            await group.start(captures.run)
            await group.start(supervisor.run)
            async with (
                served(app, http=CorkedProtocol) as url,
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_S) as client,
            ):
                yield Recorded(app, client, supervisor, launcher, inflight, activity, captures, told)
            await supervisor.shut_down(5)
            await peers.aclose()
            group.cancel_scope.cancel()
