"""What is asked of the store: a page of records, a piece of an export, and statistics.

Functions of a connection, for a worker thread. SQLite does the work, without the interpreter's lock: the percentiles of
100 000 records would hold up the event loop for longer than it may be if Python sorted them.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from app.telemetry.activity_record import COLUMNS, ActivityRecord, in_turns, record_of

SORT_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "id": (),
        "time": ("ts_created", "ts_fraction"),
        "model": ("model_id",),
        "req_path": ("req_path",),
        "resp_status_code": ("resp_status_code",),
        "resp_content_type": ("resp_content_type",),
        "cached": ("cache_tokens",),
        "prompt": ("input_tokens",),
        "generated": ("output_tokens",),
        "drafted": ("draft_tokens",),
        "prompt_speed": ("prompt_per_second",),
        "gen_speed": ("tokens_per_second",),
        "duration": ("duration_ms",),
        # ours
        "ttft": ("ttft_ms",),
        "queued": ("queued_ms",),
        "swap": ("swap_ms",),
    }
)
"""Sort key -> the columns it stands for; the id decides between equals. Source: compatibility specification 3.10."""

PERCENTILES = (0.5, 0.95, 0.99)

_SELECT = f"SELECT {','.join(COLUMNS)} FROM activity"  # noqa: S608 - names of ours


class Moment(NamedTuple):
    """A moment as the store has it: whole seconds since 1970, and the rest."""

    second: int
    fraction: float


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are meant: those that fit everything that is given."""

    models: tuple[str, ...] = ()
    """One of these."""
    start: Moment | None = None
    end: Moment | None = None
    """Included; one without a fraction stands for its whole second."""
    min_id: int | None = None
    max_id: int | None = None
    statuses: tuple[tuple[int, int], ...] = ()
    """One of these, each from its first to its last code."""
    session_id: str = ""
    key_fingerprint: str = ""
    path: str = ""
    """Found anywhere in the request's path."""
    error: str = ""
    """Found anywhere in the error's text; for both, upper and lower case of ASCII letters are the same."""

    def condition(self) -> tuple[str, list[str | int | float]]:
        """Returns what follows `WHERE`, and the values for it."""
        parts: list[str] = ["1"]
        values: list[str | int | float] = []

        def add(part: str, *its: str | float) -> None:
            parts.append(part)
            values.extend(its)

        if self.models:
            add(f"model_id IN ({','.join('?' * len(self.models))})", *self.models)
        if self.start is not None:
            add("ts_created >= ? AND (ts_created, ts_fraction) >= (?, ?)", self.start.second, *self.start)
        if self.end is not None:
            add("ts_created <= ?", self.end.second)
            if self.end.fraction:
                add("(ts_created, ts_fraction) <= (?, ?)", *self.end)
        if self.min_id is not None:
            add("id >= ?", self.min_id)
        if self.max_id is not None:
            add("id <= ?", self.max_id)
        if self.statuses:
            either = " OR ".join(["resp_status_code BETWEEN ? AND ?"] * len(self.statuses))
            add(f"({either})", *(code for bounds in self.statuses for code in bounds))
        if self.session_id:
            # Said twice for the index, which has only records with a session.
            add("session_id = ? AND session_id <> ''", self.session_id)
        if self.key_fingerprint:
            add("key_fingerprint = ?", self.key_fingerprint)
        if self.path:
            add("req_path LIKE ? ESCAPE '\\'", _anywhere(self.path))
        if self.error:
            add("error_msg LIKE ? ESCAPE '\\'", _anywhere(self.error))
        return " AND ".join(parts), values


class Page(NamedTuple):
    """Some of the records, and how many there are in all."""

    records: list[ActivityRecord]
    total: int


def page(
    connection: sqlite3.Connection, which: Filter, *, sort: str, descending: bool, limit: int, offset: int
) -> Page:
    """Returns *limit* records after *offset* of them. sort: a key of `SORT_COLUMNS`."""
    condition, values = which.condition()
    direction = "DESC" if descending else "ASC"
    order = ", ".join(f"{column} {direction}" for column in (*SORT_COLUMNS[sort], "id"))
    with _snapshot(connection):
        (total,) = connection.execute(f"SELECT count(*) FROM activity WHERE {condition}", values).fetchone()  # noqa: S608 - as above
        # First the ids, which may be found without reading and sorting whole rows.
        ids = f"SELECT id FROM activity WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - as above
        rows = connection.execute(
            f"{_SELECT} WHERE id IN ({ids}) ORDER BY {order}",
            (*values, limit, offset),
        ).fetchall()
    return Page([record_of(row) for row in in_turns(rows)], total)


def last_id(connection: sqlite3.Connection) -> int:
    """Returns the id of the newest record; 0 if there is none."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM activity").fetchone()
    return int(last)


def piece(
    connection: sqlite3.Connection, which: Filter, *, after: int, last: int, descending: bool, limit: int
) -> list[ActivityRecord]:
    """Returns the next *limit* records of a walk by id, which has come to *after* and leaves out those above *last*."""
    condition, values = which.condition()
    bounds = "id < ? AND id <= ?" if descending else "id > ? AND id <= ?"
    rows = connection.execute(
        f"{_SELECT} WHERE {condition} AND {bounds} ORDER BY id {'DESC' if descending else 'ASC'} LIMIT ?",
        (*values, after, last, limit),
    ).fetchall()
    return [record_of(row) for row in in_turns(rows)]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the positive values of a column are spread."""

    bins: tuple[int, ...]
    """Number of values in each."""
    minimum: float
    maximum: float
    bin_size: float
    """0: all values are the same, and in the one bin."""
    percentiles: tuple[float, ...]
    """Those of `PERCENTILES`, between two values by linear interpolation."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Sums and spreads over records. A histogram is None where no value is known."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    prompt_speed: Histogram | None
    speed: Histogram | None
    ttft: Histogram | None
    queued: Histogram | None
    """Of those that had to wait."""
    swap: Histogram | None
    """Of those that a model was loaded for."""


def stats(connection: sqlite3.Connection, which: Filter) -> Stats:
    """Returns the statistics of the records that *which* means."""
    condition, values = which.condition()
    positive = ", ".join(f"sum(max({column}, 0))" for column in ("input_tokens", "output_tokens", "cache_tokens"))
    with _snapshot(connection):
        requests, *sums = connection.execute(
            f"SELECT count(*), {positive} FROM activity WHERE {condition}",  # noqa: S608 - made of our own words
            values,
        ).fetchone()
        given, generated, cached = (int(each or 0) for each in sums)
        prompt_speed, speed, ttft, queued, swap = (
            histogram(connection, column, which)
            for column in ("prompt_per_second", "tokens_per_second", "ttft_ms", "queued_ms", "swap_ms")
        )
    return Stats(requests, given, generated, cached, prompt_speed, speed, ttft, queued, swap)


def histogram(connection: sqlite3.Connection, column: str, which: Filter) -> Histogram | None:
    """Returns how the positive values in *column* are spread. Source of its form: compatibility specification 3.10."""
    condition, values = which.condition()
    source = f"FROM activity WHERE {column} > 0 AND {condition}"
    count, low, high = connection.execute(f"SELECT count(*), min({column}), max({column}) {source}", values).fetchone()
    if not count:
        return None
    number = min(max(math.ceil(math.log2(count)) + 1, 5), 20)
    size = (high - low) / number
    if size == 0:
        return Histogram((count,), low, high, 0.0, (low,) * len(PERCENTILES))
    places = [share * (count - 1) for share in PERCENTILES]
    ranks = sorted({whole for place in places for whole in (math.floor(place), math.ceil(place))})
    picks = " UNION ALL ".join(["SELECT ?, (SELECT x FROM v LIMIT 1 OFFSET ?)"] * len(ranks))
    spread = "SELECT -1 - min(CAST((x - ?) / ? AS INTEGER), ?), count(*) FROM v GROUP BY 1"
    found = connection.execute(
        f"WITH v(x) AS MATERIALIZED (SELECT {column} {source} ORDER BY {column}) {spread} UNION ALL {picks}",
        (*values, low, size, number - 1, *(rank for rank in ranks for _ in range(2))),
    ).fetchall()
    # Bins have come with numbers below zero, values with their rank.
    told = dict(found)
    return Histogram(
        bins=tuple(told.get(-1 - index, 0) for index in range(number)),
        minimum=low,
        maximum=high,
        bin_size=size,
        percentiles=tuple(_between(told[math.floor(place)], told[math.ceil(place)], place % 1) for place in places),
    )


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _anywhere(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Makes what is asked in the block see the same records."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
