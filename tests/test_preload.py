"""Preloads over a fake launcher: what the list asks for, and no more."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from app.config.active import ActiveConfig
from app.config.catalog import Catalog, Model
from app.preload import Preload
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Supervisor
from planners.groups import Group
from planners.protocol import ModelId
from tests.fakes import FakeLauncher, Logs, catalog, model
from tests.ports import free_port

pytestmark = pytest.mark.anyio

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")

PORTS = {name: free_port() for name in "abc"}


def configured(preload: str, *, models: str = "abc", swap: bool = False, changed: str = "") -> Catalog:
    """Returns a configuration whose models run side by side unless *swap*; *changed*: the models that are others than usual."""

    def entry(name: str) -> Model:
        its = model(name, PORTS[name])
        return replace(its, spec=replace(its.spec, check_endpoint="/hello")) if name in changed else its

    group = Group("g", tuple(map(ModelId, models)), swap=swap)
    made = catalog(*(entry(name) for name in models), groups=(group,))
    return replace(made, preload=tuple(map(ModelId, preload)))


class Stage:
    """A supervisor, the preloads, and a configuration that a test replaces."""

    def __init__(self, config: ActiveConfig, supervisor: Supervisor, launcher: FakeLauncher, preload: Preload) -> None:
        self.config = config
        self.supervisor = supervisor
        self.launcher = launcher
        self.preload = preload

    def reload(self, new: Catalog) -> None:
        self.config.replace(new)
        self.supervisor.reconfigure(new)
        self.preload.want()

    def phases(self) -> dict[str, Phase]:
        return {
            name: its.phase for name, its in self.supervisor.view().models.items() if its.phase is not Phase.STOPPED
        }

    def ready(self) -> set[str]:
        return {name for name, phase in self.phases().items() if phase is Phase.READY}

    def waiting(self) -> int:
        return self.supervisor.view().waiting

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():
                await anyio.sleep(0.001)

    async def settled(self) -> None:
        """Returns when the round that was asked for has begun all it begins."""
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def preloading(
    first: Catalog, launcher: FakeLauncher | None = None, bound: anyio.Event | None = None
) -> AsyncIterator[Stage]:
    launcher = launcher or FakeLauncher()
    config = ActiveConfig(lambda _: first)
    supervisor = Supervisor(first, launcher, Logs())

    async def wait_bound() -> None:
        if bound is not None:
            await bound.wait()

    preload = Preload(config, supervisor, wait_bound)
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        group.start_soon(preload.run)
        yield Stage(config, supervisor, launcher, preload)
        with anyio.fail_after(10):
            await supervisor.shut_down(5)
        group.cancel_scope.cancel()


async def test_models_that_may_run_together_are_loaded_side_by_side() -> None:
    launcher = FakeLauncher()
    slow = [launcher.model(name, ready=False) for name in "ab"]
    async with preloading(configured("ab"), launcher) as on:
        await on.until(lambda: all(behaviour.probes for behaviour in slow))

        assert on.phases() == {"a": Phase.STARTING, "b": Phase.STARTING}

        for behaviour in slow:
            behaviour.ready.set()
        await on.until(lambda: on.ready() == {"a", "b"})


async def test_nothing_is_loaded_before_our_socket_is_bound() -> None:
    bound = anyio.Event()
    async with preloading(configured("a"), bound=bound) as on:
        await on.settled()

        assert on.launcher.story == []

        bound.set()
        await on.until(lambda: on.ready() == {"a"})


async def test_model_that_would_evict_an_earlier_one_of_the_list_is_left_out_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "app.preload"):
        async with preloading(configured("ba", swap=True)) as on:
            await on.until(lambda: on.ready() == {"b"})
            await on.settled()

            assert on.launcher.story == ["start b"]

    assert [(record.levelname, record.message) for record in caplog.records if record.name == "app.preload"] == [
        ("WARNING", "not preloaded: would evict b: group g runs one model at a time"),
        ("INFO", "preloaded"),
    ]


async def test_model_behind_one_that_is_left_out_is_loaded() -> None:
    groups = (Group("g", (A, B)), Group("beside", (C,), exclusive=False, persistent=True))
    first = replace(catalog(model("a"), model("b"), model("c"), groups=groups), preload=(A, B, C))
    async with preloading(first) as on:
        await on.until(lambda: on.ready() == {"a", "c"})
        await on.settled()

        assert sorted(on.launcher.story) == ["start a", "start c"]


async def test_failure_is_one_error_line_and_hinders_nobody(caplog: pytest.LogCaptureFixture) -> None:
    launcher = FakeLauncher()
    launcher.model("a").launch_error = "no such command"
    async with preloading(configured("ab"), launcher) as on:
        await on.until(lambda: on.ready() == {"b"})
        await on.until(lambda: any(record.name == "app.preload" for record in caplog.records))

    (line,) = [record for record in caplog.records if record.name == "app.preload"]
    assert line.levelname == "ERROR"
    assert "no such command" in line.message


async def test_end_of_hostler_is_no_failure_of_a_preload(caplog: pytest.LogCaptureFixture) -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with preloading(configured("a"), launcher) as on:
        await on.until(lambda: loading.probes > 0)

    assert [record.message for record in caplog.records if record.name == "app.preload"] == []


async def test_request_is_served_while_a_preload_that_fits_beside_it_loads() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with preloading(configured("a"), launcher) as on:
        await on.until(lambda: loading.probes > 0)
        async with on.supervisor.lease(B):
            assert on.phases() == {"a": Phase.STARTING, "b": Phase.READY}


async def test_request_waits_for_no_preload_that_came_after_it() -> None:
    """The list names two that exclude the model which a client has been served by since before the reload."""
    async with preloading(configured("", swap=True)) as on:
        async with on.supervisor.lease(A):
            on.reload(configured("bc", swap=True))
            await on.settled()
            async with on.supervisor.lease(A) as running:
                assert running.generation == 1

        assert on.launcher.story == ["start a"]


async def test_reload_loads_what_the_new_list_names_and_leaves_what_runs() -> None:
    async with preloading(configured("a")) as on:
        await on.until(lambda: on.ready() == {"a"})
        on.reload(configured("ab"))
        await on.until(lambda: on.ready() == {"a", "b"})

        assert on.launcher.story == ["start a", "start b"]


async def test_reload_brings_back_what_was_unloaded_if_the_list_names_it() -> None:
    async with preloading(configured("ab")) as on:
        await on.until(lambda: on.ready() == {"a", "b"})
        await on.supervisor.unload(None)
        on.reload(configured("b"))
        await on.until(lambda: on.ready() == {"b"})
        await on.settled()

        assert on.phases() == {"b": Phase.READY}


async def test_reload_starts_a_changed_model_anew() -> None:
    async with preloading(configured("ab")) as on:
        await on.until(lambda: on.ready() == {"a", "b"})
        on.reload(configured("ab", changed="b"))
        await on.until(lambda: on.launcher.story.count("start b") == 2)

        assert on.launcher.story.count("start a") == 1


async def test_reload_starts_a_changed_model_anew_once_its_last_request_has_ended() -> None:
    async with preloading(configured("a")) as on:
        async with on.supervisor.lease(A):
            on.reload(configured("a", changed="a"))
            await on.until(lambda: on.waiting() == 1)

            assert on.launcher.story == ["start a"]

        await on.until(lambda: on.ready() == {"a"})

        assert on.launcher.story == ["start a", "stop a", "gone a", "start a"]


async def test_reload_evicts_nothing_that_runs_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.preload"):
        async with preloading(configured("", swap=True)) as on:
            async with on.supervisor.lease(B):
                pass
            on.reload(configured("a", swap=True))
            await on.settled()

            assert on.launcher.story == ["start b"]

    (line,) = [record for record in caplog.records if record.name == "app.preload"]
    assert (line.levelname, line.message) == (
        "INFO",
        "not preloaded: would evict b: group g runs one model at a time",
    )


async def test_models_that_run_are_left_alone_though_the_new_rules_would_not_have_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with preloading(configured("ab")) as on:
        await on.until(lambda: on.ready() == {"a", "b"})
        await on.settled()
        with caplog.at_level(logging.INFO, "app.preload"):
            on.reload(configured("ab", swap=True))
            await on.settled()

        assert on.launcher.story == ["start a", "start b"]
        assert [record.message for record in caplog.records if record.name == "app.preload"] == []


async def test_reload_leaves_a_model_alone_that_loads_for_a_client() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("b", ready=False)
    async with preloading(configured("", swap=True), launcher) as on, anyio.create_task_group() as group:

        async def client() -> None:
            async with on.supervisor.lease(B):
                pass

        group.start_soon(client)
        await on.until(lambda: loading.probes > 0)
        on.reload(configured("ab", swap=True))
        await on.settled()
        loading.ready.set()
        await on.until(lambda: on.ready() == {"b"})
        await on.settled()

        assert launcher.story == ["start b"]


async def test_reload_that_takes_a_model_off_the_list_gives_its_preload_up() -> None:
    """It waits for the last request of what its old configuration has started."""
    async with preloading(configured("a")) as on:
        await on.until(lambda: on.ready() == {"a"})
        async with on.supervisor.lease(A):
            on.reload(configured("a", changed="a"))
            await on.until(lambda: on.waiting() == 1)
            on.reload(configured("", changed="a"))
            await on.until(lambda: on.waiting() == 0)
        await on.until(lambda: on.phases() == {})
        await on.settled()

        assert on.launcher.story == ["start a", "stop a", "gone a"]


async def test_reload_that_removes_a_model_while_it_is_preloaded_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with preloading(configured("a"), launcher) as on:
        await on.until(lambda: loading.probes > 0)
        on.reload(configured("b", models="bc"))
        await on.until(lambda: on.phases() == {"b": Phase.READY})

    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_preload_given_up_makes_room_for_the_one_that_takes_its_place() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with preloading(configured("a", swap=True), launcher) as on:
        await on.until(lambda: loading.probes > 0)
        on.reload(configured("b", swap=True))
        await on.settled()
        loading.ready.set()
        await on.until(lambda: on.ready() == {"b"})

        assert launcher.story == ["start a", "stop a", "gone a", "start b"]


async def test_storm_of_reloads_leaves_one_ticket_for_each_model_and_one_start() -> None:
    launcher = FakeLauncher()
    loading = [launcher.model(name, ready=False) for name in "abc"]
    async with preloading(configured("ab"), launcher) as on:
        await on.until(lambda: on.waiting() == 2)
        for number in range(50):
            on.reload(configured("abcab"[number % 3 :][:2]))
            if number % 7 == 0:
                await on.settled()
                waiting = [queued.model for queued in on.supervisor.queue()]

                assert len(waiting) == len(set(waiting))

        on.reload(configured("ab"))
        await on.settled()
        for behaviour in loading:
            behaviour.ready.set()
        await on.until(lambda: {"a", "b"} <= on.ready())
        await on.settled()

        assert len(launcher.story) == len(set(launcher.story))


async def test_preload_that_was_given_up_and_is_wanted_again_is_not_started_twice() -> None:
    launcher = FakeLauncher()
    loading = launcher.model("a", ready=False)
    async with preloading(configured("a"), launcher) as on:
        await on.until(lambda: loading.probes > 0)
        on.reload(configured(""))
        await on.until(lambda: on.waiting() == 0)
        on.reload(configured("a"))
        await on.settled()
        loading.ready.set()
        await on.until(lambda: on.ready() == {"a"})

        assert launcher.story == ["start a"]
