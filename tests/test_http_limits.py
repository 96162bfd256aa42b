"""The limits of a request's head, by raw bytes over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from app.asgi import read_body, send_bytes
from app.http_limits import LimitedProtocol
from app.websocket_protocol import WebsocketProtocol
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

PATIENCE_S = 20.0

HOST = b"host: x\r\n"


class Small(LimitedProtocol):
    """With limits that a test reaches soon, and time enough."""

    head_limit = 1000
    target_limit = 300
    headers_limit = 10


class Hasty(LimitedProtocol):
    """Waits for nobody."""

    head_s = 0.05
    linger_s = 0.05


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await send_bytes(send, 200, f"{scope['method']} {scope['path']} {body.size}".encode())


async def connected(url: str) -> SocketStream:
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    return await anyio.connect_tcp(where.hostname, where.port)


async def rest(connection: SocketStream) -> bytes:
    """Returns what the server sends until it closes the connection."""
    received = b""
    with anyio.fail_after(PATIENCE_S):
        try:
            while True:
                received += await connection.receive()
        except anyio.EndOfStream:
            return received


async def until(connection: SocketStream, end: bytes) -> bytes:
    received = b""
    with anyio.fail_after(PATIENCE_S):
        while not received.endswith(end):
            received += await connection.receive()
    return received


async def ask(url: str, *parts: bytes) -> bytes:
    """Sends *parts*, each when the one before has surely been read, and returns all of the answer."""
    async with await connected(url) as connection:
        for part in parts:
            await connection.send(part)
            await anyio.wait_all_tasks_blocked()
        return await rest(connection)


def error_of(answer: bytes) -> tuple[bytes, str]:
    """Returns the status line and the message of an error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-length: %d" % len(body) in head
    return head.split(b"\r\n")[0], json.loads(body)["error"]["message"]


TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large"


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET / HTTP/1.1\r\n", HOST, b"a: " + b"x" * 1000 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"x" * 1000 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"x" * 5000],
        [b"GET / HTTP/1.1\r\n" + HOST, *[b"b: " + b"x" * 200 + b"\r\n"] * 6],
        [b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 11 + b"\r\n"],
        [b"GET / HTTP/1.1\r\n" + HOST + b"x" * 2000],
    ],
    ids=["value", "in one piece", "endless value", "endless headers", "number", "name"],
)
async def test_headers_over_the_limit_are_refused(parts: list[bytes]) -> None:
    async with served(echo, Small) as url:
        status, message = error_of(await ask(url, *parts))

    assert (status, message) == (TOO_LARGE, "the request's headers are longer than 1000 bytes, or more than 10")


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /" + b"x" * 300 + b" HTTP/1.1\r\n" + HOST + b"\r\n"],
        [b"GET /?" + b"x" * 400, b"x" * 700],
    ],
    ids=["path", "endless query"],
)
async def test_target_over_the_limit_is_refused(parts: list[bytes]) -> None:
    async with served(echo, Small) as url:
        status, message = error_of(await ask(url, *parts))

    assert status in {b"HTTP/1.1 414 URI Too Long", b"HTTP/1.1 414 Request-URI Too Long"}
    assert message == "the request's path and query are longer than 300 bytes"


async def test_refusal_speaks_the_dialect_of_the_path() -> None:
    async with served(echo, Small) as url:
        answer = await ask(url, b"POST /v1/messages?x HTTP/1.1\r\n" + b"a: b\r\n" * 11 + b"\r\n")

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "error"


async def test_what_is_just_within_the_limits_is_served() -> None:
    target = b"/" + b"x" * 299
    headers = HOST + b"connection: close\r\n" + b"a: b\r\n" * 7
    head = b"GET " + target + b" HTTP/1.1\r\n" + headers
    padding = b"p: " + b"x" * (1000 - len(target) - len(headers) - len(b"p: \r\n")) + b"\r\n"

    async with served(echo, Small) as url:
        answer = await ask(url, head + padding + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_long_body_in_the_same_piece_as_its_head_is_no_long_head() -> None:
    body = b"x" * 5000
    request = b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: 5000\r\n\r\n" + body

    async with served(echo, Small) as url, await connected(url) as connection:
        for _ in range(2):
            await connection.send(request)
            assert (await until(connection, b"POST /a 5000")).startswith(b"HTTP/1.1 200 OK")


async def test_requests_that_come_together_are_counted_one_by_one() -> None:
    one = b"GET /%d HTTP/1.1\r\n" + HOST + b"a: " + b"x" * 200 + b"\r\n\r\n"

    async with served(echo, Small) as url, await connected(url) as connection:
        await connection.send(b"".join(one % number for number in range(20)))
        received = await until(connection, b"GET /19 0")

    assert received.count(b"200 OK") == 20


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS to a plain port
        b"GET / HTTP/1.1\r\na: x\x00y\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        "GET /ä HTTP/1.1\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_the_server_goes_on(request_bytes: bytes) -> None:
    async with served(echo, Small) as url:
        status, message = error_of(await ask(url, request_bytes))
        good = await ask(url, b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n")

    assert (status, message) == (b"HTTP/1.1 400 Bad Request", "Invalid HTTP request received.")
    assert good.endswith(b"GET /x 0")


async def test_nonsense_in_the_middle_of_an_answer_is_not_answered_in_it() -> None:
    ended = anyio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"begin", "more_body": True})
        await receive()
        ended.set()

    async with served(endless, Small) as url, await connected(url) as connection:
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        await until(connection, b"begin")
        await connection.send(b"nonsense\r\n\r\n")
        assert await rest(connection) == b""
        with anyio.fail_after(PATIENCE_S):
            await ended.wait()


async def test_client_that_goes_on_talking_still_sees_why_it_was_refused() -> None:
    async with served(echo, Small) as url, await connected(url) as connection:
        await connection.send(b"GET / HTTP/1.1\r\na: " + b"x" * 2000)
        await until(connection, b"}}")
        for _ in range(5):
            await connection.send(b"x" * 100_000)
        await connection.aclose()

        assert (await ask(url, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


async def test_client_that_is_refused_and_stays_is_left() -> None:
    async with served(echo, Hasty) as url, await connected(url) as connection:
        await connection.send(b"nonsense\r\n\r\n")
        await rest(connection)  # our side is closed: a client may still talk
        with anyio.fail_after(PATIENCE_S):
            with pytest.raises(anyio.BrokenResourceError):
                while True:
                    await connection.send(b"x")
                    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize(
    "parts",
    [[b"G"], [b"GET / HTTP/1.1\r\na: "], [b"GET / HTTP/1.1\r\n", b"a: b\r\n"], [b"\r\n"]],
    ids=["letter", "header", "headers", "empty line"],
)
async def test_head_that_is_not_complete_in_time_is_refused(parts: list[bytes]) -> None:
    async with served(echo, Hasty) as url:
        status, message = error_of(await ask(url, *parts))

    assert (status, message) == (
        b"HTTP/1.1 408 Request Timeout",
        "the request's head was not complete after 0.05 s",
    )


async def test_head_that_trickles_is_refused_however_often_something_comes() -> None:
    async with served(echo, Hasty) as url, await connected(url) as connection:
        answer = bytearray()

        async def listen() -> None:
            answer.extend(await rest(connection))
            group.cancel_scope.cancel()

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                await connection.send(b"GET / HTTP/1.1\r\n")
                while True:
                    await connection.send(b"a")
                    await anyio.wait_all_tasks_blocked()

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")


async def test_connection_on_which_nothing_is_asked_is_closed_without_a_word() -> None:
    async with served(echo, Hasty) as url:
        assert await ask(url) == b""


async def test_second_head_has_its_own_time() -> None:
    async with served(echo, Hasty) as url, await connected(url) as connection:
        await connection.send(b"GET /1 HTTP/1.1\r\n\r\n")
        await until(connection, b"GET /1 0")
        await connection.send(b"GET /2 HT")

        assert error_of(await rest(connection))[0] == b"HTTP/1.1 408 Request Timeout"


async def test_time_of_the_answer_and_of_the_body_does_not_count() -> None:
    looked = anyio.Event()

    class Watched(Hasty):
        def _look(self) -> None:
            super()._look()
            looked.set()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.fail_after(PATIENCE_S):
            await looked.wait()
        await echo(scope, receive, send)

    async with served(slow, Watched) as url, await connected(url) as connection:
        await connection.send(b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n")
        with anyio.fail_after(PATIENCE_S):
            await looked.wait()
        await connection.send(b"abc")

        assert (await until(connection, b"POST / 3")).startswith(b"HTTP/1.1 200 OK")


class Forgetful(Hasty):
    """Keeps no connection open on which nothing is asked."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.timeout_keep_alive = 0


@pytest.mark.parametrize("asked", [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc"])
async def test_connection_on_which_nothing_more_is_asked_is_closed_after_a_while(asked: bytes) -> None:
    async def at_once(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, 200, b"answer")

    async with served(at_once, Forgetful) as url:
        answer = await ask(url, asked)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nanswer")


async def test_answer_to_a_request_that_was_refused_meanwhile_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    go_on = anyio.Event()
    over = anyio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await send_bytes(send, 200, b"too late")
        over.set()

    async with served(late, Small) as url, await connected(url) as connection:
        await connection.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n")
        await until(connection, b"}")
        go_on.set()
        with anyio.fail_after(PATIENCE_S):
            await over.wait()
        await anyio.wait_all_tasks_blocked()

    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_websocket_has_no_more_heads_to_wait_for() -> None:
    connections: list[LimitedProtocol] = []

    class Seen(Hasty):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections.append(self)

    async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "open"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with served(accepting, Seen, WebsocketProtocol) as url, connect(url.replace("http", "ws")) as socket:
        assert await socket.recv() == "open"
        assert [connection._timer for connection in connections] == [None]
