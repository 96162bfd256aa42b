"""Where activity is written: the file, or memory while the file cannot be written.

Used by the writer's thread only; others read `database`.

- A file that cannot be written (full, read-only, gone) gives way to a store in memory, begun with the newest records of the
  file if they can still be read. One warning. The file is tried again every `retry_s` seconds, and gets what it lacks.
- A damaged file is set aside, and a new one begun.
- Numbers only ever grow. If it turns out that the file has given some of them to other records, because it could not be read
  before or because another program writes there, too, the newer records get new ones.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.telemetry.activity_record import Row
from app.telemetry.store import Database, Foreign, StoreSettings, is_damage, set_aside

logger = logging.getLogger(__name__)

PRUNE_S = 60.0
"""Seconds between two looks for records that are too old or too many."""

FAILURES = (sqlite3.Error, OSError, Foreign)
"""All that a database raises when it cannot do what it should."""


class Place:
    """The database in use, and the way from one to another."""

    def __init__(self, settings: StoreSettings, reserve: Callable[[int, int], int], retry_s: float) -> None:
        """reserve: called with a number that is taken and a count; reserves so many numbers above, and returns the first."""
        self.settings = settings
        self.database = Database(None)
        self.is_degraded = False
        """Whether records are in memory against the operator's will."""
        self.suspect: tuple[Database, sqlite3.Error] | None = None
        """What a reader has found damaged, and how. Set by any thread."""
        self._reserve = reserve
        self._retry_s = retry_s
        self._missing_from = 1
        """The lowest number that a file may lack, while the store is in memory."""
        self._retry_at = self._prune_at = 0.0

    def open(self, now: float) -> None:
        """Goes over to the database that the settings name, and takes along what it lacks."""
        old, path = self.database, self.settings.path
        try:
            new = Database(None) if path is None else self._open(path)
        except FAILURES as exc:
            self._degrade(exc, now)
            return
        try:
            if path is None:
                self._missing_from = old.last_id() + 1
                new.insert(_newest(old, self.settings.rows_in_memory))
            elif old.path is None and (rows := old.rows(self._missing_from)):
                new.insert(self._renumbered(rows, new))
            last = new.last_id()
        except FAILURES as exc:
            new.close()
            self._degrade(exc, now)
            return
        self._adopt(new, last)
        if self.is_degraded:
            logger.info("activity is written to %s again", path or "memory")
        self.is_degraded = False

    def close(self, now: float) -> None:
        """Closes the database in use; what is in memory for want of the file goes there, if that can be written now."""
        if self.is_degraded:
            self.open(now)
        if self.is_degraded:
            logger.warning("the activity since %s could not be written is lost", self.settings.path)
        self.database.close()

    def reconfigure(self, settings: StoreSettings, now: float) -> None:
        """Takes other *settings*. Records in memory go along to a file. One that could not be written is tried again."""
        moves = settings.path != self.settings.path
        self.settings = settings
        self._prune_at = now
        if moves or self.is_degraded:
            self.open(now)

    def write(self, rows: list[Row], now: float) -> None:
        """Adds *rows*, in the order of their numbers. Raises only if not even memory takes them."""
        self._judge(now)
        database = self.database
        try:
            self._insert(rows)
        except FAILURES as exc:
            if database.path is None:
                raise
            if is_damage(exc):
                self._replace(database, exc, now)
            else:
                self._degrade(exc, now, missing_from=int(rows[0][0] or 0))
            self._insert(rows)

    def pause(self, now: float) -> float | None:
        """Returns the seconds until `look_after` has something to do; None: it will not have."""
        if self.settings.path is None:
            return None
        return max(0.0, (self._retry_at if self.is_degraded else self._prune_at) - now)

    def look_after(self, now: float) -> None:
        """Tries the file again, or deletes what is too old, if it is time to."""
        self._judge(now)
        if self.is_degraded and now >= self._retry_at:
            self.open(now)
        if self.database.path is None or now < self._prune_at:
            return
        more = False
        try:
            more = self.database.prune(self.settings, datetime.now(UTC).timestamp())
        except sqlite3.Error as exc:
            if is_damage(exc):
                self._replace(self.database, exc, now)
            else:
                # The next write finds out whether it was more than a moment's trouble.
                logger.debug("old activity is not deleted: %s", exc)
        self._prune_at = now if more else now + PRUNE_S

    def _judge(self, now: float) -> None:
        suspect, self.suspect = self.suspect, None
        if suspect is not None:
            self._replace(*suspect, now)

    def _replace(self, database: Database, error: Exception, now: float) -> None:
        """Begins a new file in place of *database*, which is damaged, unless that has happened already."""
        if database is not self.database or database.path is None:
            return
        database.close()
        try:
            _set_aside(database.path, error)
            self._adopt(Database(database.path), 0)
        except FAILURES as exc:
            self._degrade(exc, now, missing_from=1)

    def _insert(self, rows: list[Row]) -> None:
        try:
            self.database.insert(rows)
        except sqlite3.IntegrityError:
            # Somebody else writes there, too.
            self.database.insert(self._renumbered(rows, self.database))
        if self.database.path is None:
            self.database.keep_newest(self.settings.rows_in_memory)

    def _open(self, path: Path) -> Database:
        try:
            return Database(path)
        except sqlite3.Error as exc:
            if not is_damage(exc):
                raise
            _set_aside(path, exc)
            return Database(path)

    def _degrade(self, error: Exception, now: float, missing_from: int | None = None) -> None:
        """Keeps records in memory until the file can be written. missing_from: the lowest number that it lacks."""
        if not self.is_degraded:
            logger.warning(
                "activity cannot be written to %s (%s): the newest %d records are kept in memory, and the file is"
                " tried again every %.0f s",
                self.settings.path,
                error,
                self.settings.rows_in_memory,
                self._retry_s,
            )
        self.is_degraded = True
        self._retry_at = now + self._retry_s
        old = self.database
        if old.path is None:
            return
        memory = Database(None)
        memory.insert(_newest(old, self.settings.rows_in_memory))
        self._missing_from = memory.last_id() + 1 if missing_from is None else missing_from
        self._adopt(memory, 0)

    def _adopt(self, database: Database, last: int) -> None:
        """Uses *database* from now on. last: the highest number that it has given away, if it may be one of its own."""
        old, self.database = self.database, database
        self._reserve(last, 0)
        if not old.is_closed:
            old.close()

    def _renumbered(self, rows: list[Row], database: Database) -> list[Row]:
        """Returns *rows* with numbers that *database* has not given away, all of them new if one must be: they stay in order."""
        last = database.last_id()
        if all(int(row[0] or 0) > last for row in rows):
            return rows
        first = self._reserve(last, len(rows))
        return [(first + index, *row[1:]) for index, row in enumerate(rows)]


def _set_aside(path: Path, error: Exception) -> None:
    aside = set_aside(path)
    logger.warning("the activity store %s is damaged (%s): it is now %s, and a new one is begun", path, error, aside)


def _newest(database: Database, count: int) -> list[Row]:
    """Returns the newest rows of *database*; none if it cannot be read any more."""
    try:
        return [] if database.is_closed else database.rows(newest=count)
    except sqlite3.Error as exc:
        logger.debug("the activity so far is not shown: %s", exc)
        return []
