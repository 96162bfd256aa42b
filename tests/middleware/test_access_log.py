from __future__ import annotations

import re

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.asgi import ClientDisconnected, cancel_on_disconnect, read_body, send_bytes
from app.config.catalog import LogSettings
from app.middleware.access_log import AccessLog
from app.telemetry.logs import LogBook
from tests.asgi import call

pytestmark = pytest.mark.anyio

LINE = re.compile(
    r'\[INFO\] Request (?P<ip>\S+) "(?P<method>[A-Z]+) (?P<path>.*) (?P<proto>HTTP/[\d.]+)" (?P<status>\d{3}) (?P<size>\d+) '
    r'"(?P<agent>.*)" (?P<duration>(?:\d+(?:\.\d+)?(?:ns|µs|ms|s|m|h))+)\n'
)


@pytest.fixture
def book() -> LogBook:
    return LogBook(LogSettings())


def line(book: LogBook) -> dict[str, str]:
    """Returns the parts of the one access line there is."""
    text = book.history("proxy").decode()
    match = LINE.fullmatch(text)
    assert match is not None, text
    return match.groupdict()


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"hel", "more_body": True})
    await send({"type": "http.response.body", "body": b"lo"})


async def test_one_line_for_each_request(book: LogBook) -> None:
    reply = await call(
        AccessLog(hello, book),
        "PUT",
        "/api/profiles/active",
        headers=[(b"host", b"x"), (b"user-agent", b"curl/7.88.1")],
        query=b"a=secret",
    )

    assert reply.body == b"hello"
    parts = line(book)
    del parts["duration"]
    assert parts == {
        "ip": "127.0.0.1",
        "method": "PUT",
        "path": "/api/profiles/active",
        "proto": "HTTP/1.1",
        "status": "201",
        "size": "5",
        "agent": "curl/7.88.1",
    }


@pytest.mark.parametrize(
    "path", ["/wol-health", "/api/performance", "/api/performance/x", "/metrics", "/ui/assets/0/main.js"]
)
async def test_what_is_polled_is_not_logged(book: LogBook, path: str) -> None:
    reply = await call(AccessLog(hello, book), path=path)

    assert reply.complete
    assert book.history("proxy") == b""


async def test_level_above_info_has_no_access_lines() -> None:
    book = LogBook(LogSettings(level="warn"))
    reply = await call(AccessLog(hello, book))

    assert reply.complete
    assert book.history("proxy") == b""


async def test_messages_of_extensions_pass_and_count_for_nothing(book: LogBook) -> None:
    sent: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"abc"})
        await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            sent.append(message["type"])

        await AccessLog(app, book)(scope, receive, note)

    await call(outer)

    assert sent[-1] == "http.response.trailers"
    assert (line(book)["status"], line(book)["size"]) == ("200", "3")


async def test_other_protocols_pass_untouched(book: LogBook) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await call(AccessLog(app, book), extra={"type": "lifespan"})

    assert seen == ["lifespan"]
    assert book.history("proxy") == b""


async def test_path_is_the_one_that_was_asked_for_not_the_one_it_became(book: LogBook) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = "/rest"
        await hello(scope, receive, send)

    await call(AccessLog(app, book), path="/upstream/a/rest")

    assert line(book)["path"] == "/upstream/a/rest"


async def test_line_is_written_when_the_response_is_complete(book: LogBook) -> None:
    async def on_send(message: Message) -> None:
        assert book.history("proxy") == b""

    await call(AccessLog(hello, book), on_send=on_send)

    assert line(book)["status"] == "201"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-forwarded-for", b" 10.0.0.7 , 10.0.0.8"), (b"x-real-ip", b"10.0.0.9")], "10.0.0.7"),
        ([(b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"10.0.0.2")], "10.0.0.1"),
        ([(b"x-real-ip", b"2001:db8::1")], "2001:db8::1"),
        ([(b"x-forwarded-for", b""), (b"x-real-ip", b"10.0.0.9")], "10.0.0.9"),
        ([(b"x-forwarded-for", b'"\r\n\x1b \xff')], "127.0.0.1"),
        ([(b"x-forwarded-for", b'1.2.3.4" 200\x1b[31m\nfake')], "1.2.3.4200[31mfake"),
        ([(b"x-forwarded-for", b"1" * 5000)], "1" * 64),
        ([], "127.0.0.1"),
    ],
)
async def test_address(book: LogBook, headers: list[tuple[bytes, bytes]], expected: str) -> None:
    await call(AccessLog(hello, book), headers=headers)

    assert line(book)["ip"] == expected


async def test_client_on_a_unix_socket_has_no_address(book: LogBook) -> None:
    await call(AccessLog(hello, book), client=None)

    assert line(book)["ip"] == "-"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (b"Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"),
        (b"a\r\n[ERROR] forged\x1b[31m\t", r"a\r\n[ERROR] forged\x1b[31m\t"),
        (b'" 200 0 "\\', r"\" 200 0 \"\\"),
        ("señor\u2028\u202e".encode(), "señor\\u2028\\u202e"),
        (b"\xff\x9b", "\ufffd\ufffd"),
        (b"x" * 2000, "x" * 1024 + "…"),
    ],
)
async def test_what_a_client_chose_cannot_break_the_line(book: LogBook, agent: bytes, expected: str) -> None:
    await call(AccessLog(hello, book), headers=[(b"user-agent", agent)])

    assert line(book)["agent"] == expected


async def test_encoded_path_cannot_break_the_line(book: LogBook) -> None:
    await call(AccessLog(hello, book), path="/a%0d%0a[ERROR]%1b%22b%C3%A4")

    assert line(book)["path"] == '/a\\r\\n[ERROR]\\x1b\\"bä'


async def test_app_that_raises_is_logged_as_the_failure_it_becomes(book: LogBook) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await call(AccessLog(app, book))

    assert line(book)["status"] == "500"
    assert line(book)["size"] == "0"


async def test_app_that_raises_in_mid_stream_is_logged_with_what_was_sent(book: LogBook) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await call(AccessLog(app, book))

    assert line(book)["status"] == "200"
    assert line(book)["size"] == "3"


async def waits_for_a_model(scope: Scope, receive: Receive, send: Send) -> None:
    await read_body(receive)
    async with cancel_on_disconnect(receive):
        await anyio.sleep_forever()


async def test_client_that_leaves_before_a_response_is_499(book: LogBook) -> None:
    with pytest.raises(ClientDisconnected):
        await call(AccessLog(waits_for_a_model, book), "POST", disconnect_after=0)

    assert line(book)["status"] == "499"


async def test_client_that_leaves_unheard_is_499_too(book: LogBook) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ClientDisconnected):
            await waits_for_a_model(scope, receive, send)

    await call(AccessLog(app, book), "POST", disconnect_after=0)

    assert line(book)["status"] == "499"


async def test_client_that_leaves_in_mid_stream_is_logged_with_what_was_sent(book: LogBook) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with cancel_on_disconnect(receive):
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
            await anyio.sleep_forever()

    with pytest.raises(ClientDisconnected):
        await call(AccessLog(app, book), disconnect_after=2)

    assert line(book)["status"] == "200"
    assert line(book)["size"] == "3"


async def test_cancelled_request_is_logged(book: LogBook) -> None:
    with anyio.CancelScope() as scope:

        async def app(inner: Scope, receive: Receive, send: Send) -> None:
            scope.cancel()
            await anyio.sleep_forever()

        await call(AccessLog(app, book))

    assert line(book)["status"] == "500"


async def test_slow_send_is_waited_for_and_its_time_is_in_the_line(book: LogBook) -> None:
    """The layer hands on what `send` returns without awaiting it: the app must still be held back by it."""
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, 200, b"x")
        order.append("app goes on")

    async def on_send(message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        order.append(message["type"])

    await call(AccessLog(app, book), on_send=on_send)

    assert order == ["http.response.start", "http.response.body", "app goes on"]
