from __future__ import annotations

import gc
import gzip
import json
import logging
import os
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio
import msgpack  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from app.asgi import Body
from app.endpoints.captures import decoded
from app.telemetry import capture_record, capture_recorder, capture_segments, captures as module
from app.telemetry.capture_record import BrokenCapture, Capture, Packer, Parts, capture_of, kept, record_of, unpack
from app.telemetry.capture_recorder import Allowance, CaptureRecorder
from app.telemetry.capture_search import Found
from app.telemetry.captures import Captures
from tests.telemetry.capturing import JSON, idle, noise, record, running

pytestmark = pytest.mark.anyio

MIB = 1 << 20


def store(budget: int = 5 * MIB) -> Captures:
    return Captures(budget, decoded)


async def got(captures: Captures, number: int) -> Capture:
    capture = await captures.get(number)
    assert capture is not None
    return capture


# what is kept


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/v1/chat/completions", Parts(request_body=True, response_body=True)),
        ("/v1/audio/speech", Parts(request_body=True, response_body=False)),
        ("/v1/images/generations", Parts(request_body=True, response_body=False)),
        ("/sdapi/v1/txt2img", Parts(request_body=True, response_body=False)),
        ("/v1/audio/voices", Parts(request_body=False, response_body=True)),
        ("/v1/audio/transcriptions", Parts(request_body=False, response_body=True)),
        ("/v1/images/edits", Parts(request_body=False, response_body=False)),
        ("/sdapi/v1/img2img", Parts(request_body=False, response_body=False)),
        ("/audioapi/v1/tasks/run", Parts(request_body=True, response_body=True)),
        ("/v1/audio/speech/", Parts(request_body=True, response_body=True)),
    ],
)
async def test_rules_of_the_endpoints(path: str, parts: Parts) -> None:
    captures = store()
    record(captures, 1, path=path, request=b"asked", chunks=[b"ans", b"wer"])
    capture = await got(captures, 1)

    assert kept(path) == parts
    assert capture.req_body == (b"asked" if parts.request_body else None)
    assert capture.resp_body == (b"answer" if parts.response_body else None)
    assert (capture.req_size, capture.resp_size) == (5, 6)
    assert not capture.req_truncated
    assert not capture.resp_truncated


async def test_everything_is_kept_as_it_was() -> None:
    captures = store()
    record(
        captures, 7, request=b'{"a": 1}', request_headers=[(b"accept", b"*/*"), (b"accept", b"x")], status=201,
        headers=[(b"X-A", b"\xff")], chunks=[b"a", b"", b"b"], target=b"/v1/chat/completions?x=1",
    )  # fmt: skip
    capture = await got(captures, 7)

    assert (capture.method, capture.path, capture.target) == (
        "POST",
        "/v1/chat/completions",
        b"/v1/chat/completions?x=1",
    )
    assert list(map(tuple, capture.req_headers)) == [(b"accept", b"*/*"), (b"accept", b"x")]
    assert list(map(tuple, capture.resp_headers or ())) == [(b"X-A", b"\xff")]
    assert (capture.status, capture.req_body, capture.resp_body, capture.error) == (201, b'{"a": 1}', b"ab", "")
    assert capture.wait_ms >= 0
    assert capture.receive_ms >= 0


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize("is_packed", [True, False])
async def test_secrets_are_shown_nowhere(size: int, is_packed: bool) -> None:
    captures = store()
    record(
        captures, 1, request=b'{"api_key":"sk-123"}', request_headers=[(b"authorization", b"Bearer sk-123")],
        headers=[(b"set-cookie", b"sk-123")], chunks=[b'{"secret":', b'"sk-123"}', b" " * size],
        target=b"/v1/x?token=sk-123",
    )  # fmt: skip
    if is_packed:
        async with running(captures):
            await idle(captures)

    assert "sk-123" not in repr(await got(captures, 1))
    assert (await captures.search("sk-123")).ids == []
    assert (await captures.search("secret")).ids == [1]


async def test_bodies_that_are_not_there_are_none() -> None:
    captures = store()
    record(captures, 1, request=b"", chunks=[], method="GET")
    capture = await got(captures, 1)

    assert (capture.req_body, capture.resp_body) == (None, None)
    assert not capture.resp_truncated


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/audio/speech", "/v1/images/edits"])
async def test_body_of_an_error_is_kept_of_every_endpoint(path: str) -> None:
    captures = store()
    record(captures, 1, path=path, status=400, chunks=[b"no such voice"])

    assert (await got(captures, 1)).resp_body == b"no such voice"


async def test_long_body_of_an_error_is_cut() -> None:
    captures = store()
    record(captures, 1, status=500, chunks=[noise(50_000), noise(50_000)])
    capture = await got(captures, 1)

    assert capture.resp_body == (noise(50_000) * 2)[: capture_recorder.ERROR_LIMIT]
    assert capture.resp_truncated


async def test_exchange_that_ends_before_an_answer_is_kept_with_its_reason() -> None:
    captures = store()
    recorder = captures.recorder("POST", "/v1/x", JSON, Body(b"{}"))
    captures.add(1, recorder, "model 'a' exited with 3 while starting", 500)
    capture = await got(captures, 1)

    assert (capture.status, capture.error) == (500, "model 'a' exited with 3 while starting")
    assert (capture.resp_headers, capture.resp_body) == (None, None)


async def test_status_of_the_answer_is_not_replaced_by_its_failure() -> None:
    captures = store()
    recorder = captures.recorder("POST", "/v1/x", JSON, Body(b"{}"))
    recorder.head(200, JSON)
    recorder.chunk(b"half")
    captures.add(1, recorder, "the upstream closed the connection", 502)
    capture = await got(captures, 1)

    assert (capture.status, capture.resp_body, capture.error) == (200, b"half", "the upstream closed the connection")


async def test_spooled_request_body_is_left_out() -> None:
    captures = store()
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100)
        record(captures, 1, request=Body(b"", file, 100))
    capture = await got(captures, 1)

    assert (capture.req_body, capture.req_size, capture.req_truncated) == (None, 100, True)


async def test_long_request_body_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_recorder, "REQUEST_LIMIT", 10)
    captures = store()
    record(captures, 1, request=b"0123456789abc")
    capture = await got(captures, 1)

    assert (capture.req_body, capture.req_size, capture.req_truncated) == (b"0123456789", 13, True)


@pytest.mark.parametrize(
    "sizes", [[5 * MIB], [1, 5 * MIB], [3 * MIB, 3 * MIB], [200_000] * 30, [4 * MIB, 1], [100] * 50_000]
)
async def test_long_answer_is_cut_at_the_limit(sizes: Sequence[int]) -> None:
    captures = store(64 * MIB)
    body = noise(sum(sizes))
    starts = [sum(sizes[:index]) for index in range(len(sizes))] if len(sizes) < 100 else range(0, len(body), 100)
    recorder = captures.recorder("POST", "/v1/x", JSON, Body(b""))
    recorder.head(200, JSON)
    for start, size in zip(starts, sizes, strict=True):
        recorder.chunk(body[start : start + size])
    recorder.finish()
    capture = recorder.capture(decoded)
    recorder.close()

    assert capture.resp_body == body[: capture_recorder.RESPONSE_LIMIT]
    assert (capture.resp_size, capture.resp_truncated) == (len(body), True)


@given(st.lists(st.integers(0, 3 * capture_recorder.STEP), max_size=12), st.integers(0, 6), st.booleans())
def test_recorders_hold_no_more_than_they_may(sizes: list[int], steps: int, is_stream: bool) -> None:
    allowance = Allowance(steps * capture_recorder.STEP)
    recorder = CaptureRecorder(allowance, "POST", "/v1/x", JSON, Body(b""))
    recorder.head(200, JSON)
    body = noise(sum(sizes))
    position = 0
    take: Callable[[bytes], None] = recorder.chunk
    room = 0
    for size in sizes:
        piece = body[position : position + size]
        position += size
        if size <= room:
            take(piece)
            room -= size
        else:
            recorder.chunk(piece)
            take, room = recorder.intake() if is_stream else (recorder.chunk, 0)
        assert allowance.left >= 0
    recorder.finish()
    capture = recorder.capture(decoded)
    had = capture.resp_body or b""

    assert body.startswith(had)
    assert len(had) <= capture_recorder.FREE + steps * capture_recorder.STEP
    assert capture.resp_truncated == (len(had) < len(body))
    assert len(had) == len(body) or len(had) + max(sizes) + capture_recorder.STEP > steps * capture_recorder.STEP
    recorder.close()
    recorder.close()
    assert allowance.left == steps * capture_recorder.STEP


# answers that come encoded

TEXT = json.dumps({"answer": "word " * 1000, "api_key": "sk-1"}).encode()

REDACTED = TEXT.replace(b"sk-1", b"[REDACTED]")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(TEXT, mtime=0)),
        (b"GZIP", gzip.compress(TEXT, mtime=0)),
        (b"deflate", zlib.compress(TEXT)),
        (b"zstd", zstandard.compress(TEXT)),
        (b"identity", TEXT),
    ],
)
async def test_answer_is_decoded_and_its_secrets_taken_out(encoding: bytes, body: bytes) -> None:
    captures = store()
    async with running(captures):
        record(captures, 1, headers=[*JSON, (b"Content-Encoding", encoding)], chunks=[body[:100], body[100:]])
        assert captures.has(1)
        assert (await got(captures, 1)).resp_body == REDACTED  # though it is not packed yet
        await idle(captures)
        capture = await got(captures, 1)

    assert (capture.resp_body, capture.resp_size) == (REDACTED, len(body))
    names = [name for name, _ in capture.resp_headers or ()]
    assert names == ([b"content-type", b"Content-Encoding"] if encoding == b"identity" else [b"content-type"])


@pytest.mark.parametrize(("encoding", "body"), [(b"gzip", b"no gzip at all"), (b"rot13", b"x"), (b"gzip, zstd", b"x")])
async def test_answer_that_cannot_be_decoded_is_kept_as_it_came(encoding: bytes, body: bytes) -> None:
    captures = store()
    record(captures, 1, headers=[(b"content-encoding", encoding)], chunks=[body])
    capture = await got(captures, 1)

    assert capture.resp_body == body
    assert list(map(tuple, capture.resp_headers or ())) == [(b"content-encoding", encoding)]


async def test_answer_that_becomes_too_long_is_cut() -> None:
    captures = store()
    text = noise(3 * MIB).hex().encode()
    record(captures, 1, headers=[(b"content-encoding", b"gzip")], chunks=[gzip.compress(text, 1)])
    capture = await got(captures, 1)

    assert capture.resp_truncated
    assert capture.resp_body == text[: capture_recorder.RESPONSE_LIMIT]


async def test_bomb_is_kept_as_it_came() -> None:
    captures = store()
    bomb = gzip.compress(bytes(20 * MIB))
    record(captures, 1, headers=[(b"content-encoding", b"gzip")], chunks=[bomb])

    assert (await got(captures, 1)).resp_body == bomb


# the budget


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | st.tuples(st.integers(1, 12), st.integers(0, 4000)) | st.integers(1, 12), max_size=40),
    st.integers(0, 24_000),
)
def test_budget_is_kept_and_the_oldest_go_first(steps: list[tuple[int, int] | int | None], budget: int) -> None:
    """A step adds a capture of an id and a size, deletes one, or has the worker pack what waits."""
    captures = store(budget)

    async def take() -> None:
        for seed, step in enumerate(steps):
            before = list(captures._places)
            used, losses = captures.used_bytes, replace(captures.losses)
            if step is None:
                await captures._work()
            elif isinstance(step, int):
                await captures.delete(step)
                before = [each for each in before if each != step]
            else:
                record(captures, step[0], chunks=[noise(step[1], seed)])
                if captures.is_on and captures.losses.dropped == losses.dropped:
                    was_there = step[0] in before
                    before = [*(each for each in before if each != step[0]), step[0]]
                    newest = captures._places[step[0]]
                    assert isinstance(newest, CaptureRecorder)
                    if not was_there and used + newest.weight <= budget:
                        assert list(captures._places) == before, "something was evicted without need"
            check(before, losses)

    def check(before: list[int], losses: module.Losses) -> None:
        after = list(captures._places)
        raws = [each for each in captures._places.values() if isinstance(each, CaptureRecorder)]
        segments = set(captures._places.values()).difference(raws)
        assert captures.used_bytes <= budget
        assert captures.used_bytes == sum(each.weight for each in raws) + sum(each.size for each in captures._segments)
        assert segments == set(captures._segments) == set(captures._held), "a segment is kept in vain, or is lost"
        assert captures._raw_bytes == sum(each.weight for each in raws)
        if captures.losses.too_large == losses.too_large:
            assert after == before[len(before) - len(after) :], "not the oldest were evicted"
        else:
            assert after == [each for each in before if each in after]

    anyio.run(take)


async def test_capture_over_the_budget_drives_out_nobody() -> None:
    captures = store(10_000)
    record(captures, 1)
    record(captures, 2, chunks=[noise(11_000)])
    async with running(captures):
        await idle(captures)

    assert captures.ids().ids == [1]
    assert captures.losses.too_large == 1


async def test_nothing_is_kept_without_a_budget() -> None:
    captures = store(-1)
    record(captures, 1)

    assert not captures.is_on
    assert len(captures) == 0


async def test_smaller_budget_evicts_and_none_evicts_all() -> None:
    captures = store()
    for number in range(1, 11):
        record(captures, number, chunks=[noise(1000, number)])
    one = captures.used_bytes // 10
    captures.reconfigure(one * 3 + one // 2)
    assert captures.ids().ids == [10, 9, 8]

    captures.reconfigure(0)

    assert captures.ids().ids == []
    assert captures.used_bytes == 0


# packing

QUIET = 1e6
"""Seconds: nothing happens because of time."""


async def packed(captures: Captures, count: int) -> None:
    """Waits until *count* captures are packed, and hurries nobody."""
    with anyio.fail_after(30):
        while sum(segment.left for segment in captures._segments) < count:
            await anyio.sleep(0.001)


async def test_captures_gather_and_are_packed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", QUIET)
    captures = store(64 * MIB)
    async with running(captures):
        for number in range(1, capture_segments.SEGMENT):
            record(captures, number, request=b"request %d" % number)
        await anyio.wait_all_tasks_blocked()
        assert not captures._segments
        record(captures, capture_segments.SEGMENT, request=b"the last")
        await packed(captures, capture_segments.SEGMENT)

        assert len(captures._segments) == 1
        assert (await got(captures, 1)).req_body == b"request 1"
        assert (await got(captures, 77)).req_body == b"request 77"
        assert (await got(captures, capture_segments.SEGMENT)).req_body == b"the last"
        assert captures.ids(3).ids == [256, 255, 254]


async def test_enough_bytes_are_packed_before_enough_captures_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", QUIET)
    captures = store()
    async with running(captures):
        for number in range(1, 15):
            record(captures, number, chunks=[noise(50_000, number)])
        await packed(captures, 13)

        assert 2 <= len(captures._segments) <= 3, "a segment has a bound"


async def test_large_capture_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", QUIET)
    captures = store()
    async with running(captures):
        record(captures, 1)
        await anyio.wait_all_tasks_blocked()
        record(captures, 2, chunks=[noise(100_000)])
        await packed(captures, 2)

        assert (await got(captures, 2)).resp_body == noise(100_000)


async def test_the_few_captures_of_a_quiet_time_are_packed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    captures = store()
    async with running(captures):
        for number in (1, 2):
            record(captures, number)
            await packed(captures, number)
        assert captures._raw_bytes == 0


async def test_packed_captures_hold_no_more_memory_than_they_count_for() -> None:
    captures = store()
    async with running(captures):
        record(captures, 1)
        await idle(captures)
        tracemalloc.start()
        before, used = tracemalloc.get_traced_memory()[0], captures.used_bytes
        for number in range(1000, 2000):
            record(captures, number, request=b"request %d" % number, chunks=[b"word " * 1000])
            if number % 100 == 0:
                await idle(captures)
        await idle(captures)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()

        assert len(captures) == 1001
        assert held < 1.5 * (captures.used_bytes - used)


async def test_reading_what_waits_packs_nothing() -> None:
    captures = store()
    record(captures, 1)
    await got(captures, 1)
    await captures.search("answer")

    assert isinstance(captures._places[1], CaptureRecorder)


async def test_what_waits_counts_with_all_that_it_holds() -> None:
    captures = store()
    record(captures, 1, request=bytes(1000), chunks=[bytes(2000)])

    assert captures.used_bytes == 3000 + module.RAW


async def test_captures_that_come_faster_than_they_are_packed_drive_out_the_oldest() -> None:
    captures = store(3 * module.RAW)
    for number in range(1, 4):
        record(captures, number, request=b"", chunks=[b"x" * 10])

    assert captures.ids().ids == [3, 2]
    assert captures.losses.dropped == 0
    captures.reconfigure(2 * module.RAW)
    assert captures.ids().ids == [3]
    assert captures.used_bytes == module.RAW + 10


async def test_segment_goes_when_the_last_of_it_is_deleted_and_says_nothing_of_those_deleted_before() -> None:
    captures = store()
    async with running(captures):
        for number in (1, 2, 3):
            record(captures, number, chunks=[b"answer %d" % number])
        await idle(captures)
        used = captures.used_bytes
        assert await captures.delete(1)
        assert await captures.delete(3)

        assert captures.used_bytes == used
        assert await captures.get(1) is None
        assert await captures.search("answer") == Found([2], is_complete=True)
        assert (await got(captures, 2)).resp_body == b"answer 2"
        await captures.delete(2)
        assert captures.used_bytes == 0
        assert not captures._segments


async def test_segments_are_evicted_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_segments, "SEGMENT", 3)
    captures = store()
    async with running(captures):
        for number in range(1, 10):
            record(captures, number, chunks=[noise(1000, number)])
        await idle(captures)
        assert [list(segment.numbers) for segment in captures._segments] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        await captures.delete(2)

        captures.reconfigure(captures.used_bytes - 1)

        assert captures.ids().ids == [9, 8, 7, 6, 5, 4]


async def test_segments_are_a_small_part_of_a_small_budget() -> None:
    captures = store(20_000)
    async with running(captures):
        for number in range(1, 31):
            record(captures, number, chunks=[noise(500, number)])
            await idle(captures)

        assert 20 < len(captures) < 30
        assert 16_000 < captures.used_bytes <= 20_000


# large ones


async def test_large_capture_is_there_at_once_and_packed_beside_the_loop() -> None:
    captures = store()
    async with running(captures):
        record(captures, 1, chunks=[b"word " * 100_000])
        assert captures.has(1)
        assert captures.used_bytes == 0
        await idle(captures)

        assert 0 < captures.used_bytes < 10_000
        assert (await got(captures, 1)).resp_body == b"word " * 100_000
    assert captures._allowance.left == module.RECORDING


async def test_large_capture_keeps_its_place_in_the_order() -> None:
    captures = store()
    async with running(captures):
        record(captures, 1, chunks=[noise(400_000)])
        record(captures, 2)
        await idle(captures)

        assert captures.ids().ids == [2, 1]
        captures.reconfigure(captures.used_bytes - 1)
        assert captures.ids().ids == [2]


@pytest.mark.parametrize(
    ("limit", "value", "kept_at_first"), [("PENDING", 3, [6, 3, 2]), ("PENDING_BYTES", 350_000, [6, 3, 2, 1])]
)
async def test_too_many_large_ones_at_once_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, kept_at_first: list[int]
) -> None:
    monkeypatch.setattr(module, limit, value)
    captures = store()
    for number in range(1, 6):
        record(captures, number, chunks=[noise(100_000)])
    record(captures, 6)

    assert captures.ids().ids == kept_at_first
    assert captures.losses.dropped == 6 - len(kept_at_first)
    async with running(captures):
        await idle(captures)
        record(captures, 7, chunks=[noise(100_000)])
        await idle(captures)
    assert captures.ids().ids == [7, *kept_at_first]
    assert captures._allowance.left == module.RECORDING


async def test_large_capture_that_is_deleted_before_it_was_packed_is_gone() -> None:
    captures = store()
    record(captures, 1, chunks=[noise(100_000)])
    record(captures, 2, chunks=[noise(100_000)])
    assert await captures.delete(1)
    async with running(captures):
        await idle(captures)
        assert captures.ids().ids == [2]
        await captures.delete_all()

    assert (len(captures), captures.used_bytes) == (0, 0)
    assert captures._allowance.left == module.RECORDING


async def test_recorder_that_comes_to_nothing_gives_back_what_it_took() -> None:
    captures = store()
    recorder = captures.recorder("POST", "/v1/x", JSON, Body(b""))
    recorder.head(200, JSON)
    recorder.chunk(bytes(100_000))
    assert captures._allowance.left < module.RECORDING

    recorder.close()

    assert captures._allowance.left == module.RECORDING


async def test_what_cannot_be_packed_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_body: bytes, _encoding: str) -> list[bytes]:
        raise RuntimeError("a bug")

    captures = Captures(MIB, broken)
    async with running(captures):
        record(captures, 1, headers=[(b"content-encoding", b"gzip")])
        record(captures, 2)
        await idle(captures)

        assert captures.ids().ids == [2]
    assert captures.losses.failed == 1
    assert [each.levelno for each in caplog.records] == [logging.ERROR]


async def test_the_same_id_again_replaces() -> None:
    captures = store()
    record(captures, 1, chunks=[b"old"])
    record(captures, 2)
    record(captures, 1, chunks=[b"new"])

    assert captures.ids().ids == [1, 2]
    assert (await got(captures, 1)).resp_body == b"new"


# looking


async def test_unknown_capture_is_none() -> None:
    captures = store()

    assert await captures.get(1) is None
    assert not captures.has(1)
    assert not await captures.delete(1)


async def test_ids_are_the_newest() -> None:
    captures = store()
    for number in (5, 1, 3):
        record(captures, number)

    assert captures.ids(2) == Found([3, 1], is_complete=False)
    assert captures.ids(3) == Found([3, 1, 5], is_complete=True)


STREAM = b"".join(
    b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": word}}]}).encode()
    for word in ["The str", "awb", 'erry said: "Gr', 'üße"\n', "now"]
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("PARIS", [1]),
        ("paris today", [1]),
        ("x-topic: cooking", [2]),
        ("v1/embed", [3]),
        ("strawberry", [4]),
        ('said: "grüße"', [4]),
        ("erry", [4]),
        ("größe", [5]),
        ("wait", [6]),
        ("sk-secret", []),
        ("[REDACTED]", [2]),
        ("far away", [7]),
        ("the model", [8, 1]),
    ],
)
async def test_search(text: str, ids: list[int]) -> None:
    captures = store()
    record(captures, 1, request=b'{"prompt":"the model in Paris today"}')
    record(captures, 2, headers=[(b"x-topic", b"Cooking")], request_headers=[(b"authorization", b"sk-secret")])
    record(captures, 3, path="/v1/embeddings")
    record(captures, 4, chunks=[STREAM])
    record(captures, 5, request='{"prompt":"Größe"}'.encode(), chunks=[b'{"answer":"Gr\\u00f6\\u00dfe"}'])
    recorder = captures.recorder("POST", "/v1/x", JSON, Body(b""))
    captures.add(6, recorder, "had to wait too long")
    record(captures, 7, chunks=[b"." * (2 * 65536 - 4), b"far away", b"." * 70_000])  # not packed, as nothing runs
    record(captures, 8, chunks=[b"The Model"])

    assert await captures.search(text) == Found(ids, is_complete=True)


async def test_search_says_that_it_has_not_seen_everything() -> None:
    captures = store()
    for number in range(1, 6):
        record(captures, number)

    assert await captures.search("answer", limit=2) == Found([5, 4], is_complete=False)
    assert await captures.search("answer", within_s=0) == Found([], is_complete=False)


# the packed form


async def test_packed_form_is_msgpack_in_zstandard() -> None:
    captures = store()
    record(captures, 1)
    record(captures, 2, method="GET")
    async with running(captures):
        await idle(captures)
    (segment,) = captures._segments
    assert segment.packed is not None
    records = msgpack.Unpacker(unicode_errors="surrogatepass")
    records.feed(zstandard.decompress(segment.packed))

    assert [each[:3] for each in records] == [
        [capture_record.FORM, "POST", "/v1/chat/completions"],
        [capture_record.FORM, "GET", "/v1/chat/completions"],
    ]


def packed_one() -> bytes:
    recorder = CaptureRecorder(Allowance(0), "POST", "/v1/x\udcff", JSON, Body(b"body" * 50))
    recorder.finish()
    return Packer().pack([record_of(recorder.capture(decoded))])


def test_path_that_is_no_utf8_is_kept() -> None:
    assert capture_of(unpack(packed_one())).path == "/v1/x\udcff"


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"nonsense" * 10,
        packed_one()[:-1],
        packed_one()[:50],
        packed_one()[:60] + bytes([packed_one()[60] ^ 1]) + packed_one()[61:],
        zstandard.compress(b"\xc1"),
        zstandard.compress(msgpack.packb({"a": 1})),
        zstandard.compress(msgpack.packb([2, "POST"])),
        zstandard.compress(msgpack.packb([1, "POST"])),
        zstandard.compress(msgpack.packb([1, *[None] * 18])),
        zstandard.ZstdCompressor().compress(bytes(capture_record.LARGEST + 1)),
    ],
)
def test_broken_form_is_told(broken: bytes) -> None:
    with pytest.raises(BrokenCapture):
        capture_of(unpack(broken))


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_fail_in_another_way(body: bytes) -> None:
    for packed in (body, zstandard.compress(body), zstandard.compress(msgpack.packb([1]) + body)):
        with pytest.raises(BrokenCapture):
            capture_of(unpack(packed))


async def test_adding_from_many_tasks_at_once_keeps_all() -> None:
    captures = store(64 * MIB)
    large = os.urandom(80_000)

    async def add(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        record(captures, number, chunks=[large] if number % 3 == 0 else [b"small"])

    async with running(captures):
        async with anyio.create_task_group() as group:
            for number in range(1, 201):
                group.start_soon(add, number)
        assert len(captures) == 200
        await idle(captures)

        assert captures.losses == module.Losses()
        assert (await got(captures, 3)).resp_body == large


def test_store_is_made_before_there_is_a_loop() -> None:
    captures = store()
    record(captures, 1)
    record(captures, 2, chunks=[noise(100_000)])

    async def look() -> bytes | None:
        async with running(captures):
            await idle(captures)
            await captures.search("answer")
            await captures.delete(1)
            return (await got(captures, 2)).resp_body

    assert anyio.run(look) == noise(100_000)
