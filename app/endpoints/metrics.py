"""`GET /metrics` and `GET /metrics/upstream`: figures for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import anyio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.routing import Route

from app.asgi import header, send_bytes
from app.errors import UpstreamError
from app.proxy.forwarder import upstream_target
from app.scheduler.instances import Phase
from app.telemetry.upstream_metrics import labelled

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.proxy.transport import UpstreamTransport
    from app.supervisor.supervisor import Supervisor

LIMIT_S = 2.0
"""Seconds for one server to give its metrics: less than any scrape's own limit."""

LONGEST = 4 << 20
"""Bytes taken of one server's metrics."""


def routes(registry: CollectorRegistry, settle: Callable[[], Awaitable[None]], supervisor: Supervisor) -> list[Route]:
    """Returns the routes of this module. settle: returns when the figures are those of now."""
    return [
        Route("/metrics", Metrics(registry, settle), methods=["GET"]),
        Route("/metrics/upstream", UpstreamMetrics(supervisor), methods=["GET"]),
    ]


class Metrics:
    """ASGI endpoint: our own figures, in the format that is asked for."""

    def __init__(self, registry: CollectorRegistry, settle: Callable[[], Awaitable[None]]) -> None:
        self._registry = registry
        self._settle = settle

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await self._settle()
        encode, content_type = choose_encoder(header(scope, b"accept").decode("latin-1"))
        # With many models these are thousands of lines.
        body = await anyio.to_thread.run_sync(encode, self._registry)
        await send_bytes(send, 200, body, content_type.encode())


class UpstreamMetrics:
    """ASGI endpoint: the figures of all ready models' servers that have any. Nothing is loaded, or kept, for it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Asks all of them at the same time, and answers."""
        texts: dict[str, str | None] = {}

        async def ask(model: str, transport: UpstreamTransport) -> None:
            texts[model] = await scrape(transport)

        async with anyio.create_task_group() as group:
            for model, its in self._supervisor.view().models.items():
                running = self._supervisor.running(model) if its.phase is Phase.READY else None
                if running is not None:
                    texts[model] = None
                    group.start_soon(ask, model, running.transport)
        body = await anyio.to_thread.run_sync(labelled, _in_order(texts))
        await send_bytes(send, 200, body, b"text/plain; version=0.0.4; charset=utf-8")


async def scrape(transport: UpstreamTransport) -> str | None:
    """Returns what a server says under `/metrics`; None: nothing, or nothing that is text, or not in time."""
    headers = [
        (b"host", transport.host),
        (b"accept", b"text/plain"),
        (b"user-agent", b"hostler"),
    ]
    parts: list[bytes] = []
    size = 0
    with anyio.move_on_after(LIMIT_S):
        try:
            response = await transport.request(
                b"GET", upstream_target(transport.base_path, b"/metrics", b""), headers, b""
            )
            try:
                if response.status != 200:
                    return None
                while data := await response.read_some():
                    parts.append(data)
                    size += len(data)
                    if size > LONGEST:
                        return None
            finally:
                response.close()
        except (UpstreamError, OSError):
            return None
        return b"".join(parts).decode("utf-8", "replace")
    return None


def _in_order(texts: Mapping[str, str | None]) -> dict[str, str | None]:
    return dict(sorted(texts.items()))
