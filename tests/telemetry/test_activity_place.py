"""What becomes of the activity when the file fails: real files, real processes, real signals."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.scheduler.history import Learned
from app.telemetry import store
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_query import last_id
from app.telemetry.activity_record import row_of
from app.telemetry.store import StoreSettings
from planners.protocol import ModelId
from tests.telemetry.activity_records import ROOT, ids, read_all, record

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "activity.db"


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [number for (number,) in connection.execute("SELECT id FROM activity ORDER BY id")]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def child(code: str, *args: object) -> subprocess.Popen[str]:
    """Starts Python with *code*, which finds *args* in sys.argv."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def output_of(code: str, *args: object) -> str:
    """Returns what *code* prints."""
    with child(code, *args) as process:
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    return out


WRITES_FOR_EVER = """
import sys
from pathlib import Path
import anyio
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_query import last_id
from app.telemetry.store import StoreSettings
from tests.telemetry.activity_records import record

async def main():
    async with ActivityLog(StoreSettings(Path(sys.argv[1]))) as log:
        while True:
            for _ in range(150):
                log.add(record())
            print(await log.read(last_id), flush=True)

anyio.run(main)
"""


@pytest.mark.parametrize("lines", [1, 7, 40])
async def test_killed_while_it_writes_it_has_all_but_the_last_batch(path: Path, lines: int) -> None:
    with child(WRITES_FOR_EVER, path) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(lines)][-1]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    told = max([told, *(int(line) for line in rest if line)])
    kept = stored(path)

    assert told >= 150
    assert kept == list(range(1, len(kept) + 1))
    assert told <= len(kept) <= told + 150
    async with ActivityLog(StoreSettings(path)) as log:
        assert log.add(record()) == len(kept) + 1
        assert await ids(log) == [*kept, len(kept) + 1]


async def test_file_that_is_no_database_is_set_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"not a database\n" * 500)
    async with ActivityLog(StoreSettings(path)) as log:
        assert log.add(record()) == 1
        assert await ids(log) == [1]

    (aside,) = path.parent.glob("activity.db.corrupt-*")
    assert aside.read_bytes().startswith(b"not a database")
    assert stored(path) == [1]
    (warning,) = warnings(caplog)
    assert f"the activity store {path} is damaged (file is not a database): it is now {aside}" in warning


@pytest.fixture
def damaged(path: Path) -> Path:
    """A database that can be opened, and has nonsense where its records are."""
    with closing(store.Database(path)) as database:
        database.insert([row_of(number, record(error_msg="x" * 200)) for number in range(1, 3001)])
    with path.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(os.urandom(10 * 4096))
    return path


async def test_damage_that_a_reader_meets_begins_a_new_file(damaged: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(StoreSettings(damaged)) as log:
        with pytest.raises(Unavailable, match=r"is damaged \(database disk image is malformed\); a new one is begun"):
            await log.read(lambda connection: connection.execute("SELECT max(error_msg) FROM activity").fetchall())
        number = log.add(record())
        assert await ids(log) == [number]

    assert len(list(damaged.parent.glob("activity.db.corrupt-*[0-9Z]"))) == 1
    assert stored(damaged) == [number]
    assert len(warnings(caplog)) == 1


async def test_damage_that_the_writer_meets_begins_a_new_file(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'activity_by_model'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    async with ActivityLog(StoreSettings(path)) as log:
        assert log.add(record()) == 2
        assert await ids(log) == [2]

    assert stored(path) == [2]
    assert len(warnings(caplog)) == 1


async def test_damage_that_is_seen_when_it_is_opened_begins_a_new_file(
    damaged: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with damaged.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (damaged.stat().st_size - 100))
    async with ActivityLog(StoreSettings(damaged)) as log:
        for _ in range(100):
            log.add(record())
        assert len(await ids(log)) == 100

    assert len(stored(damaged)) == 100
    assert len(warnings(caplog)) == 1


async def test_damage_that_retention_meets_begins_a_new_file(damaged: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(StoreSettings(damaged)) as log:
        assert await log.reconfigure(StoreSettings(damaged, max_rows=1))
        log.add(record())
        await log.read(last_id)
        number = log.add(record())
        assert (await ids(log))[-1] == number

    assert set(stored(damaged)) <= {number - 1, number}
    assert len(warnings(caplog)) == 1


async def test_damaged_file_that_cannot_be_set_aside_gives_way_to_memory(
    damaged: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read_and_lose(connection: sqlite3.Connection) -> None:
        try:
            connection.execute("SELECT max(error_msg) FROM activity").fetchall()
        finally:
            damaged.unlink()

    async with ActivityLog(StoreSettings(damaged)) as log:
        with pytest.raises(Unavailable, match="is damaged"):
            await log.read(read_and_lose)
        number = log.add(record())
        assert await ids(log) == [number]
        assert log.health.is_degraded
        assert await log.reconfigure(StoreSettings(damaged))
        assert not log.health.is_degraded

    assert stored(damaged) == [number]
    assert len(warnings(caplog)) == 1


async def test_retention_waits_for_another_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    async with ActivityLog(StoreSettings(path)) as log:
        for _ in range(5):
            log.add(record())
        await log.read(last_id)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await log.reconfigure(StoreSettings(path, max_rows=2))
            assert not log.health.is_degraded
            other.execute("ROLLBACK")
        assert await ids(log) == [1, 2, 3, 4, 5]
        assert await log.reconfigure(StoreSettings(path, max_rows=3))
        log.add(record())
        assert (await ids(log))[-1] == 6

    assert stored(path) == [3, 4, 5, 6]


async def test_without_a_file_it_is_in_memory_until_there_can_be_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "not" / "there" / "activity.db"
    async with ActivityLog(StoreSettings(path), retry_s=0.0) as log:
        for _ in range(10):
            log.add(record())
            await log.read(last_id)
        assert log.health.is_degraded
        path.parent.mkdir(parents=True)
        log.add(record())
        await log.read(last_id)

        assert not log.health.is_degraded
        assert log.add(record()) == 12

    assert stored(path) == list(range(1, 13))
    (warning,) = warnings(caplog)
    assert "unable to open database file" in warning or "No such file" in warning
    assert "the newest 1000 records are kept in memory" in warning


async def test_file_that_comes_back_with_records_keeps_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "mount" / "activity.db"
    path.parent.mkdir()
    async with ActivityLog(StoreSettings(path)) as log:
        for _ in range(5):
            log.add(record(model="old"))
    path.parent.rename(tmp_path / "unmounted")
    async with ActivityLog(StoreSettings(path)) as log:
        assert [log.add(record(model="meanwhile")) for _ in range(3)] == [1, 2, 3]
        await log.read(last_id)
        (tmp_path / "unmounted").rename(path.parent)
        assert await log.reconfigure(StoreSettings(path))
        assert log.add(record(model="new")) == 9
        kept = await read_all(log)

    assert [each.id for each in kept] == list(range(1, 10))
    assert [each.model for each in kept] == ["old"] * 5 + ["meanwhile"] * 3 + ["new"]


async def test_what_could_never_be_written_is_told_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(StoreSettings(tmp_path / "no" / "a.db")) as log:
        log.add(record())

    assert "is lost" in warnings(caplog)[-1]


async def test_file_that_can_be_written_at_the_end_gets_everything(tmp_path: Path) -> None:
    path = tmp_path / "late" / "a.db"
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
        path.parent.mkdir()

    assert stored(path) == [1]


async def test_database_of_another_program_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
        assert await ids(log) == [1]

    assert before == path.read_bytes()
    assert "it is the database of another program" in warnings(caplog)[0]


async def test_learned_times_that_cannot_be_written_are_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ActivityLog(StoreSettings(path)) as log:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DROP TABLE learned")

        assert not await log.save_history({ModelId("a"): Learned(1.0)})
    assert warnings(caplog) == ["the activity store could not be written: no such table: learned"]


async def test_file_that_another_program_keeps_locked_gives_way_to_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
        await log.read(last_id)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            log.add(record())
            # What was in the file is still seen.
            assert await ids(log) == [1, 2]
            assert log.health.is_degraded
            other.execute("ROLLBACK")
        assert await log.reconfigure(StoreSettings(path))
        assert not log.health.is_degraded
        assert await ids(log) == [1, 2]

    assert stored(path) == [1, 2]
    assert len(warnings(caplog)) == 1
    assert "database is locked" in warnings(caplog)[0]


async def test_file_that_is_locked_at_the_start_is_taken_into_use_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record(model="old"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with ActivityLog(StoreSettings(path)) as log:
            assert log.add(record(model="new")) == 1
            other.execute("ROLLBACK")
            assert await log.reconfigure(StoreSettings(path))

            assert [(each.id, each.model) for each in await read_all(log)] == [(1, "old"), (2, "new")]
    assert len(warnings(caplog)) == 1


IN_A_NARROW_PLACE = """
import logging, resource, sys
from pathlib import Path
import anyio
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_query import last_id
from app.telemetry.store import StoreSettings
from tests.telemetry.activity_records import ids, record

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.INFO)

async def main():
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    settings = StoreSettings(Path(sys.argv[1]))
    async with ActivityLog(settings) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
        for _ in range(60):
            for _ in range(50):
                log.add(record())
            await log.read(last_id)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, unlimited[1]))
        await log.reconfigure(settings)
        print("while full", log.health.is_degraded, log.health.lost, (await ids(log))[-1])
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        await log.reconfigure(settings)
        log.add(record())
        print("after", log.health.is_degraded, (await ids(log))[-1])

anyio.run(main)
"""


async def test_full_disk_costs_one_warning_and_is_left_behind(path: Path) -> None:
    lines = output_of(IN_A_NARROW_PLACE, path).splitlines()
    kept = stored(path)

    assert [line.split()[0] for line in lines] == ["WARNING", "while", "INFO", "after"]
    assert "activity cannot be written to" in lines[0]
    assert lines[1] == "while full True 0 3000"
    assert lines[2].startswith("INFO activity is written to")
    assert lines[3] == "after False 3001"
    # What came before the disk was full is there, and the newest; what memory could not hold is not.
    assert kept[0] == 1
    assert kept[-1000:] == list(range(2002, 3002))


AS_NOBODY = """
import logging, os, sys
from pathlib import Path
import anyio
from app.telemetry.activity import ActivityLog
from app.telemetry.store import StoreSettings
from tests.telemetry.activity_records import ids, record

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.INFO)

async def add_one(path):
    async with ActivityLog(StoreSettings(path)) as log:
        log.add(record())
        return await ids(log), log.health.is_degraded

async def main():
    # Once before, for whatever is imported late: nobody may not read that.
    await add_one(None)
    if os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    print(*await add_one(Path(sys.argv[1])))

anyio.run(main)
"""


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that everybody may look into and nobody but its owner may write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("exists", [False, True])
async def test_what_may_not_be_written_gives_way_to_memory(read_only_folder: Path, exists: bool) -> None:
    path = read_only_folder / "activity.db"
    if exists:
        async with ActivityLog(StoreSettings(path)) as log:
            log.add(record())
        path.chmod(0o444)
    if os.geteuid() != 0:
        read_only_folder.chmod(0o555)
    told, lost, seen = output_of(AS_NOBODY, path).splitlines()

    assert "WARNING activity cannot be written to" in told
    assert "is lost" in lost
    assert seen == "[1] True"
    assert path.exists() == exists
