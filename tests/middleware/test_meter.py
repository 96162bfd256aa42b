"""Every ending of a request leaves one record, and what is in it."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import anyio
import brotli
import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from app.config.catalog import Catalog
from app.endpoints import captures as captured
from app.middleware.errors import ErrorBoundary
from app.middleware.meter import Metering
from app.telemetry.activity import ActivityLog
from app.telemetry.captures import Captures
from app.telemetry.store import StoreSettings
from tests.asgi import call
from tests.endpoints import catalogs
from tests.endpoints.remote import remote
from tests.endpoints.waiting import until
from tests.fakes import catalog, model
from tests.middleware.metered import Clock, Recorded, recorded
from tests.telemetry.activity_records import read_all

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"

USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}}

TIMINGS = {"prompt_n": 3, "predicted_n": 9, "prompt_per_second": 30.5, "predicted_per_second": 9.5, "cache_n": 2}


def events(*documents: dict[str, Any]) -> tuple[bytes, ...]:
    return (*(f"data: {json.dumps(each)}\n\n".encode() for each in documents), b"data: [DONE]\n\n")


def token(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]}


ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}


def one(**fields: Any) -> Catalog:
    """Returns a configuration of the model `a`."""
    return catalog(model("a", **fields))


def answers_json(world: Recorded, document: object, status: str = "200 OK") -> bytes:
    """Has the model answer with *document*, and returns its bytes."""
    server = world.server()
    body = json.dumps(document).encode()
    server.content_type, server.status, server.pieces = "application/json", status, (body,)
    return body


async def left(world: Recorded) -> None:
    """Returns when nobody is served any more."""
    await until(lambda: not world.inflight.snapshot())


# Requests that are answered


async def test_answer_is_recorded_with_its_usage() -> None:
    async with recorded(one()) as world:
        body = answers_json(world, {"usage": USAGE, "choices": [{"finish_reason": "length"}]})
        answer = await world.ask(x=1)
        record = await world.record()

    assert answer.status_code == 200
    assert (record.model, record.req_path, record.method, record.status) == ("a", CHAT, "POST", 200)
    assert (record.resp_content_type, record.error_msg, record.stop_reason) == ("application/json", "", "length")
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (5, 7, 2)
    assert (record.prompt_per_second, record.tokens_per_second, record.measured) == (-1, -1, False)
    assert (record.streamed, record.ttft_ms) == (False, -1)
    assert (record.req_bytes, record.resp_bytes) == (len(answer.request.content), len(body))
    assert record.client == "127.0.0.1"
    assert record.queued_ms >= 0
    assert record.swap_ms >= 0
    assert record.duration_ms >= record.swap_ms - 1
    assert record.metadata == {"fifo_priority": "0"}


async def test_stream_is_recorded_with_its_usage_and_speeds_measured_here() -> None:
    async with recorded(one()) as world:
        server = world.server()
        # So long that it cannot come in one piece with the first.
        server.pieces = events(ROLE, token("a"), token("b" * (1 << 20)), {"choices": [], "usage": USAGE})
        await world.ask(stream=True)
        record = await world.record()

    assert (record.status, record.streamed, record.error_msg) == (200, True, "")
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (5, 7, 2)
    assert record.ttft_ms > 0
    assert record.measured
    assert record.prompt_per_second > 0
    assert record.tokens_per_second > 0


async def test_speeds_of_the_upstream_go_before_measured_ones() -> None:
    async with recorded(one()) as world:
        world.server().pieces = events(token("a"), {"choices": [], "usage": USAGE, "timings": TIMINGS})
        await world.ask(stream=True)
        record = await world.record()

    assert (record.prompt_per_second, record.tokens_per_second, record.measured) == (30.5, 9.5, False)
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (3, 9, 2)


async def test_answer_without_usage_has_no_tokens_and_no_speed() -> None:
    async with recorded(one()) as world:
        world.server().pieces = events(token("a"), token("b"))
        await world.ask(stream=True)
        record = await world.record()

    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (0, 0, 0)
    assert (record.prompt_per_second, record.tokens_per_second, record.measured) == (0, 0, False)
    assert record.ttft_ms > 0


async def test_loading_text_is_no_first_token() -> None:
    clock = Clock()
    async with recorded(one(send_loading_state=True), clock) as world:
        server = world.server(ready=False, answers=False)
        server.pieces = events(ROLE, token("a"), {"choices": [], "usage": USAGE})
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            pieces = response.aiter_raw()
            assert b"loading" in await anext(pieces)
            clock.now += 2
            server.ready.set()
            await until(lambda: len(server.asked) == 1)
            clock.now += 5
            server.may_answer.set()
            assert [piece async for piece in pieces]
        record = await world.record()

    assert (record.status, record.ttft_ms, record.duration_ms) == (200, 7000, 7000)
    assert (record.input_tokens, record.output_tokens) == (5, 7)
    assert record.swap_ms > 0


async def test_what_only_opens_a_stream_is_no_first_token() -> None:
    clock = Clock()
    async with recorded(one(), clock) as world:
        server = world.server(ends=False)
        server.pieces = events(ROLE)[:1]
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            await anext(response.aiter_raw())
            clock.now += 3
            server.may_end.set()
        record = await world.record()

    assert record.ttft_ms == -1


async def test_stream_of_a_models_own_server_is_measured_like_any_other() -> None:
    async with recorded(one()) as world:
        world.server().pieces = events(token("a"), token("b" * (1 << 20)), {"choices": [], "usage": USAGE})
        await world.ask("/upstream/a/v1/chat/completions", stream=True)
        record = await world.record()

    assert (record.streamed, record.output_tokens, record.measured) == (True, 7, True)
    assert record.ttft_ms > 0


@pytest.mark.parametrize(("encoding", "packed"), [("gzip", gzip.compress), ("br", brotli.compress)])
async def test_packed_stream_is_read_and_goes_on_as_it_is(encoding: str, packed: Callable[[bytes], bytes]) -> None:
    body = packed(b"".join(events(token("a"), {"choices": [], "usage": USAGE})))
    async with recorded(one()) as world:
        server = world.server()
        server.headers, server.pieces = f"Content-Encoding: {encoding}\r\n", (body,)
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            passed = b"".join([piece async for piece in response.aiter_raw()])
        record = await world.record()

    assert passed == body
    assert (record.input_tokens, record.output_tokens, record.resp_bytes) == (5, 7, len(body))


async def test_moment_of_a_record_is_that_of_its_end() -> None:
    async with recorded(one()) as world:
        answers_json(world, {})
        began = datetime.now(UTC).timestamp()
        for _ in range(3):
            await world.ask()
        await until(lambda: len(world.told) == 3)
        ended = datetime.now(UTC).timestamp()
        times = [each.time for each in await read_all(world.activity)]

    # The clock of the day may be set by fractions of a second meanwhile.
    assert began - 0.5 <= times[0] <= times[1] <= times[2] <= ended + 0.5


# Requests that are refused, or fail


async def test_unknown_model_is_recorded_by_the_name_the_client_gave() -> None:
    async with recorded(one()) as world:
        await world.ask(model="no-such")
        record = await world.record()

    assert (record.model, record.status, record.req_path) == ("no-such", 404, CHAT)
    assert record.error_msg == "no router for requested model"
    assert (record.input_tokens, record.cached_tokens, record.tokens_per_second) == (0, 0, 0)
    assert (record.queued_ms, record.swap_ms, record.ttft_ms) == (-1, -1, -1)


async def test_request_that_names_no_model_is_recorded() -> None:
    async with recorded(one()) as world:
        await world.client.post(CHAT, json={})
        record = await world.record()

    assert (record.model, record.status) == ("", 404)


async def test_request_over_the_limit_is_recorded() -> None:
    async with recorded(one(concurrency_limit=0)) as world:
        await world.ask()
        record = await world.record()

    assert (record.model, record.status, record.error_msg) == ("a", 429, "Too many requests")
    assert record.queued_ms == -1


async def test_model_that_does_not_start_is_recorded() -> None:
    async with recorded(one()) as world:
        world.server().failure = "there is no such program"
        answer = await world.ask()
        record = await world.record()

    assert (record.model, record.status) == ("a", answer.status_code)
    assert answer.status_code >= 500
    assert "there is no such program" in record.error_msg


async def test_failure_within_a_loading_stream_is_recorded_with_its_own_status() -> None:
    async with recorded(one(send_loading_state=True)) as world:
        server = world.server(ready=False)
        server.failure = "there is no such program"
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            server.ready.set()
            assert [piece async for piece in pieces]
        record = await world.record()

    assert response.status_code == 200
    assert record.status >= 500
    assert "there is no such program" in record.error_msg
    assert record.ttft_ms == -1


async def test_upstreams_error_within_a_loading_stream_is_no_first_token() -> None:
    async with recorded(one(send_loading_state=True)) as world:
        server = world.server(ready=False)
        server.status, server.content_type = "400 Bad", "application/json"
        server.pieces = (b'{"error": {"message": "too long"}}',)
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            server.ready.set()
            assert [piece async for piece in pieces]
        record = await world.record()

    assert (record.error_msg, record.ttft_ms) == ("too long", -1)
    assert record.status >= 400


async def test_error_instead_of_a_stream_is_no_first_token() -> None:
    async with recorded(one()) as world:
        answers_json(world, {"error": {"message": "too long"}}, "400 Bad")
        await world.ask(stream=True)
        record = await world.record()

    assert (record.status, record.streamed, record.ttft_ms, record.error_msg) == (400, True, -1, "too long")


async def test_upstreams_error_is_recorded_in_its_own_words() -> None:
    async with recorded(one()) as world:
        answers_json(world, {"error": {"message": "out of memory"}, "usage": USAGE}, "500 Oh")
        answer = await world.ask()
        record = await world.record()

    assert (answer.status_code, record.status, record.error_msg) == (500, 500, "out of memory")
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (0, 0, 0)


async def test_stream_that_breaks_is_recorded_with_what_it_has_said() -> None:
    async with recorded(one()) as world:
        server = world.server()
        server.pieces, server.breaks = events(token("a"), {"choices": [], "usage": USAGE})[:2], True
        with pytest.raises(Exception, match="peer closed"):
            await world.ask(stream=True)
        record = await world.record()

    assert record.status == 200
    assert record.error_msg
    assert record.output_tokens == 7


async def test_client_that_leaves_before_an_answer_is_recorded() -> None:
    async with recorded(one()) as world:
        server = world.server(answers=False)
        async with anyio.create_task_group() as group:
            group.start_soon(world.ask)
            await until(lambda: len(server.asked) == 1)
            group.cancel_scope.cancel()
        await left(world)
        record = await world.record()

    assert (record.status, record.error_msg, record.model) == (499, "the client left", "a")
    assert record.queued_ms >= 0


async def test_client_that_leaves_while_it_waits_is_recorded() -> None:
    async with recorded(one()) as world:
        server = world.server(ready=False)
        async with anyio.create_task_group() as group:
            group.start_soon(world.ask)
            await server.probed.wait()
            group.cancel_scope.cancel()
        await left(world)
        record = await world.record()

    assert (record.status, record.error_msg) == (499, "the client left")
    assert record.queued_ms > 0


async def test_client_that_leaves_in_the_middle_of_an_answer_is_recorded() -> None:
    async with recorded(one()) as world:
        server = world.server(ends=False)
        server.pieces = events(token("a"), {"choices": [], "usage": USAGE})[:2]
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            await anext(response.aiter_raw())
        await left(world)
        record = await world.record()

    assert (record.status, record.error_msg) == (200, "the client left")
    assert record.ttft_ms > 0


@pytest.mark.parametrize("answers", [False, True])
async def test_request_that_the_operator_cancels_is_recorded(*, answers: bool) -> None:
    async with recorded(one()) as world:
        server = world.server(answers=answers, ends=False)

        async def ask() -> None:
            async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
                with pytest.raises(Exception, match="peer closed") if answers else anyio.CancelScope():
                    await response.aread()

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await until(lambda: len(server.asked) == 1)
            (entry,) = world.inflight.snapshot()
            await until(lambda: bool(entry.resp_bytes) is answers)
            world.inflight.cancel(entry.id)
        record = await world.record()

    assert (record.status, record.error_msg) == (200 if answers else 502, "cancelled")


@pytest.mark.parametrize("begun", [False, True])
async def test_failure_of_our_own_is_recorded(*, begun: bool) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a secret")

    async with ActivityLog(StoreSettings()) as activity:
        captures = Captures(0, captured.decoded)
        layer = Metering(app, one, activity, captures, path="/v1/embeddings")
        await call(ErrorBoundary(layer), "POST", "/v/embeddings")
        (record,) = await read_all(activity)

    assert (record.status, record.error_msg) == (200 if begun else 500, "internal error: RuntimeError")
    assert record.req_path == "/v1/embeddings"


# Which requests


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_is_not_recorded(method: str) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with ActivityLog(StoreSettings()) as activity:
        layer = Metering(app, one, activity, Captures(0, captured.decoded), path="/props")
        reply = await call(layer, method, "/props")

        assert (reply.status, await read_all(activity)) == (200, [])


async def test_models_own_server_is_recorded_where_it_is_an_endpoint() -> None:
    async with recorded(one()) as world:
        answers_json(world, {"usage": USAGE})
        other = await world.ask("/upstream/a/other")
        unknown = await world.ask("/upstream/nobody/v1/embeddings")
        await world.ask("/upstream/a/v1/embeddings")
        record = await world.record()

    assert (other.status_code, unknown.status_code) == (200, 404)
    assert (record.req_path, record.input_tokens) == ("/v1/embeddings", 5)


async def test_path_is_the_one_that_the_upstream_is_asked_for() -> None:
    async with recorded(one()) as world:
        answers_json(world, {})
        await world.ask("/v/rerank")
        record = await world.record()

    assert record.req_path == "/rerank"


async def test_peers_model_is_recorded() -> None:
    async with remote() as server:
        body = json.dumps({"usage": USAGE}).encode()
        server.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body), body,
        )  # fmt: skip
        peers = catalogs.catalog(peers=[catalogs.peer("p", "m", base_url=server.url)])
        async with recorded(peers) as world:
            answer = await world.ask(model="m")
            record = await world.record()

    assert answer.status_code == 200
    assert (record.model, record.status, record.output_tokens) == ("p/m", 200, 7)
    assert (record.queued_ms, record.swap_ms, record.metadata) == (-1, -1, {})


# Who has asked


async def test_keys_are_told_apart_and_not_told() -> None:
    keys = ("key-of-ann", "key-of-bob")
    async with recorded(dataclasses.replace(one(), api_keys=keys)) as world:
        answers_json(world, {})
        refused = await world.ask()
        for key in keys:
            await world.client.post(CHAT, json={"model": "a"}, headers={"authorization": f"Bearer {key}"})
        await until(lambda: len(world.told) == 2)
        records = await read_all(world.activity)

    assert refused.status_code == 401
    assert [sha256(key.encode()).hexdigest()[:8] for key in keys] == [each.key_fingerprint for each in records]
    assert not any(b"key-of" in msgspec.json.encode(each) for each in records)


async def test_without_keys_there_is_no_fingerprint() -> None:
    async with recorded(one()) as world:
        answers_json(world, {})
        await world.client.post(CHAT, json={"model": "a"}, headers={"authorization": "Bearer mine"})
        record = await world.record()

    assert record.key_fingerprint == ""


async def test_session_is_named_by_a_header() -> None:
    async with recorded(one()) as world:
        answers_json(world, {})
        await world.client.post(CHAT, json={"model": "a"}, headers={"X-Session-Id": "s-1"})
        record = await world.record()

    assert record.session_id == "s-1"


async def test_wait_for_a_model_is_told_apart_from_the_swap() -> None:
    async with recorded(catalog(model("a"), model("b"))) as world:
        busy, server = world.server("b", ends=False), world.server("a")
        server.content_type, server.pieces = "application/json", (b"{}",)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: world.ask(model="b"))
            await until(lambda: len(busy.asked) == 1)
            group.start_soon(world.ask)
            await until(lambda: world.supervisor.view().waiting == 1)
            busy.may_end.set()
        await until(lambda: len(world.told) == 2)
        (record,) = [each for each in await read_all(world.activity) if each.model == "a"]

    assert record.queued_ms > 0
    assert record.swap_ms > 0
    assert record.duration_ms >= int(record.queued_ms + record.swap_ms) - 1
