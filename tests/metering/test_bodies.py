"""Bodies that are too long to be kept whole: the cost is found at either end, and only there where it is the answer's own."""

from __future__ import annotations

import json

import pytest

from app.metering.bodies import EDGE, WHOLE, Body
from app.metering.meter import Meter
from app.metering.usage import Usage
from tests.metering.documents import give

VECTORS = [{"embedding": [0.123456789] * 1000, "index": n} for n in range(200)]
USAGE = {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}, "total_tokens": 7}
TIMINGS = {"prompt_n": 5, "predicted_n": 6, "prompt_per_second": 7.5, "predicted_per_second": 8.5}


def metered(value: object, path: str = "/v1/embeddings", size: int = 50_000) -> Usage:
    body = json.dumps(value, indent=1).encode() + b"\n"
    assert len(body) > WHOLE
    meter = Meter(path, 200, "application/json")
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    give(meter, pieces)
    usage = meter.finish()
    fed = Meter(path, 200, "application/json")
    for piece in pieces:
        fed.feed(piece)
    assert fed.finish() == usage
    return usage


@pytest.mark.parametrize("size", [999, 50_000, 100 * WHOLE])
def test_usage_at_either_end_is_found(size: int) -> None:
    for value in ({"model": "m", "usage": USAGE, "data": VECTORS}, {"data": VECTORS, "usage": USAGE, "model": "m"}):
        usage = metered(value, size=size)

        assert (usage.found, usage.input_tokens, usage.cached_tokens) == (True, 7, 2)


def test_what_stands_beside_it_is_found_too() -> None:
    usage = metered({"usage": USAGE, "data": VECTORS, "stop_reason": "limit", "timings": TIMINGS})

    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (5, 6, 2)
    assert usage.generated_per_second == 8.5


@pytest.mark.parametrize(
    "value",
    [
        {"data": VECTORS, "last": {"usage": USAGE}},
        {"first": {"usage": USAGE}, "data": VECTORS},
        {"first": {"usage": {"a": [{}] * 20}}, "data": VECTORS},
        {"data": VECTORS, "text": '"usage": {"prompt_tokens": 1}}'},
        {"data": VECTORS[:100], "usage": USAGE, "more": VECTORS[100:]},
        {"data": VECTORS},
    ],
    ids=["within the end", "within the start", "many braces", "in a text", "in the middle", "nowhere"],
)
def test_what_is_not_known_to_be_the_answers_own_is_not_found(value: object) -> None:
    assert metered(value) == Usage()


def test_the_last_element_of_a_long_infill_is_found() -> None:
    usage = metered([{"content": VECTORS}, {"content": "x", "timings": TIMINGS, "truncated": False}], "/infill")

    assert (usage.input_tokens, usage.output_tokens) == (5, 6)


def test_a_beginning_that_never_closes_is_let_be() -> None:
    meter = Meter("/v1/embeddings", 200)
    meter.feed(b'{"usage": [' + b"1, " * WHOLE)

    assert meter.finish() == Usage()


def test_of_a_long_body_only_the_ends_are_kept() -> None:
    body = Body()
    for _ in range(3000):
        body.add(b'{"a": 1}' * 1000)
    held = sum(map(len, [body._head, *body._older, *body._younger]))

    assert held < 3 * EDGE + 16_000
    assert body.beginning() == (b'{"a": 1}' * EDGE)[:EDGE]


def test_of_sounds_and_images_nothing_is_kept() -> None:
    body = Body()
    body.add(b"\n")
    body.add(b"\x89PNG" + bytes(1000))
    body.add(bytes(1000))

    assert body._younger == []
    assert body.has_content
