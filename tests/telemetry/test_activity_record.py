from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from app.telemetry.activity_record import (
    COLUMNS,
    LONGEST,
    METADATA_LONGEST,
    ActivityRecord,
    record_of,
    row_of,
    without_surrogates,
)
from tests.telemetry.activity_records import record

texts = st.text(max_size=20)
counts = st.integers(-1, 1 << 53).filter(lambda number: number < 1 << 53)
measures = st.floats(-1, 1e14)


@given(
    st.builds(
        ActivityRecord,
        time=st.floats(0, 4e9).map(lambda moment: math.floor(moment * 1024) / 1024),
        model=texts,
        req_path=texts,
        id=st.integers(1, 1 << 62),
        method=texts,
        status=st.integers(0, 999),
        resp_content_type=texts,
        duration_ms=counts,
        error_msg=texts,
        metadata=st.dictionaries(texts, texts, max_size=3),
        input_tokens=counts,
        output_tokens=counts,
        cached_tokens=counts,
        drafted_tokens=counts,
        accepted_tokens=counts,
        prompt_per_second=measures,
        tokens_per_second=measures,
        measured=st.booleans(),
        key_fingerprint=texts,
        client=texts,
        session_id=texts,
        streamed=st.booleans(),
        ttft_ms=measures,
        queued_ms=measures,
        swap_ms=measures,
        stop_reason=texts,
        req_bytes=counts,
        resp_bytes=counts,
    )
)
def test_row_holds_all_of_a_record(its: ActivityRecord) -> None:
    row = row_of(its.id, its)

    assert len(row) == len(COLUMNS)
    assert msgspec.structs.asdict(its) == msgspec.structs.asdict(record_of(row))


@pytest.mark.parametrize("field", ["model", "req_path", "error_msg", "session_id", "client", "stop_reason", "method"])
def test_text_of_any_length_is_cut(field: str) -> None:
    row = row_of(1, record(**{field: "é" * 100_000}))

    assert getattr(record_of(row), field) == "é" * LONGEST


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -7.0])
@pytest.mark.parametrize("field", ["prompt_per_second", "tokens_per_second", "ttft_ms", "queued_ms", "swap_ms"])
def test_measure_that_cannot_be_is_unknown(field: str, value: float) -> None:
    assert getattr(record_of(row_of(1, record(**{field: value}))), field) == -1


@pytest.mark.parametrize("value", [1 << 53, 1 << 200, -2, -(1 << 200)])
@pytest.mark.parametrize("field", ["input_tokens", "cached_tokens", "duration_ms", "resp_bytes"])
def test_count_that_cannot_be_is_unknown(field: str, value: int) -> None:
    assert getattr(record_of(row_of(1, record(**{field: value}))), field) == -1


def test_metadata_that_are_too_long_are_left_out_whole() -> None:
    kept = {"a": "x" * (METADATA_LONGEST - 8)}

    assert kept == record_of(row_of(1, record(metadata=kept))).metadata
    assert record_of(row_of(1, record(metadata={"a": "x" * (METADATA_LONGEST - 7)}))).metadata == {}


@pytest.mark.parametrize("text", ["", "{}", "null", "[1]", '{"a":1}', "{"])
def test_metadata_that_others_wrote_otherwise_are_none(text: str) -> None:
    row = list(row_of(1, record()))
    row[COLUMNS.index("metadata_json")] = text

    assert record_of(tuple(row)).metadata == {}


def test_cells_of_other_types_are_as_good_as_empty() -> None:
    its = record_of((1, *(None for _ in COLUMNS[1:])))

    assert (its.model, its.status, its.ttft_ms, its.measured, its.metadata) == ("", -1, -1.0, False, {})


def test_half_a_surrogate_pair_is_written_as_its_escape() -> None:
    row = without_surrogates(row_of(1, record(model="a\ud800b")))

    assert record_of(row).model == "a\\ud800b"


def test_metadata_are_kept_as_json_with_sorted_keys() -> None:
    row: Any = row_of(1, record(metadata={"b": "2", "a": "1"}))

    assert list(json.loads(row[COLUMNS.index("metadata_json")])) == ["a", "b"]
