"""One exchange to an upstream and back: first by itself, then behind a real uvicorn."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

import anyio
import pytest
import uvicorn
from anyio.lowlevel import checkpoint
from starlette.types import Message, Receive, Scope, Send

from app.asgi import Body, ClientDisconnected, cancel_on_disconnect, read_body, send_error
from app.config.catalog import Catalog, Model, ModelSpec
from app.errors import UpstreamError
from app.exchange import Exchange
from app.launchers.protocol import LaunchSpec
from app.proxy.connection import AnswerBroken, ConnectFailed
from app.proxy.forwarder import StreamBroken, forward, upstream_target
from app.proxy.transport import UpstreamTransport
from planners.groups import GroupPlanner
from planners.protocol import ModelId
from tests.asgi import Reply, call
from tests.proxy.scripted import Peer, answer, spooled, transport_to, until, upstream

pytestmark = pytest.mark.anyio

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def exchange_for(path: str, query: bytes, body: Body) -> Exchange:
    spec = ModelSpec(LaunchSpec("m", ()), base_url="http://127.0.0.1:1")
    model = Model(ModelId("m"), spec)
    catalog = Catalog(MappingProxyType({model.id: model}), MappingProxyType({}), GroupPlanner((), ()))
    return Exchange(catalog, "m", "m", model, False, body, path, query, 0.0)


class Front:
    """The least application there can be around `forward`."""

    def __init__(self, transport: UpstreamTransport, base_path: bytes | None = None, body: Body | None = None) -> None:
        self.transport = transport
        self.base_path = base_path
        self.body = body
        self.exchange: Exchange | None = None
        self.ended = anyio.Event()
        self.client_left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        self.exchange = exchange_for(scope["raw_path"].decode(), scope["query_string"], self.body or body)
        try:
            async with cancel_on_disconnect(receive):
                await forward(self.exchange, scope, send, self.transport, self.base_path)
        except ClientDisconnected:
            self.client_left = True
        except UpstreamError as exc:
            await send_error(scope, send, exc)
            raise
        finally:
            self.ended.set()


# By itself


async def test_request_and_answer_pass_through() -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b'{"ok": true}', b"Content-Type: application/json", b"Keep-Alive: x", status=b"201 Created"))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        front = Front(transport)
        reply = await call(
            front,
            "POST",
            "/v1/a%2Fb",
            headers=[(b"host", b"client.example"), (b"connection", b"x-mine"), (b"x-mine", b"1"), (b"accept", b"*/*")],
            body=b"hello",
            query=b"q=%20",
            client=("10.0.0.9", 1),
        )

    assert served.seen[0].line == b"POST /v1/a%2Fb?q=%20 HTTP/1.1"
    assert served.seen[0].headers == [
        (b"host", b"client.example"),
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"content-length", b"5"),
    ]
    assert served.seen[0].body == b"hello"
    assert reply.status == 201
    assert reply.headers == [(b"content-type", b"application/json"), (b"content-length", b"12")]
    assert reply.body == b'{"ok": true}'
    assert front.exchange is not None
    assert front.exchange.status == 201
    assert front.exchange.first_byte_at > 0


async def test_small_answer_is_two_messages() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"ok"))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        reply = await call(Front(transport), client=None)

    assert [message["type"] for message in reply.messages] == ["http.response.start", "http.response.body"]


async def test_missing_host_and_address_are_coped_with() -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        await call(Front(transport), client=None)

    assert served.seen[0].headers == [(b"host", b"127.0.0.1:%d" % served.port)]


async def test_events_are_passed_on_as_they_come() -> None:
    passed_on = anyio.Event()
    reply = Reply()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE)
        for number in range(3):
            event = b"data: %d\n\n" % number
            peer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await until(lambda event=event: reply.body.endswith(event))  # type: ignore[misc]  # a default binds it
        passed_on.set()
        peer.write(b"0\r\n\r\n")
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        await call(Front(transport), reply=reply)

    assert passed_on.is_set()
    assert reply.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert reply.header("x-accel-buffering") == "no"
    assert reply.complete


async def test_head_is_passed_on_before_any_body() -> None:
    started = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE)
        await started.wait()
        peer.write(b"0\r\n\r\n")
        await peer.gone()

    async def on_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.set()

    async with upstream(script) as served, transport_to(served.url) as transport:
        reply = await call(Front(transport), on_send=on_send)

    assert reply.complete
    assert reply.body == b""


async def test_slow_client_gets_what_came_meanwhile_in_one_message() -> None:
    written = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"1\r\na\r\n")
        await sent_first.wait()
        for _ in range(5):
            await peer.write_split(b"1\r\nb\r\n")
        await peer.write_split(b"0\r\n\r\n")
        written.set()
        await peer.gone()

    async def on_send(message: Message) -> None:
        if message.get("body") == b"a":
            sent_first.set()
            await written.wait()

    sent_first = anyio.Event()
    async with upstream(script) as served, transport_to(served.url) as transport:
        reply = await call(Front(transport), on_send=on_send)

    assert [message["body"] for message in reply.messages[1:] if message["body"]] == [b"a", b"bbbbb"]


async def test_error_before_the_answer_can_still_be_told() -> None:
    async with transport_to("http://127.0.0.1:1") as transport:
        front = Front(transport)
        reply = Reply()
        with pytest.raises(ConnectFailed):
            await call(front, reply=reply)

    assert reply.status == 502
    assert front.exchange is not None
    assert front.exchange.status == 0
    assert front.exchange.first_byte_at == 0.0


@pytest.mark.parametrize("head", [SSE, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"])
async def test_answer_that_is_cut_is_never_ended(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(head, b"5\r\nhello\r\n")

    reply = Reply()
    async with upstream(script) as served, transport_to(served.url) as transport:
        with caplog.at_level(logging.WARNING, "app.proxy"), pytest.raises(StreamBroken) as caught:
            await call(Front(transport), reply=reply)

    assert isinstance(caught.value.__cause__, AnswerBroken)
    assert not isinstance(caught.value, UpstreamError)
    assert not reply.complete
    assert b"hello" in reply.body
    told = f"the answer of status 200 was cut: the model's server at {served.url} closed the connection before the end"
    assert [record.getMessage() for record in caplog.records] == [f"{told} of its answer"]


async def test_client_that_leaves_while_the_upstream_thinks_is_told_to_it() -> None:
    asked, gone = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.gone()
        gone.set()

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        messages = [await receive()]

        async def receive_until_asked() -> Message:
            if messages:
                return messages.pop()
            await asked.wait()
            return {"type": "http.disconnect"}

        await front(scope, receive_until_asked, send)

    async with upstream(script) as served, transport_to(served.url) as transport:
        front = Front(transport)
        await call(leaving)
        await gone.wait()

    assert front.client_left


async def test_client_that_leaves_in_mid_stream_is_told_to_the_upstream() -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"1\r\na\r\n")
        await peer.gone()
        gone.set()

    async with upstream(script) as served, transport_to(served.url) as transport:
        front = Front(transport)
        await call(front, disconnect_after=2)
        await gone.wait()
        await until(lambda: transport.pool.open_count == 0)

    assert front.client_left


async def test_failing_send_gives_the_connection_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"1\r\na\r\n")
        await peer.gone()

    async def on_send(message: Message) -> None:
        raise OSError("the layer above is broken")

    async with upstream(script) as served, transport_to(served.url) as transport:
        with pytest.raises(OSError, match="layer above"):
            await call(Front(transport), on_send=on_send)
        await until(lambda: transport.pool.open_count == 0)


@pytest.mark.parametrize(
    ("base_path", "path", "query", "target"),
    [
        (b"", b"/v1/x", b"", b"/v1/x"),
        (b"", b"/v1/x", b"a=1", b"/v1/x?a=1"),
        (b"", b"", b"", b"/"),
        (b"/", b"/v1/x", b"", b"/v1/x"),
        (b"/base", b"/v1/x", b"", b"/base/v1/x"),
        (b"/base/", b"/v1/x", b"", b"/base/v1/x"),
        (b"/base/", b"v1/x", b"", b"/base/v1/x"),
        (b"/base", b"v1/x", b"", b"/base/v1/x"),
        (b"/base?k=1", b"/x", b"", b"/base/x?k=1"),
        (b"/base?k=1", b"/x", b"a=2", b"/base/x?k=1&a=2"),
        (b"/base", b"/x", b"a=2", b"/base/x?a=2"),
        (b"/b%2Fc", b"/x%20y//z%C3%A9", b"q=%2F", b"/b%2Fc/x%20y//z%C3%A9?q=%2F"),
    ],
)
def test_target_is_base_and_path_with_one_slash(base_path: bytes, path: bytes, query: bytes, target: bytes) -> None:
    assert upstream_target(base_path, path, query) == target


@pytest.mark.parametrize(("given", "expected"), [(None, b"/base/x?k=1"), (b"", b"/x"), (b"/other", b"/other/x")])
async def test_base_path_is_the_transports_unless_given(given: bytes | None, expected: bytes) -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(f"{served.url}/base?k=1") as transport:
        await call(Front(transport, given), path="/x")

    assert served.seen[0].line == b"GET %b HTTP/1.1" % expected


# Behind a real server


@asynccontextmanager
async def serving(app: Front) -> AsyncIterator[int]:
    """Serves *app* by uvicorn, set up as Hostler sets it up; yields its port."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http="httptools", lifespan="off", log_config=None, access_log=False, date_header=False, server_header=False
        )  # fmt: skip
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            await until(lambda: server.started)
            yield listening.getsockname()[1]
            server.should_exit = True


async def exchanged(port: int, request: bytes) -> bytes:
    """Sends *request* and returns all that comes back until the server closes."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(request)
        received = b""
        with anyio.fail_after(10):
            async for data in stream:
                received += data
        return received


CLOSING_GET = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


async def test_uvicorn_ends_a_whole_stream() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"5\r\nhello\r\n0\r\n\r\n")
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport, serving(Front(transport)) as port:
        received = await exchanged(port, CLOSING_GET)

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\nx-accel-buffering: no\r\n" in head
    assert b"\r\ndate:" not in head
    assert body == b"5\r\nhello\r\n0\r\n\r\n"


async def test_uvicorn_leaves_a_cut_stream_without_its_end() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"5\r\nhello\r\n")

    async with upstream(script) as served, transport_to(served.url) as transport, serving(Front(transport)) as port:
        received = await exchanged(port, CLOSING_GET)

    assert received.endswith(b"5\r\nhello\r\n")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_uvicorn_accepts_answers_that_declare_a_body_they_do_not_have(status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 ", status, b"\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nServer: a\r\n\r\n")
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport, serving(Front(transport)) as port:
        received = await exchanged(port, CLOSING_GET)

    assert received == b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain\r\nserver: a\r\nconnection: close\r\n\r\n"


async def test_uvicorn_answers_head_with_the_length_only() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n")
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport, serving(Front(transport)) as port:
        received = await exchanged(port, CLOSING_GET.replace(b"GET", b"HEAD"))

    assert received == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"


async def test_client_that_hangs_up_on_uvicorn_frees_the_upstream() -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(SSE, b"1\r\na\r\n")
        await peer.gone()
        gone.set()

    async with upstream(script) as served, transport_to(served.url) as transport:
        front = Front(transport)
        async with serving(front) as port:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(CLOSING_GET)
                await stream.receive()
            await gone.wait()
            await front.ended.wait()

    assert front.client_left


async def test_slow_client_of_uvicorn_makes_the_upstream_wait() -> None:
    total = 64 << 20
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            peer.write(b"x" * (64 << 10))
            await peer.writer.drain()
            written += 64 << 10

    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        serving(Front(transport)) as port,
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        await stream.send(CLOSING_GET)
        await stream.receive()
        stalled_at, turns = -1, 0
        while turns < 500:
            stalled_at, turns = (written, turns + 1) if written == stalled_at else (written, 0)
            await checkpoint()

        # Two pairs of socket buffers of some megabytes each, and what we hold.
        assert stalled_at < 40 << 20


async def test_spooled_body_goes_through_uvicorn() -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))
        await peer.gone()

    body = spooled(b"0123456789" * 300_000)
    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        serving(Front(transport, body=body)) as port,
    ):
        received = await exchanged(port, CLOSING_GET.replace(b"GET", b"POST"))
    body.close()

    assert received.endswith(b"\r\n\r\nok")
    assert served.seen[0].body == b"0123456789" * 300_000
