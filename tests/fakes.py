"""Stand-ins for what is outside: a launcher whose upstreams are servers in this very process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from app.config.catalog import Catalog, LogSettings, Model, ModelSpec
from app.launchers.protocol import ExitStatus, LaunchError, LaunchSpec, LogSink
from planners.groups import Group, GroupPlanner
from planners.protocol import ModelId
from tests.ports import free_port


@dataclass
class Behaviour:
    """What the upstreams of one model do."""

    ready: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set the health endpoint answers 503."""
    stops: anyio.Event = field(default_factory=anyio.Event)
    """Until it is set an upstream does not finish stopping."""
    health: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"
    launch_error: str = ""
    health_is_silent: bool = False
    impostor: str | None = None

    # what happened
    crash: anyio.Event = field(default_factory=anyio.Event)
    """Set by a test: the main process ends by itself."""
    probes: int = 0
    log: LogSink | None = None


class FakeUpstream:
    """A server on a real port of this process."""

    pid = None

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def wait(self) -> ExitStatus:
        """Returns when the test says that it has crashed."""
        await self._behaviour.crash.wait()
        return ExitStatus(3)

    async def impostor(self) -> str | None:
        """Says what the test says."""
        return self._behaviour.impostor


class FakeLauncher:
    """Obeys the launcher's contract without processes, and writes down what it was asked."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.story: list[str] = []
        """`start a`, `stop a`, `gone a`, in the order in which it happened."""
        self.killed = anyio.Event()

    def model(self, name: str, *, ready: bool = True, stops: bool = True) -> Behaviour:
        """Returns the behaviour of *name*'s upstreams, made anew."""
        behaviour = self.behaviours[name] = Behaviour()
        if ready:
            behaviour.ready.set()
        if stops:
            behaviour.stops.set()
        return behaviour

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec, log: LogSink) -> AsyncIterator[FakeUpstream]:
        """Serves on the spec's port while inside."""
        behaviour = self.behaviours.get(spec.model) or self.model(spec.model)
        self.story.append(f"start {spec.model}")
        if behaviour.launch_error:
            raise LaunchError(behaviour.launch_error)
        behaviour.log = log
        with anyio.CancelScope(shield=True):  # start_server, cancelled, leaves its socket behind
            server = await asyncio.start_server(lambda r, w: _serve(behaviour, r, w), spec.host, spec.port)
        try:
            yield FakeUpstream(behaviour)
        finally:
            self.story.append(f"stop {spec.model}")
            server.close()
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:

                    async def until(event: anyio.Event) -> None:
                        await event.wait()
                        group.cancel_scope.cancel()

                    group.start_soon(until, behaviour.stops)
                    group.start_soon(until, self.killed)
            self.story.append(f"gone {spec.model}")

    def kill_all(self) -> None:
        """Lets those go that do not stop by themselves."""
        self.killed.set()


async def _serve(behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /health "):
                behaviour.probes += 1
                if behaviour.health_is_silent:
                    await reader.read()
                    return
                if not behaviour.ready.is_set():
                    writer.write(b"HTTP/1.1 503 Loading\r\ncontent-length: 0\r\n\r\n")
                    continue
                writer.write(behaviour.health)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


class Logs:
    """Keeps what upstreams print."""

    def __init__(self) -> None:
        self.printed: dict[str, bytes] = {}

    def model_sink(self, model: str) -> LogSink:
        """Returns what takes the output of *model*."""

        def sink(data: bytes) -> None:
            self.printed[model] = self.printed.get(model, b"") + data

        return sink

    def tail(self, model: str, lines: int = 10) -> str:
        """Returns the last *lines* that *model* printed."""
        return "\n".join(self.printed.get(model, b"").decode().splitlines()[-lines:])


def model(name: str, port: int | None = None, *, argv: tuple[str, ...] = ("fake",), **changes: Any) -> Model:
    """Returns a model on *port* of this machine. `changes` go to the fields of Model, or else of ModelSpec."""
    port = free_port() if port is None else port
    spec = ModelSpec(LaunchSpec(name, argv, port=port, grace_s=5.0), f"http://127.0.0.1:{port}")
    of_spec = {key: value for key, value in changes.items() if key in ModelSpec.__slots__}
    of_model = {key: value for key, value in changes.items() if key not in of_spec}
    return replace(Model(ModelId(name), replace(spec, **of_spec)), **of_model)


def catalog(*models: Model, groups: tuple[Group, ...] = (), patience_s: float = 60.0) -> Catalog:
    """Returns a configuration of *models*."""
    aliases = {alias: entry.id for entry in models for alias in entry.aliases}
    by_id = {entry.id: entry for entry in models}
    return Catalog(by_id, aliases, GroupPlanner(groups, by_id), patience_s, logs=LogSettings())
