from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from starlette.routing import Router
from starlette.types import Message

from app.endpoints import activity
from app.endpoints.activity import PIECE, VALUES, routes, wanted
from app.errors import RequestError
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_query import Filter, Moment
from app.telemetry.activity_record import ActivityRecord
from app.telemetry.store import StoreSettings
from tests.asgi import Reply, call
from tests.telemetry.activity_records import PLAIN, record

pytestmark = pytest.mark.anyio

PAGE = "/api/metrics/activity"
STATS = "/api/metrics/stats"
EXPORT = "/api/activity/export"

NEWEST = 100_000


@asynccontextmanager
async def holding(*records: ActivityRecord) -> AsyncIterator[Router]:
    """Gives the endpoints of a log with *records*, whose ids count from 1. Records with an even id have a capture."""
    async with ActivityLog(StoreSettings(rows_in_memory=NEWEST)) as log:
        for each in records:
            log.add(each)
        yield Router(routes(log, has_capture=lambda number: number % 2 == 0))


async def get(app: Router, query: str = "", path: str = PAGE) -> Any:
    reply = await call(app, path=path, query=query.encode())
    assert reply.status == 200
    return json.loads(reply.body)


async def page_of(app: Router, query: str) -> list[int]:
    return [each["id"] for each in (await get(app, query))["data"]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the machine into a time zone of its own."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_record_is_that_of_the_specification_and_then_ours(here: None) -> None:
    its = record(
        time=1_790_000_000.5,
        model="<m&m>",
        req_path="/v1/chat/completions",
        resp_content_type="text/event-stream",
        status=200,
        cached_tokens=7,
        drafted_tokens=9,
        accepted_tokens=6,
        input_tokens=4,
        output_tokens=3,
        prompt_per_second=10.5,
        tokens_per_second=20.0,
        duration_ms=2230,
        error_msg="no",
        metadata={"selector": "s", "fifo_priority": "0"},
        key_fingerprint="ab12",
        client="127.0.0.1",
        session_id="s1",
        streamed=True,
        ttft_ms=12.5,
        queued_ms=1.0,
        swap_ms=0.0,
        stop_reason="stop",
        req_bytes=10,
        resp_bytes=20,
    )
    async with holding(PLAIN, its) as app:
        reply = await call(app, path=PAGE, query=b"min_id=2")

    assert reply.header("content-type") == "application/json"
    assert reply.body.decode() == (
        '{"data":[{"id":2,"timestamp":"2026-09-21T19:43:20.5+05:30","model":"\\u003cm\\u0026m\\u003e",'
        '"req_path":"/v1/chat/completions","resp_content_type":"text/event-stream","resp_status_code":200,'
        '"tokens":{"cache_tokens":7,"draft_tokens":9,"draft_acc_tokens":6,"input_tokens":4,"output_tokens":3,'
        '"prompt_per_second":10.5,"tokens_per_second":20},"duration_ms":2230,"has_capture":true,"error_msg":"no",'
        '"metadata":{"fifo_priority":"0","selector":"s"},"method":"POST","measured":false,"streamed":true,'
        '"ttft_ms":12.5,"queued_ms":1,"swap_ms":0,"stop_reason":"stop","session_id":"s1","key_fingerprint":"ab12",'
        '"client":"127.0.0.1","req_bytes":10,"resp_bytes":20}],"page":1,"limit":25,"total":1,"total_pages":1}\n'
    )


async def test_what_there_is_not_is_left_out_of_a_record() -> None:
    async with holding(record(tokens_per_second=-1.0)) as app:
        (its,) = (await get(app))["data"]

    assert "error_msg" not in its
    assert "metadata" not in its
    assert its["has_capture"] is False
    assert its["tokens"]["tokens_per_second"] == -1


@pytest.mark.parametrize(("moment", "year"), [(-1e17, 1970), (1e17, 9999)])
async def test_moment_that_cannot_be_written_is_the_nearest_that_can(moment: float, year: int) -> None:
    async with holding(record(time=moment)) as app:
        (its,) = (await get(app))["data"]

    assert datetime(year, 1, 1, tzinfo=UTC) == datetime.fromisoformat(its["timestamp"])


async def test_nothing_is_an_empty_page() -> None:
    async with holding() as app:
        reply = await call(app, path=PAGE)

    assert reply.body == b'{"data":[],"page":1,"limit":25,"total":0,"total_pages":0}\n'


@pytest.mark.parametrize(
    ("query", "expected", "pages"),
    [
        ("", list(range(60, 35, -1)), 3),
        ("page=3", list(range(10, 0, -1)), 3),
        ("page=4", [], 3),
        ("page=9223372036854775807&limit=999", [], 1),
        ("limit=2&page=2&order=asc", [3, 4], 30),
        ("limit=20", list(range(60, 40, -1)), 3),
        ("limit=999", list(range(60, 0, -1)), 1),
        ("limit=&page=&sort=&order=", list(range(60, 35, -1)), 3),
        ("limit=1&limit=nonsense", [60], 60),
    ],
)
async def test_pages(query: str, expected: list[int], pages: int) -> None:
    async with holding(*[record()] * 60) as app:
        answer = await get(app, query)

    assert expected == [each["id"] for each in answer["data"]]
    assert (answer["total"], answer["total_pages"]) == (60, pages)


RECORDS = (
    record(time=100.25, model="a", session_id="s1", key_fingerprint="k1", duration_ms=3),
    record(time=101.0, model="b/c d", status=404, error_msg="no router for requested model", duration_ms=1),
    record(time=102.5, model="ü", status=500, error_msg="100%", req_path="/v1/embeddings", duration_ms=2),
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model=a", [1]),
        ("model=a&model=b%2Fc+d", [2, 1]),
        ("model=%C3%BC", [3]),
        ("model=ü", [3]),
        ("model=%FF", []),
        ("start=1970-01-01T00:01:41Z", [3, 2]),
        ("start=1970-01-01T00:01:41.000001Z", [3]),
        ("end=1970-01-01T00:01:41Z", [2, 1]),
        ("end=1970-01-01T00:01:40Z", [1]),
        ("start=1970-01-01T01:01:41%2B01:00&end=1970-01-01T00:01:42.4Z", [2]),
        ("min_id=2", [3, 2]),
        ("max_id=2", [2, 1]),
        ("min_id=2&max_id=2", [2]),
        ("status=4xx", [2]),
        ("status=404&status=5xx", [3, 2]),
        ("session_id=s1", [1]),
        ("key=k1", [1]),
        ("path=embed", [3]),
        ("error=100%25", [3]),
        ("sort=duration", [1, 3, 2]),
        ("sort=duration&order=asc", [2, 3, 1]),
        ("sort=model&order=asc", [1, 2, 3]),
        ("nonsense=1", [3, 2, 1]),
    ],
)
async def test_filters_and_order(query: str, expected: list[int]) -> None:
    async with holding(*RECORDS) as app:
        assert expected == await page_of(app, query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit must be between 1 and 999"),
        ("limit=1000", "limit must be between 1 and 999"),
        ("limit=-1", "limit must be between 1 and 999"),
        ("limit=x", "invalid limit"),
        ("limit=1.5", "invalid limit"),
        ("limit=٣", "invalid limit"),
        ("limit=9223372036854775808", "invalid limit"),
        ("limit=" + "9" * 5000, "invalid limit"),
        ("page=0", "page must be >= 1"),
        ("page=-3", "page must be >= 1"),
        ("page=x", "invalid page"),
        ("sort=nonsense", "invalid sort column"),
        ("sort=id;DROP", "invalid sort column"),
        ("order=up", "order must be asc or desc"),
        ("order=DESC", "order must be asc or desc"),
        ("start=yesterday", "invalid 'start' timestamp, use RFC3339 format"),
        ("start=2026-01-01", "invalid 'start' timestamp, use RFC3339 format"),
        ("start=2026-01-01T00:00:00", "invalid 'start' timestamp, use RFC3339 format"),
        ("start=2026-01-01T00:00:00+01:00", "invalid 'start' timestamp, use RFC3339 format"),
        ("start=2026-02-30T00:00:00Z", "invalid 'start' timestamp, use RFC3339 format"),
        ("start=2026-01-01T00:00:00%2B99:00", "invalid 'start' timestamp, use RFC3339 format"),
        ("end=1700000000", "invalid 'end' timestamp, use RFC3339 format"),
        ("start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "start must be before end"),
        ("start=2026-01-01T00:00:00Z&end=2026-01-01T00:00:00Z", "start must be before end"),
        ("min_id=0", "min_id must be >= 1"),
        ("min_id=x", "invalid min_id"),
        ("max_id=0", "max_id must be >= 1"),
        ("min_id=5&max_id=4", "min_id must be <= max_id"),
        ("status=abc", "status must be a code such as 404 or a class such as 4xx"),
        ("status=4x4", "status must be a code such as 404 or a class such as 4xx"),
        ("&".join(f"model={number}" for number in range(VALUES + 1)), "model is given 201 times; 200 is the most"),
    ],
)
async def test_what_is_wrong_with_a_question_is_told(query: str, message: str) -> None:
    async with holding() as app:
        with pytest.raises(RequestError) as raised:
            await call(app, path=PAGE, query=query.encode())

    assert message == str(raised.value)


def test_question_becomes_a_filter() -> None:
    query = {
        "model": ["a", "b", "a"],
        "start": ["1969-12-31T23:59:59.25Z"],
        "end": ["1970-01-01T00:00:10.5+00:00"],
        "min_id": ["3"],
        "max_id": ["+4"],
        "status": ["2xx", "503"],
        "session_id": ["s", "t"],
        "key": ["k"],
        "path": ["p"],
        "error": ["e"],
    }

    assert wanted(query) == Filter(
        models=("a", "b"),
        start=Moment(-1, 0.25),
        end=Moment(10, 0.5),
        min_id=3,
        max_id=4,
        statuses=((200, 299), (503, 503)),
        session_id="s",
        key_fingerprint="k",
        path="p",
        error="e",
    )


async def test_statistics_are_those_of_the_specification_and_then_ours() -> None:
    records = [
        record(
            input_tokens=10,
            output_tokens=2,
            cached_tokens=cached,
            prompt_per_second=5.0,
            tokens_per_second=float(speed),
            ttft_ms=1.5,
            swap_ms=swap,
        )
        for cached, speed, swap in ((-1, 1, 0.0), (3, 2, 100.0), (4, 6, 300.0))
    ]
    async with holding(*records, record(model="b")) as app:
        reply = await call(app, path=STATS, query=b"model=a&max_id=3")

    assert reply.body.decode() == (
        '{"total_requests":3,"total_input_tokens":30,"total_output_tokens":6,"total_cache_tokens":7,'
        '"prompt_histogram":{"bins":[3],"min":5,"max":5,"binSize":0,"p50":5,"p95":5,"p99":5},'
        '"gen_histogram":{"bins":[1,1,0,0,1],"min":1,"max":6,"binSize":1,"p50":2,"p95":5.6,"p99":5.92},'
        '"ttft_histogram":{"bins":[3],"min":1.5,"max":1.5,"binSize":0,"p50":1.5,"p95":1.5,"p99":1.5},'
        '"queued_ms":null,"swap_ms":{"count":2,"p50":200,"p95":290,"p99":298}}\n'
    )


async def test_statistics_of_nothing() -> None:
    async with holding() as app:
        its = await get(app, path=STATS)

    assert its["total_requests"] == 0
    assert its["prompt_histogram"] is None
    assert its["gen_histogram"] is None


async def test_statistics_follow_what_is_added() -> None:
    async with ActivityLog(StoreSettings()) as log:
        app = Router(routes(log))
        for number in range(1, 20):
            log.add(record())

            assert (await get(app, path=STATS))["total_requests"] == number


async def test_statistics_that_take_long_are_given_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "SLOW_S", 0.0)
    monkeypatch.setattr(activity, "REUSE", 1e9)
    monkeypatch.setattr(activity, "REMEMBERED", 2)
    async with ActivityLog(StoreSettings()) as log:
        app = Router(routes(log))

        async def count(model: str) -> int:
            number: int = (await get(app, f"model={model}", STATS))["total_requests"]
            return number

        assert [await count(model) for model in "ab"] == [0, 0]
        for model in "abc":
            log.add(record(model=model))
        assert [await count(model) for model in "abc"] == [0, 0, 1]

        # Three are one too many to be remembered: the oldest is asked for anew.
        assert await count("a") == 1


async def export(app: Router, query: str) -> Reply:
    reply = await call(app, path=EXPORT, query=query.encode())
    assert reply.status == 200
    assert reply.complete
    return reply


async def test_export_has_every_record_a_line() -> None:
    async with holding(*[record(model=f"m{number % 3}") for number in range(2 * PIECE + 7)]) as app:
        reply = await export(app, "")
        few = await export(app, "model=m1&order=desc&min_id=5")
        page = (await get(app, "order=asc&limit=999"))["data"]
    lines = [json.loads(line) for line in reply.body.splitlines()]

    assert [line["id"] for line in lines] == list(range(1, 2 * PIECE + 8))
    assert page == lines[:999]
    assert [json.loads(line)["id"] for line in few.body.splitlines()] == list(range(2 * PIECE + 7, 4, -3))
    assert reply.header("content-type") == "application/jsonl; charset=utf-8"
    assert reply.header("content-disposition") == 'attachment; filename="activity.jsonl"'


async def test_export_of_csv_has_a_head_and_flat_lines() -> None:
    its = record(model='a "quoted", name', error_msg="two\nlines", metadata={"b": "2", "a": "1"}, streamed=True)
    async with holding(its, PLAIN) as app:
        reply = await export(app, "format=csv")
    first, second = csv.DictReader(io.StringIO(reply.body.decode(), newline=""))

    assert reply.header("content-type") == "text/csv; charset=utf-8"
    assert reply.header("content-disposition") == 'attachment; filename="activity.csv"'
    assert (first["id"], first["model"], first["error_msg"]) == ("1", 'a "quoted", name', "two\nlines")
    assert (first["metadata"], first["streamed"], first["measured"]) == ('{"a":"1","b":"2"}', "true", "false")
    assert (second["cache_tokens"], second["prompt_per_second"], second["ttft_ms"]) == ("-1", "100.5", "-1")
    assert datetime.fromisoformat(second["timestamp"]) == datetime.fromtimestamp(PLAIN.time, UTC)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
async def test_no_text_becomes_a_formula_in_a_spreadsheet(start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    async with holding(record(model=evil, error_msg=evil, session_id=evil, client=evil)) as app:
        reply = await export(app, "format=csv")
    (line,) = csv.DictReader(io.StringIO(reply.body.decode(), newline=""))

    assert {line["model"], line["error_msg"], line["session_id"], line["client"]} == {f"'{evil}"}
    assert line["ttft_ms"] == "-1"


async def test_export_leaves_out_what_is_added_meanwhile() -> None:
    async with ActivityLog(StoreSettings(rows_in_memory=NEWEST)) as log:
        for _ in range(PIECE + 5):
            log.add(record())

        async def on_send(_message: Message) -> None:
            log.add(record())

        reply = await call(Router(routes(log)), path=EXPORT, on_send=on_send)

    assert len(reply.body.splitlines()) == PIECE + 5


async def test_export_is_sent_in_pieces_and_ends_when_the_client_leaves() -> None:
    async with holding(*[record()] * (10 * PIECE)) as app:
        reply = Reply()
        with anyio.fail_after(10):
            await call(app, path=EXPORT, disconnect_after=3, reply=reply)

    assert len(reply.messages) == 3
    assert [len(message["body"].splitlines()) for message in reply.messages[1:]] == [PIECE, PIECE]
    assert not reply.complete


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("format=xml", "format must be csv or jsonl"),
        ("order=up", "order must be asc or desc"),
        ("min_id=0", "min_id must be >= 1"),
    ],
)
async def test_export_tells_what_is_wrong_before_it_begins(query: str, message: str) -> None:
    async with holding() as app:
        with pytest.raises(RequestError, match=re.escape(message)):
            await call(app, path=EXPORT, query=query.encode())


@pytest.mark.parametrize("path", [PAGE, STATS, EXPORT])
async def test_other_methods_are_refused(path: str) -> None:
    async with holding() as app:
        reply = await call(app, "DELETE", path)

    assert reply.status == 405


async def test_head_of_an_export_has_no_body() -> None:
    async with holding(*[record()] * 3) as app:
        reply = await call(app, "HEAD", EXPORT)

    assert (reply.status, reply.body) == (200, b"")
