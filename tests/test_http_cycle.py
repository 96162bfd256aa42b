"""One request and its response, on the wire: our real protocol, spoken to by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.asgi import read_body
from app.http_protocol import CorkedProtocol
from tests.middleware.serving import served
from tests.test_http_limits import PATIENCE_S, ask, connected, rest, until

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"


def head(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: Message) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def answer(app: ASGIApp, *asked: bytes, http: type[CorkedProtocol] = CorkedProtocol) -> bytes:
    async with served(app, http) as url:
        return await ask(url, *asked)


LENGTH = (b"content-length", b"5")


@pytest.mark.parametrize(
    ("asked", "messages", "expected"),
    [
        (LAST, [head(200, LENGTH), body(b"hello")], b"content-length: 5\r\nconnection: close\r\n\r\nhello"),
        (LAST, [head(200, LENGTH), body(b"he", more=True), body(b"llo")], b"connection: close\r\n\r\nhello"),
        (
            LAST,
            [head(200), body(b"he", more=True), body(more=True), body(b"llo")],
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ),
        (LAST, [head(200), body(b"he", more=True), body()], b"\r\n\r\n2\r\nhe\r\n0\r\n\r\n"),
        (LAST, [head(200, (b"transfer-encoding", b"chunked")), body(b"hello")], b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (GET.replace(b"1.1", b"1.0"), [head(200), body(b"hello")], b"200 OK\r\nconnection: close\r\n\r\nhello"),
        (LAST.replace(b"GET", b"HEAD"), [head(200, LENGTH), body(b"hello")], b"connection: close\r\n\r\n"),
        (LAST.replace(b"GET", b"HEAD"), [head(200), body(b"hello")], b"200 OK\r\nconnection: close\r\n\r\n"),
        (
            LAST.replace(b"GET", b"HEAD"),
            [head(200, (b"transfer-encoding", b"chunked")), body(b"hello")],
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        ),
        (LAST, [head(204), body()], b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        (LAST, [head(304, LENGTH), body()], b"content-length: 5\r\nconnection: close\r\n\r\n"),
        (GET, [head(200, LENGTH, (b"connection", b"Close")), body(b"hello")], b"connection: Close\r\n\r\nhello"),
        (LAST, [head(599), body()], b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n"),
    ],
)
async def test_response_ends_as_its_head_says(asked: bytes, messages: list[Message], expected: bytes) -> None:
    received = await answer(sending(*messages), asked)

    assert received.startswith(b"HTTP/1.1 %d " % messages[0]["status"])
    assert received.endswith(expected)


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"first")],
        [head(200, (b"a", b"b\r\nset-cookie: c"))],
        [head(200, (b"a\n", b"b"))],
        [],
    ],
)
async def test_what_cannot_be_sent_is_an_error_of_ours(
    messages: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    received = await answer(sending(*messages), GET)

    assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"connection: close\r\n" in received
    assert received.endswith(b"\r\n\r\nInternal Server Error")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    "messages",
    [
        [head(200, LENGTH), body(b"hell")],
        [head(200, LENGTH), body(b"hello!")],
        [head(200), body(b"hello", more=True)],
        [head(200), head(200)],
    ],
)
async def test_response_that_is_not_what_was_announced_is_cut(messages: list[Message]) -> None:
    received = await answer(sending(*messages), GET)

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not received.endswith((b"0\r\n\r\n", b"hello!", b"Error"))


async def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/1":
            await anyio.wait_all_tasks_blocked()
        await send(head(200, (b"content-length", b"2")))
        await send(body(scope["path"].encode()))

    asked = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in (1, 2)]

    received = await answer(app, b"".join(asked) + LAST.replace(b"/ ", b"/3 "))

    assert [received[at - 2 : at] for at in range(len(received)) if received[at:].startswith(b"HTTP/")][1:] == [
        b"/1",
        b"/2",
    ]
    assert received.endswith(b"/3")


async def test_body_arrives_whole_however_it_is_cut() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        received = (await read_body(receive)).data
        await send(head(200, (b"content-length", b"%d" % len(received))))
        await send(body(received))

    chunks = [b"1\r\n%c\r\n" % (97 + number % 26) for number in range(300)]
    asked = b"POST / HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"

    received = await answer(app, asked, b"".join(chunks[:100]), *chunks[100:103], b"".join(chunks[103:]), b"0\r\n\r\n")

    assert received.endswith(b"\r\n\r\n" + bytes(97 + number % 26 for number in range(300)))


async def test_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send(head(200, LENGTH))
        await send(body(b"hello"))

    async with served(app, CorkedProtocol) as url, await connected(url) as connection:
        await connection.send(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")

        assert await until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await connection.send(b"abc")
        assert (await until(connection, b"hello")).startswith(b"HTTP/1.1 200 OK")


async def test_whoever_receives_is_told_that_the_client_has_left() -> None:
    told: list[str] = []
    over = anyio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(head(200))
        told.extend([(await receive())["type"], (await receive())["type"], (await receive())["type"]])
        await send(body(b"to nobody"))
        over.set()

    async with served(app, CorkedProtocol) as url:
        async with await connected(url) as connection:
            await connection.send(GET)
            await until(connection, b"\r\n\r\n")
        with anyio.fail_after(PATIENCE_S):
            await over.wait()

    assert told == ["http.request", "http.disconnect", "http.disconnect"]


@pytest.mark.parametrize(
    ("begun", "end"), [([], b"Internal Server Error"), ([head(200), body(b"hello", more=True)], b"hello\r\n")]
)
async def test_request_that_the_server_cancels_is_ended_without_a_traceback(
    begun: list[Message], end: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        for message in begun:
            await send(message)
        scope["hostler.task"].cancel()
        await anyio.sleep_forever()

    received = await answer(app, GET)

    assert received.endswith(end)
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)


class Counting(CorkedProtocol):
    """Counts how often its connections really write."""

    writes: list[int]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Counted(transport, self.writes))  # type: ignore[arg-type]


class _Counted:
    def __init__(self, transport: asyncio.Transport, writes: list[int]) -> None:
        self._transport = transport
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._writes.append(len(data))
        self._transport.write(data)


@pytest.mark.parametrize(
    ("messages", "writes"),
    [
        ([head(200, LENGTH), body(b"hello")], 1),
        ([head(200), *[body(b"x", more=True)] * 50, body()], 1),
    ],
)
async def test_what_is_sent_in_one_turn_is_one_write(messages: list[Message], writes: int) -> None:
    class Mine(Counting):
        writes: list[int] = []  # noqa: RUF012 - of this test alone

    received = await answer(sending(*messages), LAST, http=Mine)

    assert len(Mine.writes) == writes
    assert sum(Mine.writes) == len(received)


async def test_piece_that_comes_alone_is_not_held_back() -> None:
    go_on = anyio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(head(200))
        await go_on.wait()
        await send(body(b"hello"))

    async with served(app, CorkedProtocol) as url, await connected(url) as connection:
        await connection.send(LAST)
        await until(connection, b"\r\n\r\n")
        go_on.set()
        assert (await rest(connection)).endswith(b"hello\r\n0\r\n\r\n")


async def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent = 0
    stuck: list[Callable[[], bool]] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        protocol = scope["hostler.connection"]
        stuck.append(lambda: protocol.flow.write_paused)
        await send(head(200))
        for _ in range(400):
            await send(body(b"x" * 65536, more=True))
            sent += 1
            # A turn of the loop, in which it is written.
            await anyio.lowlevel.checkpoint()
        await send(body())

    async with served(app, CorkedProtocol) as url, await connected(url) as connection:
        await connection.send(LAST)
        with anyio.fail_after(PATIENCE_S):
            while not (stuck and stuck[0]()):
                await anyio.lowlevel.checkpoint()
        held = sent

        received = await rest(connection)

    assert held < 400
    assert received.count(b"x") == 400 * 65536
