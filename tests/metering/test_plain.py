"""The shortcut for usual answers says what the extractors would say, or nothing."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, strategies as st

from app.metering.content import has_content
from app.metering.documents import document
from app.metering.extractors import extract
from app.metering.meter import usage_of
from app.metering.plain import plain_content, plain_usage
from app.metering.stream import Stream
from app.metering.usage import Tally, Usage
from tests.metering.documents import ALL, CASES, DONE, TIMINGS, Case, chunk, events, found

USAGE: dict[str, object] = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
CHOICE: dict[str, object] = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}

NUMBERS: st.SearchStrategy[object] = st.sampled_from([0, 1, 7, 12.0, 2.5, -1, 2**53, 2**64, True, None, "1", [1], {}])
WORDS: st.SearchStrategy[object] = st.sampled_from(
    ["", "stop", "none", "response", "error", None, 1, True, {"message": "no"}, {"usage": USAGE}, []]
)
COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
)
DETAILS = st.dictionaries(st.just("cached_tokens"), NUMBERS) | st.none() | st.just([1])
OTHERS = (
    "metrics", "response", "message", "delta", "status", "incomplete_details", "stop_reason", "stop_type", "stopped_eos",
    "stopped_word", "stopped_limit", "error", "detail", "type", "object", "content", "choices", "usage", "timings",
)  # fmt: skip


def changed(
    usual: dict[str, object], changes: dict[str, object], details: dict[str, object], gone: set[str]
) -> dict[str, object]:
    return {name: value for name, value in (usual | changes | details).items() if name not in gone}


USAGES = st.builds(
    changed,
    st.just(USAGE),
    st.dictionaries(st.sampled_from(COUNTS), NUMBERS, max_size=2),
    st.dictionaries(st.sampled_from(["prompt_tokens_details", "input_tokens_details"]), DETAILS, max_size=1),
    st.sets(st.sampled_from(COUNTS), max_size=2),
)
TIMES = st.builds(
    changed,
    st.just(TIMINGS),
    st.dictionaries(st.sampled_from(sorted(TIMINGS)), NUMBERS, max_size=2),
    st.just({}),
    st.sets(st.sampled_from(sorted(TIMINGS)), max_size=2),
)
CHOICES = st.lists(st.builds(lambda end: CHOICE | {"finish_reason": end}, WORDS), max_size=2)
ANSWERS = st.builds(
    changed,
    st.fixed_dictionaries({"usage": USAGES}, optional={"timings": TIMES, "choices": CHOICES}),
    st.dictionaries(st.sampled_from(OTHERS), WORDS, max_size=2),
    st.just({}),
    st.just(set()),
)


def extracted(body: bytes) -> Usage:
    tally = Tally()
    read = document(body)
    if read is not None:
        extract(read, tally)
    return tally.usage()


@given(ANSWERS)
def test_says_what_the_extractors_say_or_nothing(answer: dict[str, object]) -> None:
    body = json.dumps(answer).encode()

    assert plain_usage(body) in (None, extracted(body))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_says_of_every_dialect_what_the_extractors_say_or_nothing(case: Case) -> None:
    assert plain_usage(case.body) in (None, extracted(case.body))


def test_reads_the_usual_answer() -> None:
    body = json.dumps({"choices": [CHOICE], "usage": USAGE}).encode()

    assert plain_usage(body) == found(12, 9, stop="stop")


def test_reads_a_vector_whose_tokens_are_all_input() -> None:
    body = json.dumps({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 12, "total_tokens": 12}}).encode()

    assert plain_usage(body) == found(12)


def test_reads_the_timings_beside_it() -> None:
    times = {"prompt_n": 7, "prompt_ms": 12.5, "predicted_n": 8, "predicted_ms": 90, "cache_n": 5}
    body = json.dumps({"choices": [], "usage": USAGE, "timings": times}).encode()

    assert plain_usage(body) == found(7, 8, 5, worked_ms=102.5)


def test_reads_what_was_drafted() -> None:
    times = {"prompt_n": 7, "prompt_ms": 1, "predicted_n": 8, "predicted_ms": 1, "draft_n": 4, "draft_n_accepted": 3}
    body = json.dumps({"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 2}}, "timings": times}).encode()

    assert plain_usage(body) == found(7, 8, 2, drafted=4, accepted=3, worked_ms=2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"usage":{}}',
        b'{"usage":{"total_tokens":5}}',
        b'{"usage":{"input_tokens":5}}',
        b'{"usage":{"prompt_tokens":-5}}',
        b'{"usage":{"prompt_tokens":5},"timings":{}}',
        b'{"usage":{"prompt_tokens":5},"error":{"message":"no"}}',
    ],
)
def test_leaves_all_else_to_the_extractors(body: bytes) -> None:
    assert plain_usage(body) is None


DELTAS = st.dictionaries(st.sampled_from(["role", "content", "reasoning_content", "tool_calls"]), WORDS, max_size=3)
PIECES = st.builds(
    changed,
    st.builds(lambda delta: CHOICE | {"delta": delta, "finish_reason": None}, DELTAS),
    st.dictionaries(st.sampled_from(["finish_reason", "delta", "text"]), WORDS, max_size=1),
    st.just({}),
    st.just(set()),
)
CHUNKS = st.builds(
    changed,
    st.fixed_dictionaries({"choices": st.lists(PIECES, min_size=1, max_size=2)}),
    st.dictionaries(st.sampled_from(OTHERS), WORDS, max_size=1),
    st.just({}),
    st.just(set()),
)


@given(CHUNKS)
def test_finds_in_a_chunk_what_the_extractors_find_or_nothing(chunk: dict[str, object]) -> None:
    body = json.dumps(chunk).encode()
    content = plain_content(body)

    if content is not None:
        read = document(body)
        assert read is not None
        assert has_content(read) == content
        assert extracted(body) == Usage()


@pytest.mark.parametrize(
    ("delta", "content"),
    [
        ({"role": "assistant", "content": None}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"content": "a"}, True),
        ({"reasoning_content": "a", "content": None}, True),
        ({"tool_calls": []}, None),
    ],
)
def test_reads_the_usual_chunk(delta: dict[str, object], content: bool | None) -> None:
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None}

    assert plain_content(json.dumps(chunk).encode()) is content


def ended(*said: object, opening: object = None) -> Stream:
    """Returns a stream that has had content, and *said* this at its end."""
    stream = Stream()
    stream.add(events(opening or chunk({"content": "a"}), chunk({"content": "b"}), *said) + DONE)
    return stream


@given(st.lists(st.one_of(CHUNKS, ANSWERS), max_size=4))
def test_end_of_a_stream_says_what_the_extractors_say_or_nothing(said: list[object]) -> None:
    stream = ended(*said)

    assert stream.plain_usage() in (None, stream.close().usage())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], Usage()),
        ([chunk({}, finish="length")], Usage(stop_reason="length")),
        ([chunk({}, finish="stop"), chunk(usage=USAGE)], found(12, 9, stop="stop")),
        ([chunk({}, finish="stop", usage=USAGE)], found(12, 9, stop="stop")),
        ([chunk(usage=USAGE)], found(12, 9)),
        ([chunk(usage=USAGE), chunk(usage=USAGE)], None),
        ([chunk({}, finish="stop"), {"error": {"message": "bad"}}], None),
        ([{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}], None),
        ([chunk({}, finish="stop"), "no object"], None),
    ],
)
def test_reads_the_usual_end_of_a_stream(said: list[object], expected: Usage | None) -> None:
    assert ended(*said).plain_usage() == expected


@pytest.mark.parametrize("more", [{"usage": USAGE}, {"error": "bad"}])
def test_leaves_a_stream_to_the_extractors_that_has_said_something_where_it_opened(more: dict[str, object]) -> None:
    assert ended(opening=chunk({"content": "a"}) | more).plain_usage() is None


def test_leaves_a_stream_without_content_to_the_extractors() -> None:
    stream = Stream()
    stream.add(events(chunk({}, finish="stop")))

    assert stream.plain_usage() is None


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_answer_in_one_piece_costs_what_it_costs_in_many(case: Case) -> None:
    assert usage_of(case.body, case.path, case.status, case.content_type) == case.usage


def test_answer_in_one_piece_may_be_encoded() -> None:
    body = gzip.compress(json.dumps({"usage": USAGE}).encode())

    assert usage_of(body, "/v1/x", 200, "application/json", "gzip") == found(12, 9)
    assert usage_of(b"", "/v1/x", 200, "application/json", "gzip") == Usage()
