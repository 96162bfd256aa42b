"""Upgrades, on the wire: our real server, spoken to by hand."""

from __future__ import annotations

import json

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import read_body, send_json
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.middleware.upgrade import NoUpgrade
from app.websocket_protocol import WebsocketProtocol
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what it was asked."""
    body = await read_body(receive)
    await send_json(send, {"method": scope["method"], "path": scope["path"], "body": body.data.decode()})


async def talk(*sent: str) -> str:
    """Sends the pieces one after the other and returns all that comes back; the last request asks for the end."""
    app = ErrorBoundary(NoUpgrade(tell))
    async with served(app, http=CorkedProtocol, ws=WebsocketProtocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with anyio.fail_after(20):
            async with await anyio.connect_tcp(host, int(port)) as stream:
                for piece in sent:
                    await stream.send(piece.encode())
                    await anyio.wait_all_tasks_blocked()
                received = b""
                async for data in stream:
                    received += data
    return received.decode()


def bodies(received: str) -> list[dict[str, object]]:
    decoder = json.JSONDecoder()
    found = []
    while (start := received.find("{")) >= 0:
        document, length = decoder.raw_decode(received[start:])
        found.append(document)
        received = received[start + length :]
    return found


def told(method: str, path: str, body: str = "") -> dict[str, object]:
    return {"method": method, "path": path, "body": body}


LAST = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 5\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 3])
async def test_offer_of_h2c_is_ignored_and_the_body_arrives(head: str, body: str, pieces: int) -> None:
    request = f"POST /x HTTP/1.1\r\nHost: a\r\n{H2C}{head}\r\n"
    sent = [[request + body + LAST], [request, body + LAST], [request[:30], request[30:] + body[:3], body[3:] + LAST]]

    assert bodies(await talk(*sent[pieces - 1])) == [told("POST", "/x", "hello"), told("GET", "/last")]


async def test_connection_goes_on_after_an_ignored_offer() -> None:
    get = f"GET /x HTTP/1.1\r\nHost: a\r\n{H2C}\r\n"

    assert bodies(await talk(get, get, LAST)) == [told("GET", "/x"), told("GET", "/x"), told("GET", "/last")]


@pytest.mark.parametrize("upgrade", ["foo", "TLS/1.0", "foo, bar/2"])
async def test_other_protocol_is_refused_and_the_connection_goes_on(upgrade: str) -> None:
    asked = f"GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
    received = await talk(asked, LAST)
    refused, last = bodies(received)

    assert received.startswith("HTTP/1.1 501 ")
    assert refused["error"] == {
        "message": f"cannot upgrade to {upgrade.lower()}: only websocket is spoken here besides HTTP/1.1",
        "type": "server_error",
        "param": None,
        "code": "not_implemented",
    }
    assert last == told("GET", "/last")


async def test_upgrade_that_the_connection_header_does_not_name_is_none() -> None:
    asked = "GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\n\r\n"

    assert bodies(await talk(asked, LAST)) == [told("GET", "/x"), told("GET", "/last")]


async def test_http_1_0_knows_no_upgrade() -> None:
    asked = "GET /x HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert bodies(await talk(asked)) == [told("GET", "/x")]


async def test_connect_is_refused() -> None:
    assert "HTTP/1.1 400 " in await talk("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nfoo")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("POST /x HTTP/1.1", 405),
        ("GET /x HTTP/1.1\r\n" + "\r\n".join(f"X-{number}: 1" for number in range(130)), 400),
        ("GET /x HTTP/1.1", 400),
    ],
    ids=["post", "many headers", "no key"],
)
async def test_websocket_request_that_is_none_is_refused(request_line: str, status: int) -> None:
    asked = f"{request_line}\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert (await talk(asked)).startswith(f"HTTP/1.1 {status} ")
