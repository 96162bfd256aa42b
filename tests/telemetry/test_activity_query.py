from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import example, given, strategies as st

from app.telemetry.activity_query import (
    PERCENTILES,
    SORT_COLUMNS,
    Filter,
    Histogram,
    Moment,
    histogram,
    last_id,
    page,
    piece,
    stats,
)
from app.telemetry.activity_record import ActivityRecord, row_of
from app.telemetry.store import Database
from tests.telemetry.activity_records import record


@contextmanager
def holding(*records: ActivityRecord) -> Iterator[sqlite3.Connection]:
    """Gives a connection to a store with *records*, whose ids count from 1."""
    with closing(Database(None)) as database:
        database.insert([row_of(number, each) for number, each in enumerate(records, 1)])
        with database.reader() as connection:
            yield connection


def found(which: Filter, *records: ActivityRecord, sort: str = "id", descending: bool = False) -> list[int]:
    with holding(*records) as connection:
        answer = page(connection, which, sort=sort, descending=descending, limit=100, offset=0)
    assert answer.total == len(answer.records)
    return [each.id for each in answer.records]


RECORDS = (
    record(time=100.25, model="a", status=200, session_id="s1", key_fingerprint="k1", req_path="/v1/chat/completions"),
    record(time=100.75, model="b", status=404, error_msg="no router for requested model", req_path="/v1/embeddings"),
    record(time=101.0, model="c", status=429, error_msg="Too many 100%_requests\\", session_id="s2"),
    record(time=102.5, model="a", status=500, error_msg="exited with 3", session_id="s1", key_fingerprint="k2"),
)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Filter(), [1, 2, 3, 4]),
        (Filter(models=("a",)), [1, 4]),
        (Filter(models=("a", "c", "z")), [1, 3, 4]),
        (Filter(models=("z",)), []),
        (Filter(start=Moment(101, 0.0)), [3, 4]),
        (Filter(start=Moment(100, 0.5)), [2, 3, 4]),
        (Filter(start=Moment(100, 0.75)), [2, 3, 4]),
        (Filter(end=Moment(100, 0.0)), [1, 2]),
        (Filter(end=Moment(100, 0.5)), [1]),
        (Filter(end=Moment(102, 0.5)), [1, 2, 3, 4]),
        (Filter(end=Moment(102, 0.25)), [1, 2, 3]),
        (Filter(start=Moment(100, 0.5), end=Moment(101, 0.0)), [2, 3]),
        (Filter(min_id=3), [3, 4]),
        (Filter(max_id=3), [1, 2, 3]),
        (Filter(min_id=2, max_id=2), [2]),
        (Filter(statuses=((400, 499),)), [2, 3]),
        (Filter(statuses=((404, 404), (500, 599))), [2, 4]),
        (Filter(session_id="s1"), [1, 4]),
        (Filter(session_id="S1"), []),
        (Filter(key_fingerprint="k2"), [4]),
        (Filter(path="EMBED"), [2]),
        (Filter(error="router"), [2]),
        (Filter(error="100%_"), [3]),
        (Filter(error="%"), [3]),
        (Filter(error="_"), [3]),
        (Filter(error="\\"), [3]),
        (Filter(models=("a",), statuses=((500, 599),), session_id="s1", error="3"), [4]),
    ],
)
def test_filter_finds_what_fits_all_of_it(which: Filter, expected: list[int]) -> None:
    assert expected == found(which, *RECORDS)


FIELDS = {
    "time": "time",
    "model": "model",
    "req_path": "req_path",
    "resp_status_code": "status",
    "resp_content_type": "resp_content_type",
    "cached": "cached_tokens",
    "prompt": "input_tokens",
    "generated": "output_tokens",
    "drafted": "drafted_tokens",
    "prompt_speed": "prompt_per_second",
    "gen_speed": "tokens_per_second",
    "duration": "duration_ms",
    "ttft": "ttft_ms",
    "queued": "queued_ms",
    "swap": "swap_ms",
}


@pytest.mark.parametrize(("key", "field"), FIELDS.items())
def test_records_are_sorted_by_each_key_and_then_by_id(key: str, field: str) -> None:
    low, high = ("a", "b") if isinstance(getattr(RECORDS[0], field), str) else (1, 2)
    records = [record(**{field: value}) for value in (high, low, high, low)]

    assert found(Filter(), *records, sort=key) == [2, 4, 1, 3]
    assert found(Filter(), *records, sort=key, descending=True) == [3, 1, 4, 2]


def test_every_sort_key_is_tested() -> None:
    assert SORT_COLUMNS.keys() == {"id", *FIELDS}


def test_parts_of_a_second_sort() -> None:
    assert found(Filter(), *(record(time=100 + part) for part in (0.5, 0.25, 0.75)), sort="time") == [2, 1, 3]


def test_page_is_a_part_and_knows_the_whole() -> None:
    with holding(*(record() for _ in range(10))) as connection:
        answer = page(connection, Filter(min_id=3), sort="id", descending=True, limit=3, offset=6)

    assert [each.id for each in answer.records] == [4, 3]
    assert answer.total == 8


@pytest.mark.parametrize("descending", [False, True])
def test_walk_by_id_meets_every_record_once(descending: bool) -> None:
    with holding(*(record(status=200 + number % 2) for number in range(20))) as connection:
        assert last_id(connection) == 20
        met: list[int] = []
        after = 19 if descending else 0
        while got := piece(
            connection, Filter(statuses=((201, 201),)), after=after, last=18, descending=descending, limit=4
        ):
            met += [each.id for each in got]
            after = met[-1]

    assert sorted(range(2, 19, 2), reverse=descending) == met


def test_last_id_of_nothing_is_zero() -> None:
    with holding() as connection:
        assert last_id(connection) == 0


def brute_force(values: list[float]) -> Histogram | None:
    """Works out a histogram the plain way, from the specification's words."""
    values = sorted(value for value in values if value > 0)
    if not values:
        return None
    low, high = values[0], values[-1]
    if low == high:
        return Histogram((len(values),), low, high, 0.0, (low, low, low))
    number = max(5, min(20, math.ceil(math.log2(len(values))) + 1))
    size = (high - low) / number
    if size == 0:
        return Histogram((len(values),), low, high, 0.0, (low, low, low))
    bins = [0] * number
    for value in values:
        bins[min(int((value - low) / size), number - 1)] += 1
    percentiles = []
    for share in PERCENTILES:
        place = share * (len(values) - 1)
        below, above = values[math.floor(place)], values[math.ceil(place)]
        percentiles.append(below + (above - below) * (place - math.floor(place)))
    return Histogram(tuple(bins), low, high, size, tuple(percentiles))


@given(
    st.lists(
        st.one_of(st.floats(-1, 1000), st.sampled_from([0.0, -1.0, 1.0, 2.0, 3.0]), st.floats(0, 1e14)), max_size=80
    )
)
@example([5e-324, 1e-323])
@example([1.0] * 40 + [2.0])
def test_histogram_is_that_of_the_plain_way(values: list[float]) -> None:
    with holding(*(record(tokens_per_second=value) for value in values)) as connection:
        assert brute_force(values) == histogram(connection, "tokens_per_second", Filter())


@pytest.mark.parametrize(
    ("count", "bins"),
    [(2, 5), (16, 5), (17, 6), (32, 6), (33, 7), (1 << 12, 13)],
)
def test_number_of_bins_grows_with_the_values(count: int, bins: int) -> None:
    with holding(*(record(tokens_per_second=1.0 + number) for number in range(count))) as connection:
        spread = histogram(connection, "tokens_per_second", Filter())

    assert spread is not None
    assert bins == len(spread.bins)
    assert count == sum(spread.bins)


def test_statistics_sum_what_is_known_and_nothing_else() -> None:
    records = [
        record(input_tokens=10, output_tokens=1, cached_tokens=-1, prompt_per_second=-1.0, tokens_per_second=2.0),
        record(input_tokens=20, output_tokens=-1, cached_tokens=5, prompt_per_second=0.0, tokens_per_second=4.0),
        record(model="b", input_tokens=-1, output_tokens=4, cached_tokens=0, ttft_ms=7.0, queued_ms=0.0, swap_ms=9.0),
    ]
    with holding(*records) as connection:
        both = stats(connection, Filter())
        first = stats(connection, Filter(models=("a",)))

    assert (both.requests, both.input_tokens, both.output_tokens, both.cached_tokens) == (3, 30, 5, 5)
    assert both.ttft == Histogram((1,), 7.0, 7.0, 0.0, (7.0, 7.0, 7.0))
    assert both.queued is None
    assert both.swap is not None
    assert (first.requests, first.input_tokens, first.output_tokens, first.cached_tokens) == (2, 30, 1, 5)
    assert first.prompt_speed is None
    assert first.speed is not None
    assert first.speed.percentiles == pytest.approx((3.0, 3.9, 3.98))


def test_statistics_of_nothing_are_zeros() -> None:
    with holding() as connection:
        its = stats(connection, Filter())

    assert (its.requests, its.input_tokens, its.speed, its.ttft) == (0, 0, None, None)


def test_filters_use_indexes() -> None:
    """The page's cost with many records is that of the plan."""

    def plan(which: Filter) -> str:
        condition, values = which.condition()
        rows = connection.execute(f"EXPLAIN QUERY PLAN SELECT id FROM activity WHERE {condition}", values)
        return " ".join(row[3] for row in rows)

    with holding(*RECORDS) as connection:
        assert "activity_by_model" in plan(Filter(models=("a",)))
        assert "activity_by_session" in plan(Filter(session_id="s1"))
        assert "activity_by_time" in plan(Filter(start=Moment(1, 0.0)))
        assert "activity_by_time" in plan(Filter(start=Moment(1, 0.5), end=Moment(2, 0.5)))
        assert "PRIMARY KEY" in plan(Filter(min_id=7))
