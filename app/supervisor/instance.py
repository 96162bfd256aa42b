"""The life of one upstream: launch, become ready, run until it ends by itself or its task is cancelled.

Leaving `launch` is the stop procedure (see `launchers/protocol.py`), so there is no stop in this file: whoever wants an
instance gone cancels its task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio

from app.config.catalog import ModelSpec
from app.launchers.protocol import Launcher, LogSink, Upstream
from app.proxy.transport import UpstreamTransport
from app.supervisor.readiness import News, wait_ready


@dataclass(frozen=True, slots=True)
class Running:
    """A ready upstream, as a granted request sees it."""

    model: str
    generation: int
    transport: UpstreamTransport
    """Its own connections; closed with it."""


async def live(
    spec: ModelSpec,
    generation: int,
    launcher: Launcher,
    log: LogSink,
    on_ready: Callable[[Running], None],
    on_ending: Callable[[str], None],
) -> None:
    """Runs one upstream from launch to end. Nothing of it is left when this returns or raises.

    on_ready: called once, when the upstream answers.
    on_ending: called once, with the reason, when it fails by itself, before what is left of it is cleared away.
    Raises LaunchError when it cannot be started.
    """
    news = News()

    def listen(data: bytes) -> None:
        log(data)
        news.spread()

    async with launcher.launch(spec.launch, listen) as upstream:
        transport = UpstreamTransport(spec.base_url, spec.timeouts)
        try:
            await _serve(spec, generation, upstream, transport, news, on_ready, on_ending)
        finally:
            # Closed before the process is told to stop: who still reads from it learns at once that it is over.
            with anyio.CancelScope(shield=True):
                await transport.aclose()


async def _serve(
    spec: ModelSpec,
    generation: int,
    upstream: Upstream,
    transport: UpstreamTransport,
    news: News,
    on_ready: Callable[[Running], None],
    on_ending: Callable[[str], None],
) -> None:
    is_ready = False

    async def watch() -> None:
        status = await upstream.wait()
        on_ending(str(status) if is_ready else f"upstream command exited prematurely: {status}")
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, name=f"exit of {spec.launch.model}#{generation}")
        with anyio.move_on_after(spec.health_check_timeout_s) as limit:
            await wait_ready(spec, transport, news)
        if limit.cancelled_caught:
            on_ending(f"health check timed out after {spec.health_check_timeout_s:g}s")
            group.cancel_scope.cancel()
        elif (stranger := await upstream.impostor()) is not None:
            on_ending(f"its port {spec.launch.port} was taken by {stranger} while it started")
            group.cancel_scope.cancel()
        else:
            is_ready = True
            on_ready(Running(spec.launch.model, generation, transport))
