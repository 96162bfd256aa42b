"""What has been asked of the models: page by page, as statistics, and as a file. Source: compatibility specification 3.10.

Filters besides the specified ones, for all three: `status` (a code or a class such as `4xx`, repeatable), `session_id`, `key`
(its fingerprint), and `path` and `error`, which look for a text.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import parse_qs

from starlette.routing import Route

from app.asgi import ClientDisconnected, cancel_on_disconnect, read_body, send_bytes
from app.errors import RequestError
from app.telemetry.activity_query import SORT_COLUMNS, Filter, Moment, last_id, page, piece, stats
from app.telemetry.activity_text import Format, csv_head, csv_lines, jsonl, page_json, stats_json

if TYPE_CHECKING:
    import sqlite3

    from starlette.types import Receive, Scope, Send

    from app.telemetry.activity import ActivityLog

DEFAULT_LIMIT = 25
MOST = 999
"""Records on one page."""

VALUES = 200
"""Values of one repeatable parameter."""

PIECE = 500
"""Records of an export in memory at a time."""

EXPORT_S = 60.0
"""Seconds that one piece of an export may take: a rare match in a large store is long in coming."""

SLOW_S = 0.05
"""Seconds after which statistics are given again for a while, instead of being worked out for everybody who looks on."""

REUSE = 10
"""For how many times as long as they took."""

REMEMBERED = 16
"""Filters whose statistics are remembered."""

INT64 = 1 << 63

JSON = b"application/json"

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)

_STATUS = re.compile(r"[1-5](?:\d\d|xx)", re.ASCII)

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)

Query = Mapping[str, Sequence[str]]

T = TypeVar("T", int, None)


def routes(log: ActivityLog, has_capture: Callable[[int], bool] = lambda _number: False) -> list[Route]:
    """Returns the routes of this module.

    has_capture: says whether there is a capture of the record with this id. Called in worker threads, for every record.
    """
    return [
        Route("/api/metrics/activity", ActivityPage(log, has_capture), methods=["GET"]),
        Route("/api/metrics/stats", ActivityStats(log), methods=["GET"]),
        Route("/api/activity/export", ActivityExport(log, has_capture), methods=["GET"]),
    ]


class ActivityPage:
    """ASGI endpoint: some of the records."""

    def __init__(self, log: ActivityLog, has_capture: Callable[[int], bool]) -> None:
        self._log = log
        self._has_capture = has_capture

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers. Raises RequestError, Unavailable."""
        query = _query(scope)
        limit = _integer(query, "limit", DEFAULT_LIMIT)
        if not 1 <= limit <= MOST:
            raise RequestError(f"limit must be between 1 and {MOST}")
        number = _integer(query, "page", 1)
        if number < 1:
            raise RequestError("page must be >= 1")
        sort = _first(query, "sort") or "id"
        if sort not in SORT_COLUMNS:
            raise RequestError("invalid sort column")
        descending = _descending(query, "desc")
        which = wanted(query)

        def answer(connection: sqlite3.Connection) -> bytes:
            offset = min((number - 1) * limit, INT64 - 1)
            found = page(connection, which, sort=sort, descending=descending, limit=limit, offset=offset)
            return page_json(found, number=number, limit=limit, has_capture=self._has_capture)

        await send_bytes(send, 200, await self._log.read(answer), JSON)


class ActivityStats:
    """ASGI endpoint: sums, histograms and percentiles.

    A page that is open asks for them every second. Where they take long, with hundreds of thousands of records, they may be
    as old as ten times as long.
    """

    def __init__(self, log: ActivityLog) -> None:
        self._log = log
        self._remembered: dict[Filter, tuple[float, bytes]] = {}
        """Filter -> until when its answer holds, and the answer; the oldest first."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers. Raises RequestError, Unavailable."""
        which = wanted(_query(scope))
        until, body = self._remembered.get(which, (0.0, b""))
        if time.monotonic() >= until:
            body, took_s = await self._log.read(lambda connection: _timed_stats(connection, which))
            self._remembered.pop(which, None)
            if took_s > SLOW_S:
                self._remembered[which] = (time.monotonic() + REUSE * took_s, body)
                while len(self._remembered) > REMEMBERED:
                    del self._remembered[next(iter(self._remembered))]
        await send_bytes(send, 200, body, JSON)


class ActivityExport:
    """ASGI endpoint: all the records, by id, as `format` says: `csv`, or `jsonl` for one JSON document a line."""

    def __init__(self, log: ActivityLog, has_capture: Callable[[int], bool]) -> None:
        self._log = log
        self._has_capture = has_capture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Streams. Records that are added meanwhile are not in it. Raises RequestError, Unavailable."""
        query = _query(scope)
        form = _first(query, "format") or "jsonl"
        if form not in {"csv", "jsonl"}:
            raise RequestError("format must be csv or jsonl")
        form = cast(Format, form)
        descending = _descending(query, "asc")
        which = wanted(query)
        last = await self._log.read(last_id)
        try:
            (await read_body(receive)).close()
            async with cancel_on_disconnect(receive, scope):
                await send({"type": "http.response.start", "status": 200, "headers": _headers(form)})
                if scope["method"] != "HEAD":
                    await self._stream(send, form, which, last, descending=descending)
                await send({"type": "http.response.body", "body": b""})
        except ClientDisconnected:
            return

    async def _stream(self, send: Send, form: Format, which: Filter, last: int, *, descending: bool) -> None:
        after = last + 1 if descending else 0
        if form == "csv":
            await send({"type": "http.response.body", "body": csv_head(), "more_body": True})

        def answer(connection: sqlite3.Connection) -> tuple[bytes, int | None]:
            found = piece(connection, which, after=after, last=last, descending=descending, limit=PIECE)
            lines = csv_lines(found) if form == "csv" else jsonl(found, has_capture=self._has_capture)
            return lines, found[-1].id if len(found) == PIECE else None

        while True:
            lines, reached = await self._log.read(answer, EXPORT_S)
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            if reached is None:
                return
            after = reached


def wanted(query: Query) -> Filter:
    """Returns the filter that *query* asks for. Raises RequestError."""
    start, end = _moment(query, "start"), _moment(query, "end")
    if start is not None and end is not None and start >= end:
        raise RequestError("start must be before end")
    low, high = (_integer(query, name, None) for name in ("min_id", "max_id"))
    if low is not None and low < 1:
        raise RequestError("min_id must be >= 1")
    if high is not None and high < 1:
        raise RequestError("max_id must be >= 1")
    if low is not None and high is not None and low > high:
        raise RequestError("min_id must be <= max_id")
    return Filter(
        models=_all(query, "model"),
        start=start,
        end=end,
        min_id=low,
        max_id=high,
        statuses=tuple(_status(value) for value in _all(query, "status")),
        session_id=_first(query, "session_id"),
        key_fingerprint=_first(query, "key"),
        path=_first(query, "path"),
        error=_first(query, "error"),
    )


def _timed_stats(connection: sqlite3.Connection, which: Filter) -> tuple[bytes, float]:
    began = time.monotonic()
    body = stats_json(stats(connection, which))
    return body, time.monotonic() - began


def _query(scope: Scope) -> Query:
    # Bytes that are no UTF-8 become replacement characters: names in the store have none of them either.
    return parse_qs(scope["query_string"].decode(errors="replace"), errors="replace")


def _first(query: Query, name: str) -> str:
    """Returns the first value; one without text is as good as none."""
    return query.get(name, ("",))[0]


def _all(query: Query, name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(query.get(name, ())))
    if len(values) > VALUES:
        raise RequestError(f"{name} is given {len(values)} times; {VALUES} is the most")
    return values


def _integer(query: Query, name: str, default: T) -> int | T:
    text = _first(query, name)
    if not text:
        return default
    if not _INTEGER.fullmatch(text) or not -INT64 <= int(text) < INT64:
        raise RequestError(f"invalid {name}")
    return int(text)


def _descending(query: Query, default: str) -> bool:
    order = _first(query, "order") or default
    if order not in {"asc", "desc"}:
        raise RequestError("order must be asc or desc")
    return order == "desc"


def _moment(query: Query, name: str) -> Moment | None:
    text = _first(query, name)
    if not text:
        return None
    try:
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(text)
        whole, fraction, zone = match.groups()
        second = math.floor(datetime.fromisoformat(whole + zone).timestamp())
        return Moment(second, float(f"0{fraction}" if fraction else 0))
    except (ValueError, OverflowError):
        raise RequestError(f"invalid '{name}' timestamp, use RFC3339 format") from None


def _status(text: str) -> tuple[int, int]:
    if not _STATUS.fullmatch(text):
        raise RequestError("status must be a code such as 404 or a class such as 4xx")
    return int(text.replace("x", "0")), int(text.replace("x", "9"))


def _headers(form: Format) -> list[tuple[bytes, bytes]]:
    media_type = b"text/csv; charset=utf-8" if form == "csv" else b"application/jsonl; charset=utf-8"
    return [
        (b"content-type", media_type),
        (b"content-disposition", b'attachment; filename="activity.%s"' % form.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
