"""Reloads alone: the files are what a test says they are, and reading them takes as long as it wants."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from anyio.lowlevel import checkpoint

from app.application import create_app
from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.config.plan import ReloadPlan
from app.errors import ConfigError, HostlerError, Problem
from app.reload import Reloads
from app.server import Server, server_config
from planners.protocol import ModelId
from tests.endpoints.catalogs import catalog, model

pytestmark = pytest.mark.anyio


class Files:
    """What the configuration files say; reading them waits while the gate is shut."""

    def __init__(self) -> None:
        self.says: Catalog | Exception = catalog(model("a"))
        self.gate = threading.Event()
        self.gate.set()
        self.reads = 0
        self.reading = 0
        self.most_reading = 0
        self.taken: list[Catalog] = []
        self.config = ActiveConfig(self._load)
        self.reloads = Reloads(self.config, self._take_over)

    def _load(self, _ports: Mapping[str, int]) -> Catalog:
        self.reads += 1
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        said = self.says
        self.gate.wait(10)
        self.reading -= 1
        if isinstance(said, Exception):
            raise said
        return said

    async def _take_over(self, new: Catalog) -> None:
        await checkpoint()
        self.config.replace(new)
        self.taken.append(new)

    async def until_reads(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.reads < count:
                await anyio.sleep(0.001)


@asynccontextmanager
async def running() -> AsyncIterator[Files]:
    files = Files()
    async with anyio.create_task_group() as group:
        group.start_soon(files.reloads.run)
        yield files
        files.gate.set()
        group.cancel_scope.cancel()


async def test_reload_takes_over_what_the_files_say() -> None:
    async with running() as files:
        files.says = catalog(model("a"), model("b"))

        changes = await files.reloads.reload()

        assert changes == ReloadPlan(unchanged=(ModelId("a"),), added=(ModelId("b"),))
        assert files.taken == [files.says]


async def test_those_who_come_during_a_reload_get_one_more_which_sees_what_they_wrote() -> None:
    async with running() as files:
        files.gate.clear()
        files.reloads.want()
        await files.until_reads(2)
        files.says = catalog(model("b"))
        plans: list[ReloadPlan] = []

        async def ask() -> None:
            plans.append(await files.reloads.reload())

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
                files.reloads.want()
            await anyio.wait_all_tasks_blocked()
            files.gate.set()

        assert files.reads == 3
        assert files.most_reading == 1
        assert [list(taken.models) for taken in files.taken] == [["a"], ["b"]]
        assert plans == [ReloadPlan(added=(ModelId("b"),), removed=(ModelId("a"),))] * 20


async def test_wrong_file_changes_nothing_and_is_told_to_the_log_and_to_everybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as files:
        files.says = ConfigError(Problem("is bad", "x.yaml", "models.a", 3))
        problems: list[Problem] = []

        async def ask() -> None:
            try:
                await files.reloads.reload()
            except ConfigError as exc:
                problems.append(exc.problem)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)

        assert problems == [Problem("is bad", "x.yaml", "models.a", 3)] * 2
        assert files.taken == []
        assert "x.yaml:3: models.a: is bad" in caplog.text

        files.says = catalog(model("b"))
        await files.reloads.reload()
        assert files.taken == [files.says]


async def test_fault_of_ours_while_reading_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as files:
        files.says = ZeroDivisionError("by nothing")

        with pytest.raises(HostlerError, match="old configuration stays") as caught:
            await files.reloads.reload()

        assert caught.value.status == 500
        assert "Traceback" in caplog.text
        files.says = catalog(model("b"))
        await files.reloads.reload()
        assert files.taken == [files.says]


async def test_plan_alone_changes_nothing() -> None:
    async with running() as files:
        files.says = catalog(model("b"))

        changes = await files.reloads.planned()

        assert changes == ReloadPlan(added=(ModelId("b"),), removed=(ModelId("a"),))
        assert files.taken == []


async def test_client_that_gives_up_does_not_take_the_reload_back() -> None:
    async with running() as files:
        files.gate.clear()
        files.says = catalog(model("b"))
        async with anyio.create_task_group() as group:
            group.start_soon(files.reloads.reload)
            await files.until_reads(2)
            group.cancel_scope.cancel()
        files.gate.set()

        await files.reloads.reload()

        assert files.taken == [files.says, files.says]


async def test_signal_that_comes_before_the_server_runs_is_not_lost() -> None:
    files = Files()
    app = create_app(files.config)
    settings = server_config(app)
    settings.load()
    server = Server(settings, app.services)
    server.handle_reload(signal.SIGHUP, None)
    server.should_exit = True  # as soon as it runs
    thresholds = gc.get_threshold()
    await server.main_loop()
    gc.unfreeze()
    gc.set_threshold(*thresholds)

    async with anyio.create_task_group() as group:
        group.start_soon(app.services.reloads.run)
        await files.until_reads(2)
        group.cancel_scope.cancel()


async def test_log_tells_the_plan_in_one_line_and_the_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running() as files:
        files.says = replace(catalog(model("a"), model("b")), warnings=("x.yaml:1: odd",))
        await files.reloads.reload()

    assert [record.getMessage() for record in caplog.records if record.name == "app.reload"] == [
        "the configuration was reloaded: added b, 1 models as they were",
        "x.yaml:1: odd",
    ]
