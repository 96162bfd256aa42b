from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import uvicorn
from starlette.routing import Route, Router
from starlette.types import Message

from app.config.catalog import Catalog, LogSettings
from app.endpoints.logs import LogFollow, routes
from app.http_protocol import CorkedProtocol
from app.telemetry.logs import LogBook
from tests.asgi import Reply, call
from tests.endpoints.catalogs import catalog, model
from tests.middleware import serving

pytestmark = pytest.mark.anyio

MODELS = catalog(model("org/a", aliases=("short",)), model("proxy"), model("b"))


def current() -> Catalog:
    return MODELS


@asynccontextmanager
async def served(book: LogBook) -> AsyncIterator[str]:
    """Serves the endpoints on a real socket; gives the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(Router(routes(current, book)), log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


async def ask(book: LogBook, path: str, query: bytes = b"", **arguments: object) -> Reply:
    return await call(Router(routes(current, book)), path=path, query=query, **arguments)  # type: ignore[arg-type]


def filled() -> LogBook:
    """Returns a book with a line in each log."""
    book = LogBook(LogSettings(to_stdout="proxy"))
    book.proxy_line("INFO", "ours")
    book.model_sink("org/a")(b"a's\n")
    book.model_sink("b")(b"\x1b[1mb's\xff\n")
    return book


async def test_logs_is_the_combined_history() -> None:
    reply = await ask(filled(), "/logs")

    assert (reply.status, reply.body) == (200, b"[INFO] ours\n")
    assert reply.header("content-type") == "text/plain; charset=utf-8"


async def test_logs_sends_a_browser_to_the_page() -> None:
    reply = await ask(filled(), "/logs", headers=[(b"accept", b"text/html,*/*")])

    assert (reply.status, reply.header("location")) == (302, "/ui/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/logs/stream", b"[INFO] ours\n"),
        ("/logs/stream/", b"[INFO] ours\n"),
        ("/logs/stream/proxy", b"[INFO] ours\n"),
        ("/logs/stream/upstream", b"a's\n\x1b[1mb's\xff\n"),
        ("/logs/stream/org/a", b"a's\n"),
        ("/logs/stream/org%2Fa", b"a's\n"),
        ("/logs/stream/short", b"a's\n"),
        ("/logs/stream/b", b"\x1b[1mb's\xff\n"),
    ],
)
async def test_stream_begins_with_its_history(path: str, expected: bytes) -> None:
    async with filled() as book:
        book.close()
        reply = await ask(book, path)

    assert (reply.status, reply.body, reply.complete) == (200, expected, True)
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("x-accel-buffering") == "no"
    assert reply.header("content-length") is None


@pytest.mark.parametrize("query", [b"no-history", b"no-history=", b"a=1&no-history=false"])
async def test_stream_without_history(query: bytes) -> None:
    async with filled() as book:
        book.close()
        reply = await ask(book, "/logs/stream/proxy", query)

    assert (reply.status, reply.body, reply.complete) == (200, b"", True)


@pytest.mark.parametrize("name", ["nobody", "combined", "org", "org/a/b"])
async def test_unknown_log_is_told_plainly(name: str) -> None:
    reply = await ask(filled(), f"/logs/stream/{name}")

    assert (reply.status, reply.body) == (400, b"invalid logger. Use 'proxy', 'upstream' or a model's ID")
    assert reply.header("content-type") == "text/plain; charset=utf-8"


async def test_head_does_not_wait_for_logs() -> None:
    async with filled() as book:
        with anyio.fail_after(5):
            reply = await ask(book, "/logs/stream", method="HEAD")

    assert (reply.status, reply.body, reply.complete) == (200, b"", True)


async def test_stream_ends_when_the_client_leaves() -> None:
    async with filled() as book:
        with anyio.fail_after(5):
            reply = await ask(book, "/logs/stream", disconnect_after=3)

        assert (reply.status, reply.body, reply.complete) == (200, b"[INFO] ours\n", False)


async def test_stream_ends_when_the_client_leaves_before_it_began() -> None:
    async with filled() as book:
        with anyio.fail_after(5):
            reply = await ask(book, "/logs/stream", disconnect_after=0)

        assert not reply.complete


async def test_stream_grows_with_its_log_until_the_end() -> None:
    async with filled() as book:
        sink = book.model_sink("b")

        async def on_send(message: Message) -> None:
            if message.get("body", b"").endswith(b"\xff\n"):
                sink(b"more\n")
                book.close()

        with anyio.fail_after(5):
            reply = await ask(book, "/logs/stream/b", on_send=on_send)

    assert (reply.body, reply.complete) == (b"\x1b[1mb's\xff\nmore\n", True)


async def test_head_of_a_silent_stream_arrives_before_its_first_line() -> None:
    async with LogBook(LogSettings()) as book, served(book) as url, httpx.AsyncClient() as client:
        with anyio.fail_after(5):
            async with client.stream("GET", f"{url}/logs/stream/b") as reply:
                assert reply.status_code == 200
                book.model_sink("b")(b"first\n")
                assert await anext(reply.aiter_raw()) == b"first\n"


async def test_two_hundred_clients_of_a_real_server_get_every_byte() -> None:
    lines = [b"%04d %s\n" % (number, b"x" * 90) for number in range(1000)]
    got: list[bytes] = []

    async def follow(client: httpx.AsyncClient, url: str) -> None:
        async with client.stream("GET", url) as reply:
            connected.release()
            got.append(b"".join([chunk async for chunk in reply.aiter_raw()]))

    connected = anyio.Semaphore(0)
    limits = httpx.Limits(max_connections=None)
    async with LogBook(LogSettings()) as book, served(book) as url, httpx.AsyncClient(limits=limits) as client:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                for _ in range(200):
                    group.start_soon(follow, client, f"{url}/logs/stream/b?no-history")
                for _ in range(200):
                    await connected.acquire()
                sink = book.model_sink("b")
                for number, line in enumerate(lines):
                    sink(line)
                    if number % 100 == 0:
                        await anyio.lowlevel.checkpoint()
                book.close()

    assert len(got) == 200
    assert set(got) == {b"".join(lines)}


async def test_client_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed() -> None:
    block = b"x" * 65_535 + b"\n"
    marker = re.compile("\n— (\\d+) bytes dropped —\n".encode())
    async with (
        LogBook(LogSettings()) as book,
        served(book) as url,
        httpx.AsyncClient() as client,
        client.stream("GET", f"{url}/logs/stream/b") as reply,
    ):
        sink = book.model_sink("b")
        tracemalloc.start()
        try:
            for _ in range(1000):
                sink(block)
                await anyio.lowlevel.checkpoint()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        book.close()
        got = b"".join([chunk async for chunk in reply.aiter_raw()])

    assert peak < 8 << 20
    missing = [int(number) for number in marker.findall(got)]
    assert missing
    assert len(marker.sub(b"", got)) + sum(missing) == 1000 * len(block)


async def lazy_client(url: str) -> socket.socket:
    """Connects a client that asks for a log, with the smallest of buffers, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = url.removeprefix("http://").partition(":")
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (host, int(port)))
    await asyncio.get_running_loop().sock_sendall(client, b"GET /logs/stream/b HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


async def is_cut(client: socket.socket) -> bool:
    """Reads what was sent to *client*, and returns whether it has no proper end."""
    last = b""
    with anyio.fail_after(20), contextlib.suppress(ConnectionResetError):
        while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            last = (last + data)[-5:]
    return last != b"0\r\n\r\n"


async def test_client_that_takes_nothing_for_long_is_cut_off() -> None:
    async with LogBook(LogSettings()) as book:
        app = Router([Route("/logs/stream/{name:path}", LogFollow(current, book, stalled_s=0.05))])
        async with serving.served(app, http=CorkedProtocol) as url:
            client = await lazy_client(url)
            sink = book.model_sink("b")
            with client:
                with anyio.fail_after(20):
                    while not book._when_closed:
                        await anyio.sleep(0.001)
                    while book._when_closed:
                        sink(b"x" * 65_536)
                        await anyio.sleep(0.001)
                assert await is_cut(client)


async def test_client_that_takes_nothing_does_not_hold_up_the_end() -> None:
    """Nor does what the server and the system have buffered for it."""
    async with (
        LogBook(LogSettings()) as book,
        serving.served(Router(routes(current, book)), http=CorkedProtocol) as url,
    ):
        client = await lazy_client(url)
        sink = book.model_sink("b")
        with client:
            with anyio.fail_after(20):
                while not book._when_closed:
                    await anyio.sleep(0.001)
            for _ in range(200):
                sink(b"x" * 65_536)
                await anyio.sleep(0.001)
            book.close()
            with anyio.fail_after(20):
                while book._when_closed:
                    await anyio.sleep(0.001)
            assert await is_cut(client)
