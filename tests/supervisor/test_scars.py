"""What has gone wrong in others where tasks and time meet: the supervisor over a fake launcher.

F3, C2 and the like are rows of the compatibility specification, 11.2 and 11.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from app.config.catalog import Catalog
from app.errors import BackingOff
from app.scheduler.events import Tick
from app.scheduler.instances import Phase
from app.supervisor.instance import Running
from app.supervisor.supervisor import Supervisor
from planners.groups import Group
from planners.protocol import ModelId
from tests.fakes import Behaviour, FakeLauncher, Logs, catalog, model
from tests.ports import free_port
from tests.supervisor.test_supervisor import Stage, stage

pytestmark = pytest.mark.anyio

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")

TTL_S = 300.0

SIDE_BY_SIDE = (Group("all", (A, B, C), swap=False),)

TWO_WORLDS = (Group("swaps", (A, B), exclusive=False), Group("beside", (C,), exclusive=False))
"""a and b swap, and c has nothing to do with them."""


class Clock:
    """Stands still until a test moves it: no timer of the supervisor fires by itself."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def idle_for_its_ttl(launcher: FakeLauncher) -> AsyncIterator[Supervisor]:
    """Yields a supervisor whose model a has been idle for exactly as long as it may be; no tick has come yet."""
    clock = Clock()
    supervisor = Supervisor(catalog(model("a", ttl_s=TTL_S)), launcher, Logs(), clock=clock)
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        async with supervisor.lease(A):
            pass
        clock.now += TTL_S
        yield supervisor
        group.cancel_scope.cancel()


async def says_hello(running: Running) -> bool:
    response = await running.transport.request(b"GET", b"/hello", [(b"host", b"x")], b"")
    try:
        return await response.read_some() == b"hello"
    finally:
        await response.aclose()


async def test_request_just_before_the_tick_of_the_ttl_keeps_the_process_alive() -> None:
    """C2: the process was asked whether it was idle, and stopped later."""
    launcher = FakeLauncher()
    async with idle_for_its_ttl(launcher) as supervisor, supervisor.lease(A) as running:
        supervisor.post(Tick())
        await anyio.wait_all_tasks_blocked()

        assert running.generation == 1
        assert await says_hello(running)
        assert launcher.story == ["start a"]


async def test_request_just_after_the_tick_of_the_ttl_is_served_by_another_process() -> None:
    launcher = FakeLauncher()
    async with idle_for_its_ttl(launcher) as supervisor:
        supervisor.post(Tick())
        async with supervisor.lease(A) as running:
            assert running.generation == 2
            assert await says_hello(running)
            assert launcher.story == ["start a", "stop a", "gone a", "start a"]


async def test_load_that_is_unloaded_does_not_touch_the_load_of_the_request_behind_it() -> None:
    """F3: and the old process becomes ready at the very moment at which it is told to stop."""
    launcher = FakeLauncher()
    old = launcher.model("a", ready=False, stops=False)
    async with stage(catalog(model("a")), launcher=launcher) as on, anyio.create_task_group() as group:
        on.ask(A, "1")
        await on.until(lambda: old.probes > 0)
        old.ready.set()
        group.start_soon(on.supervisor.unload, [A])
        await on.until(lambda: on.phase(A) is Phase.STOPPING)
        new = launcher.model("a", ready=False)
        on.ask(A, "2")
        await on.until(lambda: on.supervisor.view().models[A].waiting == 1)

        assert launcher.story == ["start a", "stop a"]

        old.stops.set()
        await on.until(lambda: new.probes > 0)
        new.ready.set()
        await on.until(lambda: len(on.answers) == 2)

        assert on.answers == ["1: Unloaded", "2: a#2"]
        assert launcher.story == ["start a", "stop a", "gone a", "start a"]


async def test_unload_of_a_model_that_waits_for_its_victim_leaves_no_load_behind() -> None:
    """F4."""
    launcher = FakeLauncher()
    victim = launcher.model("a", stops=False)
    async with stage(catalog(model("a"), model("b")), launcher=launcher) as on:
        async with on.supervisor.lease(A):
            pass
        on.ask(B, "1")
        await on.until(lambda: on.phase(A) is Phase.STOPPING)
        await on.supervisor.unload([B])
        victim.stops.set()
        await on.until(lambda: on.phase(A) is Phase.STOPPED)
        await anyio.wait_all_tasks_blocked()

        assert on.answers == ["1: Unloaded"]
        assert launcher.story == ["start a", "stop a", "gone a"]


@pytest.mark.parametrize("silent", [False, True], ids=["says-503", "says-nothing"])
async def test_model_that_never_becomes_ready_delays_nobody_beside_it(silent: bool) -> None:
    launcher = FakeLauncher()
    never = launcher.model("a", ready=False)
    never.health_is_silent = silent
    async with stage(catalog(model("a"), model("b"), groups=SIDE_BY_SIDE), launcher=launcher) as on:
        on.ask(A, "never")
        await on.until(lambda: never.probes > 0)
        async with on.supervisor.lease(B) as running:
            assert await says_hello(running)
            assert on.phase(A) is Phase.STARTING


async def test_victim_that_does_not_stop_delays_only_the_model_that_takes_its_place() -> None:
    launcher = FakeLauncher()
    stubborn = launcher.model("a", stops=False)
    config = catalog(model("a"), model("b"), model("c"), groups=TWO_WORLDS)
    async with stage(config, launcher=launcher) as on:
        async with on.supervisor.lease(A):
            pass
        on.ask(B, "behind it")
        await on.until(lambda: on.phase(A) is Phase.STOPPING)
        for _ in range(2):  # it loads, and it is ready
            async with on.supervisor.lease(C) as running:
                assert await says_hello(running)

        assert on.answers == []

        stubborn.stops.set()
        await on.until(lambda: on.answers == ["behind it: b#3"])


async def test_unload_that_takes_its_time_delays_no_request_for_a_model_that_is_ready() -> None:
    """Spec 5.10: an unload that took 4 s delayed a request for another, ready model by 3.7 s."""
    launcher = FakeLauncher()
    stubborn = launcher.model("a", stops=False)
    config = catalog(model("a"), model("b"), groups=SIDE_BY_SIDE)
    async with stage(config, launcher=launcher) as on, anyio.create_task_group() as group:
        async with on.supervisor.lease(A), on.supervisor.lease(B):
            pass
        group.start_soon(on.supervisor.unload, [A])
        await on.until(lambda: launcher.story[-1] == "stop a")
        entering = on.supervisor.lease(B)
        with pytest.raises(StopIteration):  # not even a turn of the loop
            entering.__aenter__().send(None)
        await entering.__aexit__(None, None, None)

        assert on.phase(A) is Phase.STOPPING

        stubborn.stops.set()


PORT = free_port()


def breakable(check_endpoint: str = "/health") -> Catalog:
    its = model("a", PORT)
    return catalog(replace(its, spec=replace(its.spec, check_endpoint=check_endpoint)))


async def crashes(on: Stage, behaviour: Behaviour) -> None:
    """Lets a's upstream say why and end while it starts."""
    on.ask(A, "first")
    await on.until(lambda: behaviour.probes > 0)
    assert behaviour.log is not None
    behaviour.log(b"loading\nout of memory\n")
    behaviour.crash.set()
    await on.until(lambda: on.answers == ["first: StartFailed"] and on.phase(A) is Phase.STOPPED)


async def test_model_that_crashed_while_starting_is_not_spawned_for_every_request() -> None:
    """C19: each request to a broken model started it again."""
    launcher = FakeLauncher()
    broken = launcher.model("a", ready=False)
    async with stage(breakable(), launcher=launcher) as on:
        await crashes(on, broken)
        for _ in range(3):
            with pytest.raises(BackingOff, match=r"(?s)tried again in 1 s.*\nout of memory") as refused:
                async with on.supervisor.lease(A):
                    pass

            assert refused.value.status == 503
            assert refused.value.retry_after_s == 1

        assert launcher.story.count("start a") == 1


async def insist(_on: Stage) -> None:
    """Is said by the request itself."""


async def unload(on: Stage) -> None:
    await on.supervisor.unload([A])


async def reconfigure(on: Stage) -> None:
    on.supervisor.reconfigure(breakable("/hello"))


@pytest.mark.parametrize("do", [insist, unload, reconfigure])
async def test_model_that_crashed_while_starting_is_tried_at_once_after(do: Callable[[Stage], Awaitable[None]]) -> None:
    launcher = FakeLauncher()
    broken = launcher.model("a", ready=False)
    async with stage(breakable(), launcher=launcher) as on:
        await crashes(on, broken)
        launcher.model("a")
        await do(on)
        async with on.supervisor.lease(A, insists=do is insist) as running:
            assert running.generation == 2

        assert launcher.story.count("start a") == 2
