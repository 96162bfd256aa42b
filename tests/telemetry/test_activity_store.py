from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.scheduler.history import Learned
from app.telemetry.activity_record import record_of, row_of
from app.telemetry.store import Database, Foreign, StoreSettings, is_damage, load_history, set_aside
from planners.protocol import ModelId
from tests.telemetry.activity_records import make_specified_store, record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "activity.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(path)) as database:
        yield database


def fill(database: Database, count: int, first: int = 1, time: float = 1000.0) -> None:
    database.insert([row_of(number, record(time=time + number)) for number in range(first, first + count)])


def kept(database: Database) -> list[int]:
    return [record_of(row).id for row in database.rows()]


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_rows_of_any_number_are_inserted(database: Database, count: int) -> None:
    fill(database, count)

    assert list(range(1, count + 1)) == kept(database)


def test_nothing_is_inserted_when_one_row_cannot_be(database: Database) -> None:
    fill(database, 1, first=70)
    with pytest.raises(sqlite3.IntegrityError):
        fill(database, 70)

    assert kept(database) == [70]


def test_half_a_surrogate_pair_does_not_spoil_the_rows_beside_it(database: Database) -> None:
    database.insert([row_of(1, record()), row_of(2, record(model="\udc00"))])

    assert [record_of(row).model for row in database.rows()] == ["a", "\\udc00"]


def test_newest_rows_are_the_last_ones(database: Database) -> None:
    fill(database, 10)

    assert [record_of(row).id for row in database.rows(newest=3)] == [8, 9, 10]
    assert [record_of(row).id for row in database.rows(first=9)] == [9, 10]


def test_new_file_is_for_its_owner_only(database: Database, path: Path) -> None:
    fill(database, 1)

    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_ids_are_not_given_again_after_all_records_are_gone(path: Path) -> None:
    with closing(Database(path)) as database:
        fill(database, 5)
        database.keep_newest(0)
        assert kept(database) == []
    with closing(Database(path)) as database:
        assert database.last_id() == 5


def test_store_of_an_existing_installation_keeps_its_history(path: Path) -> None:
    make_specified_store(path)
    with closing(Database(path)) as database:
        assert database.last_id() == 42
        old, gone = (record_of(row) for row in database.rows())

    assert (old.id, old.time, old.model, old.tokens_per_second) == (41, 1_780_000_000.0, "old", 20.25)
    assert (old.cached_tokens, old.drafted_tokens, old.accepted_tokens) == (7, 9, 6)
    assert (old.metadata, old.ttft_ms, old.session_id, old.method) == ({"fifo_priority": "0"}, -1, "", "POST")
    assert (gone.status, gone.error_msg, gone.metadata) == (404, "no router for requested model", {})


def test_existing_installation_can_go_on_with_its_store_after_us(path: Path) -> None:
    make_specified_store(path)
    with closing(Database(path)) as database:
        fill(database, 1, first=43, time=1000.5)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO activity (ts_created, model_id, req_path, resp_content_type, resp_status_code, cache_tokens,"
            " draft_tokens, draft_acc_tokens, input_tokens, output_tokens, prompt_per_second, tokens_per_second,"
            " duration_ms) VALUES (1, 'm', '/', '', 200, 0, 0, 0, 0, 0, 0, 0, 0)"
        )
        seconds = connection.execute("SELECT ts_created, typeof(ts_created) FROM activity WHERE id > 42").fetchall()
    with closing(Database(path)) as database:
        assert kept(database) == [41, 42, 43, 44]

    assert seconds == [(1043, "integer"), (1, "integer")]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("CREATE TABLE recipes (name TEXT)", "another program"),
        ("CREATE TABLE activity (id INTEGER PRIMARY KEY, what TEXT)", "called activity, too"),
        ("CREATE TABLE recipes (name TEXT); PRAGMA user_version = 1", "another program"),
        ("PRAGMA user_version = 2", "later version"),
    ],
)
def test_database_of_another_program_is_left_alone(path: Path, script: str, why: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    with pytest.raises(Foreign, match=why):
        Database(path)

    with closing(sqlite3.connect(path)) as connection:
        assert before == connection.execute("SELECT sql FROM sqlite_master").fetchall()


def test_file_that_is_no_database_is_damage(path: Path) -> None:
    path.write_bytes(b"no database\n" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        Database(path)

    assert is_damage(raised.value)


def test_what_is_set_aside_never_takes_the_place_of_another(path: Path) -> None:
    asides = set()
    for content in ("1", "2", "3"):
        path.write_text(content)
        Path(f"{path}-wal").write_text(f"wal of {content}")
        asides.add(set_aside(path))

    assert {aside.read_text() for aside in asides} == {"1", "2", "3"}
    assert all(Path(f"{aside}-wal").read_text() == f"wal of {aside.read_text()}" for aside in asides)
    assert all(aside.name.startswith("activity.db.corrupt-2") for aside in asides)
    assert not path.exists()


def test_records_that_are_too_old_go_in_slices(database: Database) -> None:
    fill(database, 5000, time=1000.0)
    settings = StoreSettings(max_age_s=100.0)
    rounds = 0
    while database.prune(settings, now=1000.0 + 4500 + 100):
        rounds += 1

    assert kept(database) == list(range(4500, 5001))
    assert rounds == 3


def test_records_that_are_too_many_go(database: Database) -> None:
    fill(database, 3000)
    while database.prune(StoreSettings(max_rows=10), now=0.0):
        pass

    assert kept(database) == list(range(2991, 3001))


def test_records_go_until_the_file_is_small_enough(database: Database, path: Path) -> None:
    for first in range(1, 20_001, 1000):
        fill(database, 1000, first)
    while database.prune(StoreSettings(max_bytes=1 << 20), now=0.0):
        pass
    left = kept(database)
    database.close()

    assert 2000 < len(left) < 15_000
    assert left[-1] == 20_000
    assert path.stat().st_size <= 1 << 20


def test_no_limit_deletes_nothing(database: Database) -> None:
    fill(database, 100)

    assert not database.prune(StoreSettings(), now=1e12)
    assert len(kept(database)) == 100


def test_size_limit_below_an_empty_file_ends(database: Database) -> None:
    fill(database, 100)
    while database.prune(StoreSettings(max_bytes=1), now=0.0):
        pass

    assert kept(database) == []


def test_learned_times_come_back(path: Path) -> None:
    learned = {ModelId("a"): Learned(1.5, None, 0.25), ModelId("b"): Learned(stop_s=2.0)}
    with closing(Database(path)) as database:
        database.save_history({ModelId("gone"): Learned(9.0), ModelId("a"): Learned(8.0)})
        database.save_history(learned)

    assert learned == load_history(path)


@pytest.mark.parametrize("content", [None, b"", b"no database\n" * 1000])
def test_where_nothing_was_learned_there_is_nothing(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)

    assert load_history(path) == {}
    assert load_history(None) == {}


def test_path_with_characters_of_urls_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#b %41.db"
    with closing(Database(path)) as database:
        fill(database, 1)
        with database.reader() as connection:
            assert connection.execute("SELECT count(*) FROM activity").fetchone() == (1,)

    assert path.stat().st_size > 0


def test_reader_cannot_write(database: Database) -> None:
    with database.reader() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM activity")
