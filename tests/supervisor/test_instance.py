"""The life of one upstream: when it counts as ready, and that nothing of it is left wherever it is cut short."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from app.launchers.protocol import LogSink
from app.supervisor import readiness
from app.supervisor.instance import Running, live
from tests.fakes import FakeLauncher, model

pytestmark = pytest.mark.anyio


class Life:
    """Runs one upstream in the background and writes down what became of it."""

    def __init__(self, launcher: FakeLauncher, **changes: Any) -> None:
        self.launcher = launcher
        self.spec = model("a", **changes).spec
        self.ready = anyio.Event()
        self.running: Running | None = None
        self.endings: list[str] = []

    def log(self, data: bytes) -> None:
        """Ignores what it prints."""

    def on_ready(self, running: Running) -> None:
        self.running = running
        self.ready.set()

    async def run(self, log: LogSink | None = None) -> None:
        await live(self.spec, 1, self.launcher, log or self.log, self.on_ready, self.endings.append)


async def test_any_2xx_is_ready() -> None:
    launcher = FakeLauncher()
    launcher.model("a").health = b"HTTP/1.1 204 No Content\r\n\r\n"
    life = Life(launcher)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        with anyio.fail_after(5):
            await life.ready.wait()
        group.cancel_scope.cancel()


async def test_redirect_is_not_ready() -> None:
    launcher = FakeLauncher()
    launcher.model("a").health = b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
    life = Life(launcher, health_check_timeout_s=0.2)
    await life.run()

    assert life.endings == ["health check timed out after 0.2s"]
    assert launcher.story == ["start a", "stop a", "gone a"]


async def test_without_a_health_endpoint_a_listening_port_is_ready() -> None:
    launcher = FakeLauncher()
    behaviour = launcher.model("a", ready=False)
    life = Life(launcher, check_endpoint=None)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        with anyio.fail_after(5):
            await life.ready.wait()
        group.cancel_scope.cancel()

    assert behaviour.probes == 0


async def test_silent_probe_has_its_own_limit_and_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PROBE_LIMIT_S", 0.02)
    launcher = FakeLauncher()
    behaviour = launcher.model("a")
    behaviour.health_is_silent = True
    life = Life(launcher, health_check_timeout_s=0.5)
    await life.run()

    assert behaviour.probes > 2
    assert life.running is None


async def test_news_from_the_upstream_is_a_reason_to_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the news the second question would come in an hour.
    monkeypatch.setattr(readiness, "ASKING", replace(readiness.ASKING, last_s=3600.0, growth=1e9))
    launcher = FakeLauncher()
    behaviour = launcher.model("a", ready=False)
    life = Life(launcher)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        with anyio.fail_after(5):
            while behaviour.probes < 2:
                await anyio.lowlevel.checkpoint()
            behaviour.ready.set()
            assert behaviour.log is not None
            behaviour.log(b"model loaded\n")
            await life.ready.wait()
        group.cancel_scope.cancel()


async def test_strangers_server_on_its_port_is_not_taken_for_it() -> None:
    launcher = FakeLauncher()
    launcher.model("a").impostor = "process 1 (init)"
    life = Life(launcher)
    await life.run()

    assert life.running is None
    assert life.endings == [f"its port {life.spec.launch.port} was taken by process 1 (init) while it started"]


async def test_crash_says_whether_it_was_ready() -> None:
    launcher = FakeLauncher()
    behaviour = launcher.model("a")
    life = Life(launcher)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        await life.ready.wait()
        behaviour.crash.set()

    assert life.endings == ["exited with code 3"]


async def test_its_connections_are_closed_with_it() -> None:
    life = Life(FakeLauncher())
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        await life.ready.wait()
        group.cancel_scope.cancel()

    assert life.running is not None
    with pytest.raises(Exception, match="being stopped"):
        await life.running.transport.request(b"GET", b"/", [(b"host", b"x")], b"")


@pytest.mark.parametrize("turns", range(25))
async def test_cancelled_after_any_number_of_turns_it_leaves_nothing(turns: int) -> None:
    launcher = FakeLauncher()
    life = Life(launcher)
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert life.endings == []
    assert launcher.story.count("stop a") == launcher.story.count("gone a")
    if life.running is not None:
        assert launcher.story == ["start a", "stop a", "gone a"]
