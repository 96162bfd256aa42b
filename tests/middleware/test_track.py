from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import anyio
import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.asgi import ClientDisconnected, cancel_on_disconnect, read_body, send_bytes
from app.errors import Cancelled
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.middleware.track import Track, track
from app.telemetry.inflight import Entry, InFlight
from app.websocket_protocol import WebsocketProtocol
from tests.asgi import Reply, call
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}


class Stuck:
    """An application that sends what it is given and then never ends by itself."""

    def __init__(self, *first: Message) -> None:
        self._first = first
        self.waits = anyio.Event()
        self.ended: list[str] = []
        self.released = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "http":
                await read_body(receive)
            else:
                await receive()
            async with cancel_on_disconnect(receive, scope):
                for message in self._first:
                    await send(message)
                self.waits.set()
                await self.released.wait()
        except BaseException as exc:
            self.ended.append(type(exc).__name__)
            raise
        await send_bytes(send, 200, b"served")


async def serve(app: Track, seen: list[type[BaseException] | None], reply: Reply | None = None) -> None:
    """Calls *app* and notes what comes out of it, and that the task is not left cancelled."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        await call(app, reply=reply)
    except Exception as exc:
        seen.append(type(exc))
    else:
        seen.append(None)
    assert task.cancelling() == before


# What is seen of a request


async def test_entry_follows_the_request() -> None:
    inflight = InFlight()
    seen: list[tuple[int, int, list[tuple[bytes, bytes]]]] = []

    async def on_send(_message: Message) -> None:
        entry = inflight.snapshot()[0]
        seen.append((entry.status, entry.resp_bytes, list(entry.resp_headers)))

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(PART)
        await send({"type": "http.response.body"})

    reply = await call(Track(answer, inflight), on_send=on_send)

    assert seen == [(201, 0, [(b"x-a", b"1")]), (201, 4, [(b"x-a", b"1")]), (201, 4, [(b"x-a", b"1")])]
    assert (reply.status, reply.body, len(inflight)) == (201, b"part", 0)


@pytest.mark.parametrize("error", [Cancelled("x"), RuntimeError("x"), ClientDisconnected()])
async def test_failed_request_is_taken_out_and_its_error_passed_on(error: Exception) -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    inflight = InFlight()
    with pytest.raises(type(error)) as caught:
        await call(Track(fails, inflight))

    assert caught.value is error
    assert inflight.snapshot() == []


async def test_websocket_is_tracked_and_its_bytes_are_counted() -> None:
    inflight = InFlight()
    entries: list[Entry] = []

    async def talk(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-a", b"1")]})
        await send({"type": "websocket.send", "text": "ä"})
        await send({"type": "websocket.send", "bytes": b"123"})
        entries.extend(inflight.snapshot())
        await send({"type": "websocket.close"})

    async with (
        served(Track(talk, inflight), CorkedProtocol, WebsocketProtocol) as url,
        connect(url.replace("http", "ws"), proxy=None) as websocket,
    ):
        await websocket.wait_closed()

    assert [(each.status, each.resp_bytes, list(each.resp_headers)) for each in entries] == [(101, 5, [(b"x-a", b"1")])]
    assert entries[0].document(entries[0].began)["method"] == "GET"
    assert len(inflight) == 0


def test_routes_are_tracked_and_others_refused() -> None:
    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    inflight = InFlight()
    routes = track([Route("/a", Stuck()), WebSocketRoute("/b", Stuck())], inflight)

    assert [type(route.app) for route in routes if isinstance(route, Route | WebSocketRoute)] == [Track, Track]
    with pytest.raises(AssertionError, match="cannot track"):
        track([Mount("/c", nothing)], inflight)


# Cancelling, over sockets


@pytest.mark.parametrize("http", [CorkedProtocol, "httptools"])
async def test_cancelled_request_that_has_no_answer_yet_is_told(http: type[CorkedProtocol]) -> None:
    """Under our own server, and under one that does not tell of clients that leave."""
    stuck, inflight = Stuck(), InFlight()
    replies: list[httpx.Response] = []

    async with served(ErrorBoundary(Track(stuck, inflight)), http) as url, httpx.AsyncClient(trust_env=False) as client:

        async def ask() -> None:
            replies.append(await client.post(f"{url}/v1/chat/completions", content=b"{}"))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await stuck.waits.wait()
            assert inflight.cancel(1)

        connections = len(client._transport._pool.connections)  # type: ignore[attr-defined]
        stuck.released.set()
        again = await client.get(url)

        assert len(client._transport._pool.connections) == connections == 1  # type: ignore[attr-defined]

    assert replies[0].status_code == 502
    assert replies[0].json()["error"] == {
        "message": "the request was cancelled by the operator",
        "type": "server_error",
        "param": None,
        "code": "bad_gateway",
    }
    assert (again.status_code, again.text) == (200, "served")
    assert stuck.ended == ["CancelledError"]
    assert len(inflight) == 0


async def test_cancelled_request_is_told_in_its_dialect() -> None:
    stuck, inflight = Stuck(), InFlight()
    reply = Reply()
    async with anyio.create_task_group() as group:
        app = ErrorBoundary(Track(stuck, inflight))
        group.start_soon(lambda: call(app, "POST", "/v1/messages", reply=reply))
        await stuck.waits.wait()
        inflight.cancel(1)

    assert reply.status == 502
    assert json.loads(reply.body) == {
        "type": "error",
        "error": {"type": "api_error", "message": "the request was cancelled by the operator"},
    }


async def test_cancelled_stream_is_visibly_cut() -> None:
    stuck, inflight = Stuck(START, PART), InFlight()

    async with (
        served(ErrorBoundary(Track(stuck, inflight)), CorkedProtocol) as url,
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", url) as response,
    ):
        chunks = response.aiter_bytes()
        first = await anext(chunks)
        inflight.cancel(1)
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)

    assert (response.status_code, first) == (201, b"part")
    assert stuck.ended == ["CancelledError"]


async def test_cancelled_websocket_is_closed() -> None:
    stuck, inflight = Stuck({"type": "websocket.accept"}), InFlight()

    async with (
        served(ErrorBoundary(Track(stuck, inflight)), CorkedProtocol, WebsocketProtocol) as url,
        connect(url.replace("http", "ws"), proxy=None) as websocket,
    ):
        await stuck.waits.wait()
        inflight.cancel(1)
        with pytest.raises(ConnectionClosed) as caught:
            await websocket.recv()

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


async def test_cancelled_handshake_is_refused() -> None:
    stuck, inflight = Stuck(), InFlight()
    statuses: list[int] = []

    async def ask(url: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            await connect(url.replace("http", "ws"), proxy=None)
        statuses.append(caught.value.response.status_code)

    async with (
        served(ErrorBoundary(Track(stuck, inflight)), CorkedProtocol, WebsocketProtocol) as url,
        anyio.create_task_group() as group,
    ):
        group.start_soon(ask, url)
        await stuck.waits.wait()
        inflight.cancel(1)

    assert statuses == [502]


# Races


async def test_cancel_in_the_turn_in_which_the_request_would_have_gone_on_wins() -> None:
    stuck, inflight = Stuck(), InFlight()
    seen: list[type[BaseException] | None] = []
    async with anyio.create_task_group() as group:
        group.start_soon(serve, Track(stuck, inflight), seen)
        await stuck.waits.wait()
        stuck.released.set()
        inflight.cancel(1)

    assert seen == [Cancelled]


async def test_cancel_of_a_request_that_ends_all_the_same_is_harmless() -> None:
    async def stubborn(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            waits.set()
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            await send_bytes(send, 200, b"served")

    waits, inflight = anyio.Event(), InFlight()
    seen: list[type[BaseException] | None] = []
    reply = Reply()
    async with anyio.create_task_group() as group:
        group.start_soon(serve, Track(stubborn, inflight), seen, reply)
        await waits.wait()
        inflight.cancel(1)

    assert (seen, reply.body, reply.complete) == ([None], b"served", True)


async def test_cancel_of_a_request_that_fails_meanwhile_leaves_its_error() -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        try:
            waits.set()
            await anyio.sleep_forever()
        finally:
            raise RuntimeError

    waits, inflight = anyio.Event(), InFlight()
    seen: list[type[BaseException] | None] = []
    async with anyio.create_task_group() as group:
        group.start_soon(serve, Track(fails, inflight), seen)
        await waits.wait()
        inflight.cancel(1)

    assert seen == [RuntimeError]


@pytest.mark.parametrize("operator_first", [True, False])
async def test_client_that_leaves_in_the_turn_of_the_cancel_is_harmless(*, operator_first: bool) -> None:
    class Line:
        """A connection as our own server has it."""

        lost: Callable[[], None] | None = None

        def watch(self, when_lost: Callable[[], None] | None) -> bool:
            self.lost = when_lost
            return True

    line, stuck, inflight = Line(), Stuck(), InFlight()
    cancelling: list[int] = []

    async def ask() -> None:
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        with pytest.raises((Cancelled, ClientDisconnected)):
            await call(Track(stuck, inflight), extra={"hostler.connection": line})
        cancelling.append(task.cancelling() - before)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await stuck.waits.wait()
        assert line.lost is not None
        for end in (lambda: inflight.cancel(1), line.lost)[:: 1 if operator_first else -1]:
            end()

    assert cancelling == [0]
    assert (stuck.ended, len(inflight)) == (["CancelledError"], 0)


@pytest.mark.parametrize("operator_too", [True, False])
async def test_cancellation_from_elsewhere_passes_untouched(*, operator_too: bool) -> None:
    stuck, inflight = Stuck(), InFlight()
    task = asyncio.get_running_loop().create_task(call(Track(stuck, inflight)))
    await stuck.waits.wait()
    task.cancel()
    if operator_too:
        inflight.cancel(1)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert len(inflight) == 0


async def test_client_that_leaves_is_no_cancel() -> None:
    stuck, inflight = Stuck(), InFlight()

    with pytest.raises(ClientDisconnected):
        await call(Track(stuck, inflight), disconnect_after=0)

    assert len(inflight) == 0
