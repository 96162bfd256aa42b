"""Which exchanges are captured, and what of those that fail."""

from __future__ import annotations

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import Body
from app.endpoints import captures as captured
from app.exchange import KEY, Exchange
from app.middleware.capture import CAPTURE, Capturing
from app.telemetry.capture_record import Capture
from app.telemetry.captures import Captures
from tests.asgi import call
from tests.endpoints.waiting import until
from tests.fakes import catalog, model
from tests.middleware.metered import RECORDED, Recorded, recorded

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ONE = catalog(model("a"))


async def the_capture(world: Recorded) -> Capture:
    """Returns the capture of the only record."""
    record = await world.record()
    capture = await world.captures.get(record.id)
    assert capture is not None
    return capture


async def test_exchange_is_captured_under_the_number_of_its_record() -> None:
    async with recorded(ONE) as world:
        world.server().pieces = (b"data: {}\n\n", b"data: [DONE]\n\n")
        answer = await world.ask(stream=True)
        capture = await the_capture(world)

    assert (capture.method, capture.path, capture.status, capture.error) == ("POST", CHAT, 200, "")
    assert capture.req_body == answer.request.content
    assert capture.resp_body == b"data: {}\n\ndata: [DONE]\n\n"


async def test_body_is_captured_as_it_is_forwarded() -> None:
    async with recorded(catalog(model("a", use_model_name="real"))) as world:
        world.server()
        await world.ask()
        capture = await the_capture(world)

    assert b'"real"' in (capture.req_body or b"")


async def test_target_is_the_one_the_client_asked_for() -> None:
    async with recorded(ONE) as world:
        world.server()
        await world.client.post("/upstream/a/v1/completions?x=%2F", json={})
        capture = await the_capture(world)

    assert (capture.path, capture.target) == ("/v1/completions", b"/upstream/a/v1/completions?x=%2F")


async def test_upstreams_error_is_captured_with_its_body() -> None:
    async with recorded(ONE) as world:
        server = world.server()
        server.status, server.content_type, server.pieces = "500 Oh", "application/json", (b'{"error": "oh"}',)
        await world.ask()
        capture = await the_capture(world)

    assert (capture.status, capture.resp_body) == (500, b'{"error": "oh"}')


async def test_request_over_the_limit_is_captured() -> None:
    async with recorded(catalog(model("a", concurrency_limit=0))) as world:
        answer = await world.ask()
        capture = await the_capture(world)

    assert (capture.status, capture.error, capture.resp_headers) == (429, "Too many requests", None)
    assert capture.req_body == answer.request.content


async def test_model_that_does_not_start_is_captured() -> None:
    async with recorded(ONE) as world:
        world.server().failure = "there is no such program"
        answer = await world.ask()
        capture = await the_capture(world)

    assert capture.status == answer.status_code
    assert "there is no such program" in capture.error


async def test_long_stream_is_captured_whole() -> None:
    pieces = [b'data: {"choices":[{"delta":{"content":"%0900d"}}]}\n\n' % number for number in range(300)]
    async with recorded(ONE) as world:
        server = world.server()
        server.pieces = tuple(pieces)
        await world.ask(stream=True)
        capture = await the_capture(world)

    assert capture.resp_body == b"".join(pieces)
    assert not capture.resp_truncated


async def test_stream_that_breaks_is_captured_as_far_as_it_came() -> None:
    async with recorded(ONE) as world:
        server = world.server()
        server.pieces, server.breaks = (b"data: {}\n\n",), True
        with pytest.raises(Exception, match="peer closed"):
            await world.ask(stream=True)
        capture = await the_capture(world)

    assert (capture.status, capture.resp_body) == (200, b"data: {}\n\n")
    assert capture.error


async def test_client_that_leaves_is_captured() -> None:
    async with recorded(ONE) as world:
        server = world.server(answers=False)
        async with anyio.create_task_group() as group:
            group.start_soon(world.ask)
            await until(lambda: len(server.asked) == 1)
            group.cancel_scope.cancel()
        capture = await the_capture(world)

    assert (capture.status, capture.error) == (499, "the client left")


async def test_failure_within_a_loading_stream_is_captured() -> None:
    async with recorded(catalog(model("a", send_loading_state=True))) as world:
        server = world.server(ready=False)
        server.failure = "there is no such program"
        async with world.client.stream("POST", CHAT, json={"model": "a", "stream": True}) as response:
            pieces = response.aiter_raw()
            await anext(pieces)
            server.ready.set()
            assert [piece async for piece in pieces]
        capture = await the_capture(world)

    assert capture.status == 200
    assert "there is no such program" in capture.error


async def test_name_of_no_model_leaves_nothing_to_capture() -> None:
    async with recorded(ONE) as world:
        await world.ask(model="nobody")
        record = await world.record()

        assert await world.captures.get(record.id) is None


async def test_nothing_is_captured_without_a_budget() -> None:
    async with recorded(ONE, capture_bytes=0) as world:
        world.server()
        await world.ask()
        record = await world.record()

        assert await world.captures.get(record.id) is None


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/embeddings", True),
        ("POST", "/v1%2Fembeddings", True),
        ("POST", "/assets/page.js", False),
        ("GET", "/v1/audio/voices", False),
    ],
)
async def test_only_what_is_recorded_gets_a_recorder(method: str, path: str, *, expected: bool) -> None:
    seen: list[bool] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(CAPTURE in scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    one = ONE.models[next(iter(ONE.models))]
    exchange = Exchange(ONE, "a", "a", one, False, Body(b"{}"), path, b"", 0.0)
    layer = Capturing(app, Captures(1 << 20, captured.decoded), RECORDED)
    reply = await call(layer, method, f"/upstream/a{path}", extra={KEY: exchange})

    assert (reply.status, seen) == (200, [expected])
