from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.asgi import ClientDisconnected, send_bytes
from app.errors import NotFound, TooManyRequests, UpstreamError
from app.middleware.errors import ErrorBoundary
from app.proxy.forwarder import StreamBroken
from tests.asgi import Reply, call
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}


def failing(error: BaseException, *first: Message) -> ErrorBoundary:
    """Returns what sends *first* and then raises *error*."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in first:
            await send(message)
        raise error

    return ErrorBoundary(app)


async def test_response_passes_through() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, 201, b"made")

    reply = await call(ErrorBoundary(app))

    assert (reply.status, reply.body, reply.complete) == (201, b"made", True)


async def test_error_before_the_response_is_rendered(caplog: pytest.LogCaptureFixture) -> None:
    reply = await call(failing(NotFound("no such <model>")))

    assert (reply.status, reply.complete) == (404, True)
    assert json.loads(reply.body)["error"]["message"] == "no such <model>"
    assert caplog.records == []


async def test_error_is_rendered_as_the_client_accepts_it() -> None:
    reply = await call(failing(UpstreamError("x")), headers=[(b"accept", b"text/plain")])

    assert (reply.status, reply.body) == (502, b"llama-swap: x")


async def test_refusal_says_when_to_come_back() -> None:
    reply = await call(failing(TooManyRequests("Too many requests")), headers=[(b"accept", b"text/html")])

    assert (reply.status, reply.header("retry-after")) == (429, "1")
    assert json.loads(reply.body)["error"]["code"] == "concurrency_limit"


@pytest.mark.parametrize("first", [(START,), (START, PART)])
@pytest.mark.parametrize("error", [NotFound("late"), RuntimeError("late"), StreamBroken("late"), ClientDisconnected()])
async def test_error_after_the_response_has_begun_leaves_it_unfinished(
    error: Exception, first: tuple[Message, ...]
) -> None:
    reply = await call(failing(error, *first))

    assert reply.messages == list(first)
    assert not reply.complete


@pytest.mark.parametrize("error", [StreamBroken("x"), ClientDisconnected()])
async def test_nothing_is_said_when_there_is_nobody_to_tell(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    reply = await call(failing(error))

    assert reply.messages == []
    assert caplog.records == []


@pytest.mark.parametrize("first", [(), (START, PART)])
async def test_unexpected_error_is_logged_once_with_its_trace(
    first: tuple[Message, ...], caplog: pytest.LogCaptureFixture
) -> None:
    error = RuntimeError("secret detail")

    await call(failing(error, *first), "POST", "/v1/x", query=b"key=secret")

    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "POST /v1/x failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    "error", [RuntimeError("secret detail"), ExceptionGroup("secret detail", [ValueError("x")]), KeyError("secret")]
)
async def test_unexpected_error_tells_the_client_no_detail(error: Exception) -> None:
    reply = await call(failing(error))

    assert (reply.status, reply.header("content-type")) == (500, "application/json")
    assert json.loads(reply.body) == {
        "src": "llama-swap",
        "error": {
            "message": "internal error; see Hostler's log",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        },
    }


async def test_cancellation_passes_through() -> None:
    reply = Reply()

    with pytest.raises(asyncio.CancelledError):
        await call(failing(asyncio.CancelledError()), reply=reply)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await call(ErrorBoundary(sleeping), reply=reply)

    assert scope.cancelled_caught
    assert reply.messages == []


async def sleeping(scope: Scope, receive: Receive, send: Send) -> None:
    await anyio.sleep_forever()


async def test_lifespan_passes_untouched() -> None:
    seen: list[tuple[Scope, object, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))
        if len(seen) == 2:
            raise NotFound("x")

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": "lifespan"}
    await ErrorBoundary(app)(scope, receive, send)
    with pytest.raises(NotFound):
        await ErrorBoundary(app)(scope, receive, send)

    assert seen == [(scope, receive, send)] * 2


async def knock(app: ErrorBoundary) -> list[Message]:
    """Returns what a client of a websocket is sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/x", "headers": [], "extensions": {"websocket.http.response": {}}}
    await app(scope, receive, send)
    return sent


ACCEPT: Message = {"type": "websocket.accept"}
CLOSE: Message = {"type": "websocket.close", "code": 1000}


@pytest.mark.parametrize(("error", "status"), [(NotFound("x"), 404), (RuntimeError("x"), 500)])
async def test_websocket_that_fails_before_it_is_open_is_refused(error: Exception, status: int) -> None:
    start, body = await knock(failing(error))

    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert json.loads(body["body"])["error"]["type"]


@pytest.mark.parametrize("error", [NotFound("x"), RuntimeError("x")])
async def test_websocket_that_fails_while_it_is_open_is_closed(error: Exception) -> None:
    assert await knock(failing(error, ACCEPT)) == [ACCEPT, {"type": "websocket.close", "code": 1011, "reason": ""}]


@pytest.mark.parametrize("first", [[ACCEPT, CLOSE], [CLOSE]])
async def test_websocket_that_fails_after_it_was_closed_is_left_alone(first: list[Message]) -> None:
    assert await knock(failing(RuntimeError("x"), *first)) == first


Sending = Callable[[Message], Awaitable[None]]


@pytest.mark.parametrize("headers", [[(b"content-length", b"100")], []], ids=["length", "chunked"])
async def test_client_of_a_real_server_sees_the_broken_stream_as_broken(headers: list[tuple[bytes, bytes]]) -> None:
    start = {**START, "headers": headers}

    async with served(failing(StreamBroken("x"), start, PART)) as url, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url)
