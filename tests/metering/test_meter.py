from __future__ import annotations

import gzip
import json

import pytest

from app.metering.meter import Meter
from app.metering.usage import Usage
from tests.metering.documents import DONE, STREAM, chunk, events

CHAT = "/v1/chat/completions"


def first_content(*chunks: bytes, content_type: str = STREAM, encoding: str = "", status: int = 200) -> int | None:
    """Returns the number of the chunk in which the content begins."""
    meter = Meter(CHAT, status, content_type, encoding)
    assert not meter.has_content
    for number, each in enumerate(chunks):
        meter.feed(each)
        if meter.has_content:
            return number
    return None


OPENING = events(chunk({"role": "assistant", "content": ""}))


@pytest.mark.parametrize(
    "data",
    [
        chunk({"content": " a"}),
        chunk({"role": "assistant", "reasoning_content": "a"}),
        chunk({"tool_calls": [{"index": 0}]}),
        {"choices": [{"text": ""}, {"text": "a"}]},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "a"}},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.function_call_arguments.delta", "delta": "{"},
        {"type": "image_generation.partial_image", "b64_json": "a"},
        {"type": "speech.audio.delta", "audio": "a"},
        {"content": "a", "stop": False},
        {"something": "else"},
    ],
    ids=str,
)
def test_content_begins_with_the_first_event_that_carries_some(data: object) -> None:
    assert first_content(b": ping\n\n", OPENING, events(data)) == 2


@pytest.mark.parametrize(
    "data",
    [
        chunk({"role": "assistant", "content": None}),
        chunk({}, finish="stop"),
        chunk(usage={"prompt_tokens": 1}),
        {"choices": 1},
        {"choices": [{"text": "", "delta": 3}]},
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
        {"type": "ping"},
        {"type": "response.created", "response": {}},
        {"type": "response.output_item.added", "item": {}},
        {"content": "", "stop": False},
        {"error": {"message": "no"}},
        "text",
    ],
    ids=str,
)
def test_what_opens_and_closes_a_stream_is_no_content(data: object) -> None:
    assert first_content(events(data), DONE) is None


def test_content_is_seen_when_its_event_is_over() -> None:
    event = events(chunk({"content": " a"}))

    assert first_content(OPENING + event[:-1], event[-1:]) == 1


def test_content_of_an_encoded_stream_is_seen() -> None:
    assert first_content(gzip.compress(OPENING + events(chunk({"content": " a"}))), encoding="gzip") == 0


def test_content_of_what_is_no_stream_is_its_first_byte() -> None:
    assert first_content(b"", b" ", b"{", content_type="application/json") == 2
    assert first_content(b"", b"RIFF", content_type="audio/wav") == 1


def test_content_of_what_cannot_be_read_is_whatever_comes() -> None:
    assert first_content(b"?", content_type=STREAM, encoding="compress") == 0


def test_the_first_content_and_the_end_may_come_at_once() -> None:
    meter = Meter(CHAT, 200, STREAM)
    words = [chunk({"content": "a"})] * 100
    meter.feed(OPENING + events(*words, chunk({}, finish="stop", usage={"completion_tokens": 100})) + DONE)

    assert (meter.has_content, meter.finish().output_tokens) == (True, 100)


def test_usage_in_the_middle_of_a_long_stream_is_let_by() -> None:
    """The price of not looking at every event; no dialect says it there."""
    words = events(*[chunk({"content": "a"})] * 100)
    meter = Meter(CHAT, 200, STREAM)
    for each in (words, events(chunk(usage={"completion_tokens": 1})), words):
        meter.feed(each)

    assert meter.finish() == Usage()


def test_an_encoding_that_is_not_known_costs_the_usage_only() -> None:
    meter = Meter(CHAT, 200, "application/json", "gzip, br")
    meter.feed(b'{"usage": {"prompt_tokens": 1}}')

    assert meter.finish() == Usage()


def test_an_error_in_an_encoding_that_is_not_known_is_told_by_its_status() -> None:
    assert Meter(CHAT, 503, "application/json", "compress").finish() == Usage(error_message="503 Service Unavailable")


def test_a_damaged_answer_is_told_and_not_believed() -> None:
    meter = Meter(CHAT, 200, STREAM, "gzip")
    meter.feed(gzip.compress(events(chunk(usage={"prompt_tokens": 1})))[:-8] + b"damaged!")
    meter.feed(b"more")
    usage = meter.finish()

    assert usage == Usage(error_message=usage.error_message)
    assert usage.error_message.startswith("response decompression failed: Error -3")


def test_a_bomb_is_told() -> None:
    meter = Meter(CHAT, 200, "application/json", "gzip")
    meter.feed(gzip.compress(b" " * (1 << 25)))

    assert "response decompression failed" in meter.finish().error_message


def test_an_encoded_stream_that_breaks_off_says_what_it_had_said() -> None:
    opening = events({"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}})
    meter = Meter("/v1/messages", 200, STREAM, "gzip")
    meter.feed(gzip.compress(opening)[:-4])
    usage = meter.finish()

    assert (usage.found, usage.input_tokens) == (True, 25)
    assert usage.error_message == "response decompression failed: unexpected end of data"


@pytest.mark.parametrize("damage", [b"no gzip", gzip.compress(b'{"error": "bad"}')[:-9]])
def test_a_damaged_error_is_told_as_such(damage: bytes) -> None:
    meter = Meter(CHAT, 500, "application/json", "gzip")
    meter.feed(damage)

    assert meter.finish().error_message.startswith("response decode failed: ")


def test_absurd_nesting_is_no_document() -> None:
    for body in (b'{"usage": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 200_000):
        meter = Meter("/infill", 200, "application/json")
        meter.feed(body)

        assert meter.finish() == Usage()


def test_nesting_within_what_is_read_is_survived() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    for member in (b"usage", b"choices", b"error"):
        meter = Meter(CHAT, 200, "application/json")
        meter.feed(b'{"%b": %b, "stop_reason": "stop"}' % (member, deep))

        assert meter.finish().found is False


def test_text_that_is_not_utf8_is_no_text() -> None:
    meter = Meter(CHAT, 200, "application/json")
    meter.feed(b'{"stop_type": "\xff", "usage": {"prompt_tokens": 3}}')
    usage = meter.finish()

    assert (usage.stop_reason, usage.input_tokens) == ("", 3)


def test_a_long_stream_is_not_kept() -> None:
    import tracemalloc

    event = events(chunk({"content": " a"}))
    meter = Meter(CHAT, 200, STREAM)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            meter.feed(bytes(bytearray(event)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 20_000 * len(event) > 3_000_000
    assert held < 40_000


def test_json_of_a_usage_has_the_names_of_the_record() -> None:
    from app.metering.usage import tokens_json

    record = tokens_json(Usage(True, 4, 3, 7, 9, 6, 10.5, 20.25))

    assert json.loads(json.dumps(record)) == {
        "cache_tokens": 7,
        "draft_tokens": 9,
        "draft_acc_tokens": 6,
        "input_tokens": 4,
        "output_tokens": 3,
        "prompt_per_second": 10.5,
        "tokens_per_second": 20.25,
    }


def test_what_is_not_known_is_never_added() -> None:
    from app.metering.usage import total

    assert total([3, -1, 4]) == 7
    assert total([-1, -1.0]) == 0
