from __future__ import annotations

import asyncio
import weakref

import anyio
import pytest
from anyio.lowlevel import checkpoint

from app.asgi import Belated

pytestmark = pytest.mark.anyio


class Work:
    """Work that ends when a test says so."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.may_end = anyio.Event()
        self.ended_by = ""
        self.belated = Belated("belated work")

    def begin(self, delay_s: float = 0.0) -> None:
        self.belated.after(delay_s, self._run)

    async def _run(self) -> None:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.ended_by = "cancellation"
            raise
        self.ended_by = "itself"

    def is_running(self) -> bool:
        return "belated work" in [task.get_name() for task in asyncio.all_tasks()]


async def test_work_begins_once_the_owner_waits_and_is_awaited_to_its_end() -> None:
    work = Work()
    work.begin()

    assert not work.belated.has_begun

    await work.begun.wait()
    work.may_end.set()
    await work.belated.end()

    assert work.belated.has_begun
    assert work.ended_by == "itself"


async def test_work_that_is_called_off_is_never_a_task() -> None:
    work = Work()
    work.begin()
    work.belated.call_off()
    for _ in range(3):
        await checkpoint()
    await work.belated.end()
    await work.belated.close()

    assert not work.belated.has_begun


async def test_new_time_takes_the_place_of_the_old_one() -> None:
    work = Work()
    work.begin()
    work.begin(3600)
    for _ in range(3):
        await checkpoint()

    assert not work.belated.has_begun

    await work.belated.close()


async def test_work_that_is_called_off_is_forgotten_without_the_collector() -> None:
    work = Work()
    work.begin(3600)
    work.belated.call_off()
    gone = weakref.ref(work)
    del work

    assert gone() is None


async def test_work_that_fails_fails_its_owner_when_that_asks_for_it() -> None:
    async def fail() -> None:
        raise OSError("no")

    belated = Belated("belated work")
    belated.after(0, fail)
    await checkpoint()
    await checkpoint()

    with pytest.raises(OSError, match="no"):
        await belated.end()

    await belated.close()


async def test_closing_ends_the_work_before_it_returns() -> None:
    work = Work()
    work.begin()
    await work.begun.wait()
    await work.belated.close()

    assert work.ended_by == "cancellation"
    assert not work.is_running()


async def test_closing_ends_the_work_of_an_owner_that_is_cancelled() -> None:
    work = Work()

    async def own() -> None:
        work.begin()
        try:
            await anyio.sleep_forever()
        finally:
            await work.belated.close()
            assert not work.is_running()

    async with anyio.create_task_group() as group:
        group.start_soon(own)
        await work.begun.wait()
        group.cancel_scope.cancel()

    assert work.ended_by == "cancellation"


async def test_task_that_has_not_run_yet_never_does_once_it_is_closed() -> None:
    work = Work()
    work.begin()
    while not work.belated.has_begun:
        # Only the loop's next turn makes the task, and only the one after that runs it.
        await asyncio.sleep(0)
    await work.belated.close()

    assert not work.is_running()
    assert work.ended_by in {"", "cancellation"}
