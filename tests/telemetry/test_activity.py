from __future__ import annotations

import logging
import sqlite3
import threading
import tracemalloc
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from app.errors import Unavailable
from app.scheduler.history import Learned
from app.telemetry import activity
from app.telemetry.activity import ActivityLog, StoreHealth
from app.telemetry.activity_query import last_id
from app.telemetry.activity_record import ActivityRecord
from app.telemetry.store import StoreSettings, load_history
from planners.protocol import ModelId
from tests.telemetry.activity_records import ids, make_specified_store, read_all, record

pytestmark = pytest.mark.anyio

MEMORY = StoreSettings()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "activity.db"


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT id FROM activity ORDER BY id")]


async def test_ids_count_from_one() -> None:
    async with ActivityLog(MEMORY) as log:
        assert [log.add(record()) for _ in range(3)] == [1, 2, 3]
        assert await ids(log) == [1, 2, 3]


async def test_ids_go_on_where_the_file_ends(path: Path) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        assert [log.add(record()) for _ in range(3)] == [1, 2, 3]
    async with ActivityLog(StoreSettings(path)) as log:
        assert log.add(record()) == 4
        assert await ids(log) == [1, 2, 3, 4]


async def test_ids_go_on_after_those_of_an_existing_installation(path: Path) -> None:
    make_specified_store(path)
    async with ActivityLog(StoreSettings(path)) as log:
        assert log.add(record()) == 43
        assert await ids(log) == [41, 42, 43]


@pytest.mark.parametrize("in_file", [False, True])
async def test_reader_sees_all_that_was_added_before(path: Path, in_file: bool) -> None:
    async with ActivityLog(StoreSettings(path if in_file else None)) as log:
        for number in range(1, 31):
            log.add(record(model=f"m{number}"))

            assert [each.model for each in await read_all(log)] == [f"m{each}" for each in range(1, number + 1)]


@pytest.mark.parametrize("in_file", [False, True])
async def test_many_add_and_read_at_the_same_time_and_nothing_is_missed(path: Path, in_file: bool) -> None:
    async def add() -> None:
        for _ in range(20):
            for _ in range(10):
                number = log.add(record())
            # What was added by anybody before the question is in the answer.
            assert set(range(1, number + 1)) <= set(await ids(log))

    async with ActivityLog(StoreSettings(path if in_file else None, rows_in_memory=10_000)) as log:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(add)

        assert await ids(log) == list(range(1, 1001))


async def test_leaving_writes_everything(path: Path) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        for _ in range(5000):
            log.add(record())

    assert stored(path) == list(range(1, 5001))
    assert [file.name for file in path.parent.iterdir()] == [path.name], "the write-ahead log was not folded in"


async def test_leaving_while_cancelled_writes_everything(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with ActivityLog(StoreSettings(path)) as log:
            log.add(record())
            scope.cancel()
            await anyio.sleep_forever()

    assert stored(path) == [1]


async def test_memory_keeps_the_newest() -> None:
    async with ActivityLog(StoreSettings(rows_in_memory=10)) as log:
        for number in range(1, 101):
            log.add(record())
            if number % 7 == 0:
                await log.read(last_id)

        assert await ids(log) == list(range(91, 101))


async def test_memory_has_no_rows_before_somebody_asks() -> None:
    taken = threading.Semaphore(0)
    async with ActivityLog(MEMORY, on_batch=lambda _: taken.release()) as log:
        for _ in range(2):
            log.add(record())
            # Shown the second, the thread has done with the first.
            assert await anyio.to_thread.run_sync(taken.acquire, True, 10.0)

        assert log._writer._place.database.rows() == []
        assert await ids(log) == [1, 2]
        assert len(log._writer._place.database.rows()) == 2


async def test_after_its_end_what_nobody_has_read_keeps_nobody_waiting() -> None:
    async with ActivityLog(MEMORY) as log:
        log.add(record())

    with anyio.fail_after(5), pytest.raises(Unavailable, match="closed"):
        await ids(log)


async def test_file_keeps_more_than_memory_would(path: Path) -> None:
    async with ActivityLog(StoreSettings(path, rows_in_memory=10)) as log:
        for _ in range(100):
            log.add(record())

        assert len(await ids(log)) == 100


async def test_retention_is_at_work_from_the_start(path: Path) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        for number in range(100):
            log.add(record(time=float(number)))
    async with ActivityLog(StoreSettings(path, max_age_s=3600.0)) as log:
        log.add(record(time=4e9))
        # The first answer may still have old records; the thread has looked after them before it writes the second.
        await log.read(last_id)
        log.add(record(time=4e9))

        assert await ids(log) == [101, 102]


async def test_when_writing_is_too_slow_the_oldest_are_lost_counted_and_told_of_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with ActivityLog(StoreSettings(path), queue=100) as log:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            # The writer waits for another program.
            other.execute("BEGIN IMMEDIATE")
            log.add(record())
            with pytest.raises(Unavailable, match=r"not answered within 0\.3 s"):
                await log.read(last_id, within_s=0.3)
            for _ in range(1000):
                log.add(record())
            assert log.health.unwritten <= 100
            lost = log.health.lost
            other.execute("ROLLBACK")
        kept = await ids(log)

    assert lost == 1001 - len(kept) > 800
    assert kept == [1, *range(1 + lost + 1, 1002)]
    assert [each.message for each in caplog.records if "are lost" in each.message] == [
        f"activity records are lost: they come faster than the disk takes them ({lost} so far)"
    ]
    assert log.health == StoreHealth(is_degraded=False, lost=lost, unwritten=0)


async def test_waiting_records_take_bounded_memory(path: Path) -> None:
    async with ActivityLog(StoreSettings(path), queue=1000) as log:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            tracemalloc.start()
            try:
                for number in range(50_000):
                    log.add(record(model=f"model {number}"))
                used, _peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            other.execute("ROLLBACK")

    assert used < 4 << 20


async def test_question_that_takes_too_long_is_given_up(path: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    async with ActivityLog(StoreSettings(path)) as log:
        with pytest.raises(Unavailable, match=r"not answered within 0\.05 s"):
            await log.read(lambda connection: connection.execute(endless).fetchall(), within_s=0.05)

        assert await log.read(last_id) == 0


async def test_question_that_takes_too_long_lets_memory_go() -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    async with ActivityLog(MEMORY) as log:
        with pytest.raises(Unavailable):
            await log.read(lambda connection: connection.execute(endless).fetchall(), within_s=0.05)
        log.add(record())

        assert await ids(log) == [1]


async def test_question_that_cannot_be_asked_is_told() -> None:
    async with ActivityLog(MEMORY) as log:
        with pytest.raises(Unavailable, match="cannot be read: no such table: recipes"):
            await log.read(lambda connection: connection.execute("SELECT * FROM recipes").fetchall())


async def test_after_its_end_it_cannot_be_read() -> None:
    async with ActivityLog(MEMORY) as log:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await log.read(last_id)


async def test_question_does_not_hold_up_the_loop_or_those_who_add(path: Path) -> None:
    release = threading.Event()
    begun = anyio.Event()

    def slow(connection: sqlite3.Connection) -> int:
        anyio.from_thread.run_sync(begun.set)
        release.wait(10)
        return last_id(connection)

    async with ActivityLog(StoreSettings(path)) as log, anyio.create_task_group() as group:
        group.start_soon(log.read, slow)
        await begun.wait()
        log.add(record())

        assert await ids(log) == [1]
        release.set()


async def test_learned_times_are_there_for_the_next_run(path: Path) -> None:
    learned = {ModelId("a"): Learned(1.5, 0.5, 0.25), ModelId("b"): Learned(request_s=3.0)}
    async with ActivityLog(StoreSettings(path)) as log:
        assert load_history(path) == {}
        assert await log.save_history(learned)

        assert learned == load_history(path)


async def test_other_file_is_taken_into_use(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
        assert await log.reconfigure(StoreSettings(other))
        log.add(record())
        assert await ids(log) == [2]
        assert await log.reconfigure(StoreSettings(path))
        assert log.add(record()) == 3

    assert (stored(path), stored(other)) == ([1, 3], [2])


async def test_what_is_in_memory_goes_along_to_a_file(path: Path) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        for _ in range(2):
            log.add(record(model="file"))
    async with ActivityLog(MEMORY) as log:
        for _ in range(3):
            log.add(record(model="memory"))
        assert await log.reconfigure(StoreSettings(path))

        assert [(each.id, each.model) for each in await read_all(log)] == [
            (1, "file"),
            (2, "file"),
            (4, "memory"),
            (5, "memory"),
            (6, "memory"),
        ]
        assert log.add(record()) == 7


async def test_file_that_is_given_up_leaves_its_newest_in_memory(path: Path) -> None:
    async with ActivityLog(StoreSettings(path, rows_in_memory=3)) as log:
        for _ in range(5):
            log.add(record())
        assert await log.reconfigure(StoreSettings(rows_in_memory=3))
        assert await ids(log) == [3, 4, 5]
        assert log.add(record()) == 6
        assert await ids(log) == [4, 5, 6]
        assert await log.reconfigure(StoreSettings(path))

        assert await ids(log) == [1, 2, 3, 4, 5, 6]


async def test_another_limit_holds_from_then_on() -> None:
    async with ActivityLog(MEMORY) as log:
        for _ in range(5):
            log.add(record())
        assert await log.reconfigure(StoreSettings(rows_in_memory=2))
        log.add(record())

        assert await ids(log) == [5, 6]


async def test_two_programs_with_one_file_give_different_numbers(path: Path) -> None:
    async with ActivityLog(StoreSettings(path)) as first, ActivityLog(StoreSettings(path)) as second:
        for _ in range(3):
            first.add(record(model="first"))
            await first.read(last_id)
            second.add(record(model="second"))
            await second.read(last_id)
        log = await read_all(first)

    assert [each.model for each in log] == ["first", "second"] * 3
    assert len({each.id for each in log}) == 6


async def test_record_that_nothing_takes_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(MEMORY) as log:
        log.add(record(metadata={"a": object()}))
        await log.read(last_id)
        log.add(record())

        assert await ids(log) == [2]
        assert log.health.lost == 1
    assert [each.levelno for each in caplog.records] == [logging.ERROR]


async def test_records_are_shown_in_batches_before_they_are_written(caplog: pytest.LogCaptureFixture) -> None:
    shown: list[str] = []

    def show(batch: Sequence[ActivityRecord]) -> None:
        shown.extend(each.model for each in batch)
        if "bad" in shown:
            raise ValueError(shown)

    async with ActivityLog(MEMORY, on_batch=show) as log:
        for model in ("a", "b"):
            log.add(record(model=model))
        assert await log.flush()
        assert shown == ["a", "b"]
        log.add(record(model="bad"))

        assert await ids(log) == [1, 2, 3], "who is shown records cannot lose them"
    assert [each.getMessage() for each in caplog.records] == ["activity could not be counted"]


async def test_leaving_does_not_wait_for_a_disk_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(activity, "WRITE_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        async with ActivityLog(StoreSettings(path)) as log:
            other.execute("BEGIN IMMEDIATE")
            log.add(record())
        (thread,) = (each for each in threading.enumerate() if each.name == "activity writer")
        other.execute("ROLLBACK")
    await anyio.to_thread.run_sync(thread.join)

    assert stored(path) == [1]
    assert "the disk is too slow" in caplog.text


async def test_readers_do_not_notice_that_the_store_moves(path: Path) -> None:
    moving = True

    async def read() -> None:
        while moving:
            assert len(await ids(log)) == 50

    async with ActivityLog(MEMORY) as log, anyio.create_task_group() as group:
        for _ in range(50):
            log.add(record())
        for _ in range(2):
            group.start_soon(read)
        for _ in range(10):
            assert await log.reconfigure(StoreSettings(path))
            assert await log.reconfigure(MEMORY)
        moving = False
