"""The database that activity and learned times are kept in: SQLite, in a file or in memory.

A file is one that we began, or one of llama-swap's, whose table we add our columns to: its history stays visible, and it can
still write there. What a file of another program holds is left alone.

A database is opened, written and closed by one thread. To read, others take a connection of their own; one in memory has
only one connection, which they take in turns.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.scheduler.history import Learned
from app.telemetry.activity_record import COLUMNS, KNOWN_COLUMNS, OUR_COLUMNS, Row, without_surrogates
from planners.protocol import ModelId

VERSION = 1
"""`user_version` of a file that has all that this program knows of."""

BUSY_S = 5.0
"""Seconds to wait for another program that writes into the same file."""

SLICE = 2_000
"""Rows deleted at a time, so that new ones need not wait long."""

WAL_LIMIT = 16 << 20
"""Bytes that the write-ahead log keeps on disk when it is empty."""

_CREATE = f"""
CREATE TABLE activity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_created INTEGER NOT NULL,
    model_id TEXT NOT NULL DEFAULT '',
    req_path TEXT NOT NULL DEFAULT '',
    resp_content_type TEXT NOT NULL DEFAULT '',
    resp_status_code INTEGER NOT NULL DEFAULT 0,
    cache_tokens INTEGER NOT NULL DEFAULT 0,
    draft_tokens INTEGER NOT NULL DEFAULT 0,
    draft_acc_tokens INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    prompt_per_second REAL NOT NULL DEFAULT 0,
    tokens_per_second REAL NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    error_msg TEXT NOT NULL DEFAULT '',
    metadata_json TEXT NOT NULL DEFAULT '',
    {", ".join(f"{name} {declared}" for name, declared in OUR_COLUMNS.items())}
)
"""

_BESIDES = (
    "CREATE INDEX activity_by_time ON activity (ts_created, ts_fraction)",
    "CREATE INDEX activity_by_model ON activity (model_id)",
    "CREATE INDEX activity_by_session ON activity (session_id) WHERE session_id <> ''",
    "CREATE TABLE learned (model_id TEXT PRIMARY KEY, load_s REAL, stop_s REAL, request_s REAL) WITHOUT ROWID",
)

_ONE_ROW = "(" + ",".join("?" * len(COLUMNS)) + ")"


class Foreign(Exception):
    """The file is a database, but of another program or of a later version of this one."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where activity is kept, and for how long. 0: no limit."""

    path: Path | None = None
    """The file; None: in memory."""
    rows_in_memory: int = 1000
    """Records kept where there is no file, or none that can be written."""
    max_age_s: float = 0.0
    """Seconds after which a record in the file is deleted."""
    max_rows: int = 0
    """Records kept in the file."""
    max_bytes: int = 0
    """Bytes that the file may grow to, roughly: the oldest records go."""


def is_damage(error: BaseException) -> bool:
    """Returns whether *error* says that the file's contents are broken, or were never a database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def set_aside(path: Path) -> Path:
    """Renames a broken database and what belongs to it, and returns its new name. Raises OSError."""
    stem = f"{path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside, number = Path(stem), 1
    while aside.exists():
        number += 1
        aside = Path(f"{stem}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


def load_history(path: Path | None) -> Mapping[ModelId, Learned]:
    """Returns what an earlier run has learned of each model; nothing, if it cannot be read. Blocks: for before the loop runs.

    Whoever opens the store to write says what is wrong with it.
    """
    if path is None:
        return {}
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(_connect(path)) as connection:
        rows = connection.execute("SELECT model_id, load_s, stop_s, request_s FROM learned").fetchall()
        return {ModelId(model): Learned(load, stop, request) for model, load, stop, request in rows}
    return {}


class Database:
    """An open store."""

    def __init__(self, path: Path | None) -> None:
        """Opens or creates the file at *path*; None: in memory. Raises sqlite3.Error, OSError, Foreign."""
        self.path = path
        self.lock = threading.Lock()
        """Held by whoever uses the connection, if it is the only one."""
        self.is_closed = False
        if path is not None and not path.exists():
            # Who asked for what is nobody else's business. SQLite gives the files beside it the same rights.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = _connect(path)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes it. Whoever reads has finished, or has a connection of its own."""
        with self.lock:
            self.is_closed = True
            self._connection.close()

    @contextlib.contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection to read by, in any thread."""
        if self.path is None:
            with self.lock:
                yield self._connection
        else:
            with contextlib.closing(_connect(self.path)) as connection:
                connection.execute("PRAGMA query_only = ON")
                yield connection

    def last_id(self) -> int:
        """Returns the highest id that a record has or ever had here."""
        with self.lock:
            (last,) = self._connection.execute(
                "SELECT max(coalesce((SELECT max(id) FROM activity), 0),"
                " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'activity'), 0))"
            ).fetchone()
        return int(last)

    def rows(self, first: int = 0, newest: int = -1) -> list[Row]:
        """Returns the rows from the id *first* on, at most so many of the *newest*, in order."""
        with self.lock:
            return self._connection.execute(
                f"SELECT * FROM (SELECT {','.join(COLUMNS)} FROM activity WHERE id >= ? ORDER BY id DESC LIMIT ?) ORDER BY id",  # noqa: S608 - names of ours
                (first, newest),
            ).fetchall()

    def insert(self, rows: Sequence[Row]) -> None:
        """Adds *rows*, all or none."""
        try:
            self._insert(rows)
        except UnicodeEncodeError:
            self._insert([without_surrogates(row) for row in rows])

    def _insert(self, rows: Sequence[Row]) -> None:
        # Many rows in one statement: SQLite runs without the interpreter's lock, and taking it again for each row, as
        # `executemany` does, costs up to 5 ms of waiting in a busy process. Powers of two, so that few statements are prepared.
        with self._transaction() as connection:
            start, size = 0, 64
            while start < len(rows):
                while size > len(rows) - start:
                    size //= 2
                cells = [cell for row in rows[start : start + size] for cell in row]
                connection.execute(
                    f"INSERT INTO activity ({','.join(COLUMNS)}) VALUES {','.join([_ONE_ROW] * size)}",  # noqa: S608 - names of ours
                    cells,
                )
                start += size

    def keep_newest(self, count: int) -> None:
        """Deletes all records but those with the *count* highest ids."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM activity WHERE id <= (SELECT max(id) FROM activity) - ?", (count,))

    def prune(self, settings: StoreSettings, now: float) -> bool:
        """Deletes some of the records that are too old or too many, and returns whether more are to go."""
        deleted = 0
        if settings.max_age_s > 0:
            deleted = self._delete("ts_created < ? ORDER BY ts_created", now - settings.max_age_s, SLICE)
        if settings.max_rows > 0:
            last = self.last_id()
            deleted = max(deleted, self._delete("id <= ? ORDER BY id", last - settings.max_rows, SLICE))
        if settings.max_bytes > 0 and (excess := self._excess(settings.max_bytes)):
            deleted = max(deleted, self._delete("id > ? ORDER BY id", 0, min(excess, SLICE)))
        if deleted:
            with self.lock:
                # A script, because a single statement would be left after its first page.
                self._connection.executescript("PRAGMA incremental_vacuum")
        return deleted > 0

    def save_history(self, learned: Mapping[ModelId, Learned]) -> None:
        """Replaces what is known of all models."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM learned")
            connection.executemany(
                "INSERT INTO learned VALUES (?, ?, ?, ?)",
                [(model, its.load_s, its.stop_s, its.request_s) for model, its in learned.items()],
            )

    def _delete(self, which: str, bound: float, most: int) -> int:
        with self._transaction() as connection:
            statement = f"DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE {which} LIMIT ?)"  # noqa: S608 - ours
            return connection.execute(statement, (bound, most)).rowcount

    def _excess(self, most: int) -> int:
        """Returns how many records are to go for the rest to fit into *most* bytes."""
        with self.lock:
            pages, free, size = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            first, last = self._connection.execute("SELECT min(id), max(id) FROM activity").fetchone()
        used = (pages - free) * size
        if used <= most or first is None:
            return 0
        return int((last - first + 1) * (used - most) / used) + 1

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled it back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        run = self._connection.execute
        # Before anything is written: it may be the file of somebody else.
        (version,) = run("PRAGMA user_version").fetchone()
        tables = {name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {name for _, name, *_ in run("PRAGMA table_info(activity)")}
        if version > VERSION:
            raise Foreign(f"it was written by a later version of Hostler: its format is {version}, ours {VERSION}")
        if columns and not columns.issuperset(KNOWN_COLUMNS):
            raise Foreign("it has a table of another program that is called activity, too")
        if not columns and tables:
            raise Foreign("it is the database of another program")
        run("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; others have made up their minds
        if self.path is not None:
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = NORMAL")
            run(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        with self._transaction():
            # Asked again: another program may have been quicker.
            (version,) = run("PRAGMA user_version").fetchone()
            if version < 1:
                self._migrate_from_nothing(columns)
            # Written even if it is the same: so that a file that can only be read is noticed now.
            run(f"PRAGMA user_version = {VERSION}")
        # So that damage where the newest records are is noticed now, too.
        self.last_id()

    def _migrate_from_nothing(self, columns: set[str]) -> None:
        """Makes our tables. columns: those of an existing installation's table, if there is one."""
        if not columns:
            self._connection.execute(_CREATE)
        for name, declared in OUR_COLUMNS.items() if columns else ():
            self._connection.execute(f"ALTER TABLE activity ADD COLUMN {name} {declared}")
        for statement in _BESIDES:
            self._connection.execute(statement)


def _connect(path: Path | None) -> sqlite3.Connection:
    # Never creating the file: a reader would put an empty one where a damaged one has just been set aside.
    where = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(where, timeout=BUSY_S, isolation_level=None, check_same_thread=False, uri=path is not None)
