"""The supervisor over a fake launcher: events in, upstreams out, nothing lost between."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from anyio.abc import TaskGroup

from app.config.catalog import Catalog
from app.errors import BackingOff, HostlerError, NotFound, ShuttingDown, StartFailed, Unloaded
from app.scheduler.commands import Announce
from app.scheduler.events import Event, Tick, Unload
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Supervisor
from planners.groups import Group
from planners.protocol import ModelId
from tests.fakes import FakeLauncher, Logs, catalog, model

pytestmark = pytest.mark.anyio

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")


class Stage:
    """A running supervisor and what a test needs around it."""

    def __init__(self, supervisor: Supervisor, launcher: FakeLauncher, group: TaskGroup, logs: Logs) -> None:
        self.supervisor = supervisor
        self.launcher = launcher
        self.logs = logs
        self._group = group
        self.answers: list[str] = []
        self._changed = anyio.Event()

    def announce(self, _what: Announce) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():
                self._changed = anyio.Event()
                with anyio.move_on_after(0.01):
                    await self._changed.wait()

    def phase(self, name: ModelId) -> Phase:
        return self.supervisor.view().models[name].phase

    def ask(self, name: ModelId, label: str, hold: anyio.Event | None = None) -> anyio.CancelScope:
        """Starts a client; its answer goes to `answers`. It keeps its lease until *hold* is set."""
        scope = anyio.CancelScope()

        async def client() -> None:
            with scope:
                try:
                    async with self.supervisor.lease(name) as running:
                        self.answers.append(f"{label}: {running.model}#{running.generation}")
                        if hold is not None:
                            await hold.wait()
                except HostlerError as exc:
                    self.answers.append(f"{label}: {type(exc).__name__}")

        self._group.start_soon(client)
        return scope


@asynccontextmanager
async def stage(config: Catalog, *, launcher: FakeLauncher | None = None) -> AsyncIterator[Stage]:
    launcher = launcher or FakeLauncher()
    logs = Logs()
    async with anyio.create_task_group() as group:
        heard: list[Stage] = []
        supervisor = Supervisor(config, launcher, logs, on_announce=lambda what: heard[0].announce(what))
        heard.append(Stage(supervisor, launcher, group, logs))
        await group.start(supervisor.run)
        yield heard[0]
        with anyio.fail_after(10):
            await supervisor.shut_down(5)
        group.cancel_scope.cancel()


async def test_first_request_starts_its_model_and_gets_a_transport_that_works() -> None:
    async with stage(catalog(model("a"))) as on, on.supervisor.lease(A) as running:
        response = await running.transport.request(b"GET", b"/hello", [(b"host", b"x")], b"")

        assert await response.read_some() == b"hello"
        await response.aclose()


async def test_a_ready_model_is_granted_without_a_turn_of_the_loop() -> None:
    async with stage(catalog(model("a"))) as on:
        async with on.supervisor.lease(A):
            pass
        entering = on.supervisor.lease(A)
        with pytest.raises(StopIteration):  # it returned where an await would have yielded
            entering.__aenter__().send(None)
        await entering.__aexit__(None, None, None)


async def test_lease_that_ends_while_an_event_is_handled_ends_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the collector closes a coroutine that nobody holds any more, in the middle of whatever runs."""
    async with stage(catalog(model("a"))) as on:
        ending, late = on.supervisor.lease(A), on.supervisor.lease(A)
        await ending.__aenter__()
        waiter = late.__aenter__()
        leases: list[int] = []

        def while_it_is_told(what: Announce) -> None:
            if what.phase is Phase.STOPPING:
                with pytest.raises(StopIteration):
                    ending.__aexit__(None, None, None).send(None)
                waiter.send(None)  # it waits: nothing is granted meanwhile
                leases.append(on.supervisor.view().models[A].leases)

        monkeypatch.setattr(on, "announce", while_it_is_told)
        on.supervisor.post(Unload(frozenset({A})))

        assert leases == [1]
        assert on.supervisor.view().models[A].leases == 0
        assert on.supervisor.view().models[A].waiting == 1
        waiter.close()
        assert on.supervisor.view().models[A].waiting == 0


async def test_swap_stops_one_model_completely_before_it_starts_the_other() -> None:
    launcher = FakeLauncher()
    async with stage(catalog(model("a"), model("b")), launcher=launcher) as on:
        hold = anyio.Event()
        on.ask(A, "1", hold)
        await on.until(lambda: bool(on.answers))
        on.ask(B, "2")
        await on.until(lambda: on.supervisor.view().models[B].waiting == 1)

        assert launcher.story == ["start a"]

        hold.set()
        await on.until(lambda: len(on.answers) == 2)

        assert launcher.story == ["start a", "stop a", "gone a", "start b"]
        assert on.answers == ["1: a#1", "2: b#2"]


async def test_models_of_a_group_that_does_not_swap_live_side_by_side() -> None:
    config = catalog(model("a"), model("b"), groups=(Group("g", (A, B), swap=False),))
    async with stage(config) as on, on.supervisor.lease(A), on.supervisor.lease(B):
        assert on.phase(A) is on.phase(B) is Phase.READY


async def test_client_that_hangs_up_in_the_queue_leaves_it_and_no_swap_happens() -> None:
    launcher = FakeLauncher()
    async with stage(catalog(model("a"), model("b")), launcher=launcher) as on:
        hold = anyio.Event()
        on.ask(A, "1", hold)
        await on.until(lambda: bool(on.answers))
        leaving = on.ask(B, "2")
        await on.until(lambda: on.supervisor.view().models[B].waiting == 1)
        leaving.cancel()
        await on.until(lambda: on.supervisor.view().models[B].waiting == 0)
        hold.set()
        await on.until(lambda: on.supervisor.view().models[A].leases == 0)

        assert launcher.story == ["start a"]
        assert on.answers == ["1: a#1"]


async def test_client_that_hangs_up_while_its_model_loads_lets_the_load_finish() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        leaving = on.ask(A, "1")
        await on.until(lambda: loading.probes > 0)
        leaving.cancel()
        loading.ready.set()
        await on.until(lambda: on.phase(A) is Phase.READY)

        assert on.supervisor.view().models[A].leases == 0


async def test_crash_while_starting_fails_every_waiter_and_tells_the_operator_its_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    launcher = FakeLauncher()
    behaviour = launcher.model("a", ready=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        on.ask(A, "1")
        on.ask(A, "2")
        await on.until(lambda: behaviour.probes > 0)
        assert behaviour.log is not None
        behaviour.log(b"out of memory\n")
        with caplog.at_level(logging.ERROR):
            behaviour.crash.set()
            await on.until(lambda: len(on.answers) == 2)

        assert on.answers == ["1: StartFailed", "2: StartFailed"]
        assert "exited with code 3" in caplog.text
        assert "out of memory" in caplog.text
        await on.until(lambda: on.phase(A) is Phase.STOPPED)
        assert "exited prematurely" in on.supervisor.view().models[A].failure


async def test_failed_start_is_tried_again_only_when_somebody_insists() -> None:
    launcher = FakeLauncher()
    launcher.model("a").launch_error = "no such command"
    async with stage(catalog(model("a")), launcher=launcher) as on:
        with pytest.raises(StartFailed, match="no such command"):
            async with on.supervisor.lease(A):
                pass
        launcher.model("a")
        with pytest.raises(BackingOff, match=r"no such command\. It is tried again in 1 s") as refused:
            async with on.supervisor.lease(A):
                pass
        async with on.supervisor.lease(A, insists=True) as running:
            assert running.generation == 2

    assert refused.value.retry_after_s == 1


async def test_dying_upstream_gets_no_more_requests_while_it_is_cleared_away() -> None:
    launcher = FakeLauncher()
    dying = launcher.model("a", stops=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        async with on.supervisor.lease(A):
            pass
        dying.crash.set()
        await on.until(lambda: on.phase(A) is Phase.STOPPING)
        launcher.model("a")
        on.ask(A, "late")
        await on.until(lambda: on.supervisor.view().models[A].waiting == 1)

        assert on.answers == []

        dying.stops.set()
        await on.until(lambda: bool(on.answers))

        assert on.answers == ["late: a#2"]


async def test_health_check_that_never_succeeds_is_a_failed_start() -> None:
    launcher = FakeLauncher()
    launcher.model("a", ready=False)
    async with stage(catalog(model("a", health_check_timeout_s=0.05)), launcher=launcher) as on:
        with pytest.raises(StartFailed, match="health check timed out"):
            async with on.supervisor.lease(A):
                pass
        await on.until(lambda: launcher.story == ["start a", "stop a", "gone a"])


async def test_unload_returns_when_the_model_is_gone_and_refuses_who_waited() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        on.ask(A, "1")
        await on.until(lambda: loading.probes > 0)
        await on.supervisor.unload([A])

        assert launcher.story == ["start a", "stop a", "gone a"]
        await on.until(lambda: on.answers == ["1: Unloaded"])


async def test_unload_of_a_model_in_use_takes_its_connections_away() -> None:
    async with stage(catalog(model("a"))) as on, on.supervisor.lease(A) as running:
        await on.supervisor.unload(None)

        with pytest.raises(HostlerError):
            await running.transport.request(b"GET", b"/hello", [(b"host", b"x")], b"")


async def test_unload_of_one_model_does_not_delay_another() -> None:
    config = catalog(model("a"), model("b"), groups=(Group("g", (A, B), swap=False),))
    launcher = FakeLauncher()
    stuck = launcher.model("a", stops=False)
    async with stage(config, launcher=launcher) as on, anyio.create_task_group() as group:
        async with on.supervisor.lease(A):
            pass
        group.start_soon(on.supervisor.unload, [A])
        await on.until(lambda: on.phase(A) is Phase.STOPPING)
        async with on.supervisor.lease(B):
            assert on.phase(A) is Phase.STOPPING
        stuck.stops.set()


async def test_shutdown_refuses_who_waits_and_who_comes() -> None:
    launcher = FakeLauncher()
    launcher.model("a", ready=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        on.ask(A, "1")
        await on.until(lambda: on.phase(A) is Phase.STARTING)
        await on.supervisor.shut_down(5)
        with pytest.raises(ShuttingDown):
            async with on.supervisor.lease(A):
                pass
        await on.until(lambda: on.answers == ["1: ShuttingDown"])


async def test_what_has_not_stopped_by_the_limit_of_a_shutdown_is_killed() -> None:
    launcher = FakeLauncher()
    launcher.model("a", stops=False)
    async with stage(catalog(model("a")), launcher=launcher) as on:
        async with on.supervisor.lease(A):
            pass
        await on.supervisor.shut_down(0.01)

        assert launcher.killed.is_set()
        assert launcher.story[-1] == "gone a"


async def test_idle_model_is_unloaded_after_its_ttl() -> None:
    async with stage(catalog(model("a", ttl_s=0.02))) as on:
        async with on.supervisor.lease(A):
            await anyio.lowlevel.checkpoint()
        await on.until(lambda: on.phase(A) is Phase.STOPPED)

        assert on.launcher.story == ["start a", "stop a", "gone a"]


async def test_request_for_a_model_nobody_configured_is_refused() -> None:
    async with stage(catalog(model("a"))) as on:
        with pytest.raises(NotFound):
            async with on.supervisor.lease(ModelId("zz")):
                pass


async def test_reload_leaves_an_unchanged_model_and_drains_a_changed_one() -> None:
    a, b = model("a"), model("b")
    groups = (Group("g", (A, B), swap=False),)
    async with stage(catalog(a, b, groups=groups)) as on:
        hold = anyio.Event()
        on.ask(A, "1", hold)
        on.ask(B, "2", hold)
        await on.until(lambda: len(on.answers) == 2)
        on.supervisor.reconfigure(catalog(a, replace(b, spec=replace(b.spec, check_endpoint="/other")), groups=groups))
        on.ask(A, "3")
        on.ask(B, "4")
        await on.until(lambda: len(on.answers) == 3)

        assert on.answers[2] == "3: a#1" if "a#1" in on.answers[0] else "3: a#2"
        assert on.phase(B) is Phase.READY  # serves the one it has

        hold.set()
        await on.until(lambda: on.phase(B) is Phase.STARTING)

        assert on.phase(A) is Phase.READY


async def test_scheduler_that_fails_is_fatal(monkeypatch: pytest.MonkeyPatch) -> None:
    fatal: list[bool] = []
    supervisor = Supervisor(catalog(model("a")), FakeLauncher(), Logs(), on_fatal=lambda: fatal.append(True))

    def fail(event: Event, now: float) -> list[object]:
        raise RuntimeError("torn")

    monkeypatch.setattr(supervisor._scheduler, "handle", fail)
    with pytest.raises(RuntimeError):
        supervisor.post(Tick())

    assert fatal == [True]


async def test_supervisor_that_is_cancelled_leaves_nothing_running() -> None:
    launcher = FakeLauncher()
    supervisor = Supervisor(catalog(model("a")), launcher, Logs())
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        async with supervisor.lease(A):
            pass
        group.cancel_scope.cancel()

    assert launcher.story == ["start a", "stop a", "gone a"]


async def test_unloaded_is_the_error_of_a_request_whose_model_was_taken_away() -> None:
    launcher = FakeLauncher()
    launcher.model("a", ready=False)
    async with stage(catalog(model("a")), launcher=launcher) as on, anyio.create_task_group() as group:

        async def unload() -> None:
            await on.until(lambda: on.phase(A) is Phase.STARTING)
            await on.supervisor.unload(None)

        group.start_soon(unload)
        with pytest.raises(Unloaded, match="model unloaded"):
            async with on.supervisor.lease(A):
                pass
