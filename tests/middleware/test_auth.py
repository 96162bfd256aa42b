from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.asgi import send_bytes
from app.config.catalog import Catalog
from app.middleware import auth
from app.middleware.auth import Auth, guard, key_of
from app.middleware.paths import Dispatch
from tests.asgi import call
from tests.endpoints.catalogs import catalog

pytestmark = pytest.mark.anyio

KEYS = ("sk-one", "schlüssel", "sk-three")


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    await send_bytes(send, 200, b"inner")


def guarded(keys: Sequence[str] = KEYS, app: ASGIApp = inner) -> Auth:
    configured = replace(catalog(), api_keys=tuple(keys))
    return Auth(app, lambda: configured)


def basic(credentials: str) -> bytes:
    return b"Basic " + base64.b64encode(credentials.encode())


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer sk-one"),
        (b"authorization", b"bearer   sk-three "),
        (b"authorization", "BEARER schlüssel".encode()),
        (b"authorization", basic("user:sk-one")),
        (b"authorization", basic(":schlüssel")),
        (b"authorization", basic("user:sk-one").replace(b"Basic", b"bAsIc")),
        (b"x-api-key", b"sk-three"),
    ],
)
async def test_right_key_is_let_in(header: tuple[bytes, bytes]) -> None:
    assert (await call(guarded(), headers=[header])).body == b"inner"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"sk-one")],
        [(b"authorization", b"Digest sk-one")],
        [(b"authorization", b"Bearer sk-one2")],
        [(b"authorization", b"Bearer sk-on")],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"authorization", b"Basic sk-one")],
        [(b"authorization", b"Basic \xff")],
        [(b"authorization", basic("sk-one"))],
        [(b"authorization", basic("sk-one:wrong"))],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"SK-ONE")],
        [(b"cookie", b"sk-one")],
    ],
)
async def test_wrong_key_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    reply = await call(guarded(), headers=headers)

    assert (reply.status, reply.header("www-authenticate")) == (401, 'Basic realm="llama-swap"')
    assert json.loads(reply.body) == {
        "src": "llama-swap",
        "error": {
            "message": "unauthorized: invalid or missing API key",
            "type": "authentication_error",
            "param": None,
            "code": "unauthorized",
        },
    }


async def test_one_key_is_as_good_the_second_time() -> None:
    app = guarded()

    assert [(await call(app, headers=[(b"x-api-key", b"sk-one")])).status for _ in range(2)] == [200, 200]


async def test_refusal_speaks_the_dialect_of_its_endpoint() -> None:
    reply = await call(guarded(), "POST", "/v1/messages")

    assert json.loads(reply.body)["error"]["type"] == "authentication_error"
    assert json.loads(reply.body)["type"] == "error"


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        (b"Bearer a", b"b", b"a"),
        (basic("u:a"), b"b", b"a"),
        (b"Bearer ", b"b", b"b"),
        (basic("u:"), b"b", b"b"),
        (b"Basic !", b"b", b"b"),
        (b"Digest a", b"b", b"b"),
        (b"", b" b ", b"b"),
    ],
)
def test_the_first_key_that_is_not_empty_counts(authorization: bytes, x_api_key: bytes, key: bytes) -> None:
    assert key_of([(b"x-api-key", x_api_key), (b"authorization", authorization)]) == key


def test_of_a_header_sent_twice_the_first_counts() -> None:
    assert key_of([(b"x-api-key", b"a"), (b"x-api-key", b"b")]) == b"a"
    assert key_of([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")]) == b"a"


async def test_without_keys_everybody_is_let_in() -> None:
    assert (await call(guarded(()))).body == b"inner"


async def test_keys_of_a_reload_count_from_the_next_request_on() -> None:
    current: Catalog = catalog()
    app = Auth(inner, lambda: current)
    header = [(b"x-api-key", b"new")]

    statuses = []
    for keys in ((), ("old",), ("old", "new"), ("old",), ()):
        current = replace(current, api_keys=keys)
        statuses.append((await call(app, headers=header)).status)

    assert statuses == [200, 401, 200, 401, 200]


@pytest.mark.parametrize("key", [b"sk-one", b"sk-three", b"wrong"])
async def test_every_key_is_compared_as_a_hash_whichever_matches(key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    class Spy:
        @staticmethod
        def compare_digest(a: bytes, b: bytes) -> bool:
            compared.append((a, b))
            return hmac.compare_digest(a, b)

    monkeypatch.setattr(auth, "hmac", Spy)

    await call(guarded(), headers=[(b"x-api-key", key)])

    assert len(compared) == len(KEYS)
    assert {len(side) for pair in compared for side in pair} == {32}


async def knock(app: ASGIApp, *, headers: Sequence[tuple[bytes, bytes]] = (), can_deny: bool) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    extensions: dict[str, object] = {"websocket.http.response": {}} if can_deny else {}
    await app(
        {"type": "websocket", "path": "/upstream/a/ws", "headers": headers, "extensions": extensions}, receive, send
    )
    return sent


async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})


async def test_websocket_is_refused_with_a_status_of_its_own() -> None:
    start, body = await knock(guarded(app=accepting), can_deny=True)

    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert (b"www-authenticate", b'Basic realm="llama-swap"') in start["headers"]
    assert body["type"] == "websocket.http.response.body"
    assert json.loads(body["body"])["error"]["code"] == "unauthorized"


async def test_websocket_is_closed_unopened_by_servers_that_know_nothing_better() -> None:
    assert await knock(guarded(app=accepting), can_deny=False) == [{"type": "websocket.close", "code": 1000}]


async def test_websocket_with_a_key_is_opened() -> None:
    sent = await knock(guarded(app=accepting), headers=[(b"x-api-key", b"sk-one")], can_deny=True)

    assert sent == [{"type": "websocket.accept"}]


ROUTES = ["/health", "/wol-health", "/favicon.ico", "/upstream", "/v1/models", "/metrics", "/comfyui"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/wol-health", 200),
        ("GET", "/favicon.ico", 200),
        ("GET", "/upstream", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/models", 401),
        ("GET", "/metrics", 401),
        ("GET", "/comfyui", 401),
        ("GET", "/upstream/a/b", 401),
        ("GET", "/ui/index.html", 401),
    ],
)
async def test_what_is_nobodys_secret_is_open(method: str, path: str, status: int) -> None:
    """Section 3.3 of the specification."""
    configured = replace(catalog(), api_keys=KEYS)
    routes: list[BaseRoute] = [Route(each, guarded((), inner), methods=["GET"]) for each in ROUTES]
    routes += [Route("/upstream/{rest:path}", guarded((), inner)), Mount("/ui", inner)]
    routes += [WebSocketRoute("/upstream/{rest:path}", guarded((), inner))]

    reply = await call(Dispatch(guard(routes, lambda: configured), inner), method, path)

    assert reply.status == status


def test_route_that_cannot_be_guarded_is_not_served() -> None:
    with pytest.raises(AssertionError, match="cannot guard"):
        guard([Host("x", inner)], catalog)
