from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, strategies as st
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from app.asgi import UPGRADE, send_bytes
from app.middleware.paths import CleanPaths, Dispatch, Shortcut, cleaned, send_redirect
from tests.asgi import Reply, call

pytestmark = pytest.mark.anyio


class Named:
    """An endpoint that says its name, and what it was called with."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4000, "reason": self._name})
            return
        parameters = scope.get("path_params", {})
        await send_bytes(send, 200, f"{self._name} {parameters}".encode())


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


ROUTES: list[BaseRoute] = [
    Route("/list", Named("list"), methods=["GET"]),
    Route("/both", Named("get"), methods=["GET"]),
    Route("/both", Named("post"), methods=["POST"]),
    Route("/put", Named("put"), methods=["PUT"]),
    Route("/any", Named("any")),
    Route("/stop/{model:path}", Named("stop"), methods=["POST"]),
    Route("/page/{id}", Named("page"), methods=["GET"]),
    Route("/page/{id}", Named("new page"), methods=["PUT"]),
    Route("/upstream/{rest:path}", Named("upstream")),
    WebSocketRoute("/upstream/{rest:path}", Named("socket")),
    Mount("/ui", Named("ui")),
    Host("elsewhere", Named("elsewhere")),
]


async def ask(method: str, path: str, **how: object) -> Reply:
    return await call(Dispatch(ROUTES, refusing), method, path, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/list", "list"),
        ("HEAD", "/list", "list"),
        ("GET", "/both", "get"),
        ("POST", "/both", "post"),
        ("GET", "/any", "any"),
        ("DELETE", "/any", "any"),
        ("POST", "/stop/a/b", "stop {'model': 'a/b'}"),
        ("PUT", "/page/1", "new page {'id': '1'}"),
        ("PATCH", "/upstream/a/b", "upstream {'rest': 'a/b'}"),
        ("PATCH", "/upstream/a%0Ab%0A", "upstream {'rest': 'a\\nb\\n'}"),
        ("GET", "/ui/x", "ui {}"),
    ],
)
async def test_path_and_method_find_their_endpoint(method: str, path: str, name: str) -> None:
    reply = await ask(method, path)

    assert reply.status == 200
    assert reply.body.startswith(name.encode())


async def test_route_of_another_kind_is_asked_as_well() -> None:
    reply = await ask("GET", "/x", headers=[(b"host", b"elsewhere")])

    assert reply.body.startswith(b"elsewhere")


async def test_path_is_found_below_the_one_that_a_reverse_proxy_puts_us_at() -> None:
    reply = await ask("GET", "/below/list", extra={"root_path": "/below"})

    assert reply.body.startswith(b"list")


@pytest.mark.parametrize("path", ["/nowhere", "/list/", "/page", "/stop", "/LIST", "*"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_where_nothing_is_go_says_so(method: str, path: str) -> None:
    reply = await ask(method, path)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert reply.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/list", "GET, HEAD"),
        ("DELETE", "/both", "GET, HEAD, POST"),
        ("GET", "/put", "PUT"),
        ("GET", "/stop/a", "POST"),
        ("POST", "/page/1", "GET, HEAD, PUT"),
    ],
)
async def test_method_that_does_not_fit_is_told_those_that_do(method: str, path: str, allow: str) -> None:
    reply = await ask(method, path)

    assert (reply.status, reply.body, reply.header("allow")) == (405, b"Method Not Allowed\n", allow)
    assert reply.header("content-type") == "text/plain; charset=utf-8"


async def knock(app: CleanPaths | Dispatch | Shortcut, path: str) -> list[Message]:
    """Returns what a client of a websocket is sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = path.encode()
    scope = {"type": "websocket", "path": unquote_to_bytes(raw).decode(), "raw_path": raw, "headers": []}
    await app(scope, receive, send)
    return sent


async def test_websocket_finds_its_endpoint() -> None:
    assert await knock(Dispatch(ROUTES, refusing), "/upstream/a") == [
        {"type": "websocket.close", "code": 4000, "reason": "socket"}
    ]


@pytest.mark.parametrize("path", ["/list", "/nowhere"])
async def test_websocket_where_none_is_served_is_refused(path: str) -> None:
    assert await knock(Dispatch(ROUTES, refusing), path) == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize(
    ("method", "path", "name"), [("GET", "/list", "list"), ("HEAD", "/list", "list"), ("POST", "/both", "post")]
)
async def test_plain_path_takes_the_shortcut(method: str, path: str, name: str) -> None:
    reply = await call(Shortcut(refusing, Dispatch(ROUTES, refusing)), method, path)

    assert reply.body == f"{name} {{}}".encode()


@pytest.mark.parametrize(
    ("method", "path", "extra"),
    [
        ("POST", "/list", {}),
        ("GET", "/nowhere", {}),
        ("GET", "//list", {}),
        ("GET", "/list/", {}),
        ("POST", "/stop/a", {}),
        ("OPTIONS", "/options", {}),
        ("GET", "/un//clean", {}),
        ("GET", "/list", {"root_path": "/list"}),
        ("GET", "/below/list", {"root_path": "/below"}),
        ("GET", "/list", {UPGRADE: b"spdy"}),
        ("GET", "/list", {"type": "lifespan"}),
    ],
)
async def test_what_another_layer_may_have_something_to_say_of_takes_no_shortcut(
    method: str, path: str, extra: dict[str, object]
) -> None:
    odd = [Route("/options", refusing, methods=["OPTIONS"]), Route("/un//clean", refusing, methods=["GET"])]

    reply = await call(Shortcut(Named("the other way"), Dispatch([*ROUTES, *odd], refusing)), method, path, extra=extra)

    assert reply.body == b"the other way {}"


async def test_websocket_takes_no_shortcut() -> None:
    (sent,) = await knock(Shortcut(Named("the other way"), Dispatch(ROUTES, refusing)), "/list")

    assert sent["reason"] == "the other way"


async def test_lifespan_goes_to_the_other_application() -> None:
    with pytest.raises(AssertionError):
        await call(CleanPaths(Dispatch(ROUTES, refusing)), extra={"type": "lifespan"})


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//a", "/a"),
        ("/a//b/", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/../../a", "/a"),
        ("/a/b/../", "/a/"),
        ("/a/.", "/a"),
        ("/..", "/"),
        ("//", "/"),
        ("///", "/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/upstream/a//b%2Fc/%20", "/upstream/a/b%2Fc/%20"),
        ("//evil.example/x", "/evil.example/x"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
async def test_unclean_path_is_sent_to_the_clean_one(method: str, path: str, clean: str) -> None:
    reply = await call(CleanPaths(refusing), method, path, query=b"a=//..&b")

    assert (reply.status, reply.header("location"), reply.complete) == (307, f"{clean}?a=//..&b", True)


async def test_redirects_of_page_visits_have_the_body_that_go_gives_them() -> None:
    """A6 of the specification."""
    get = await call(CleanPaths(refusing), "GET", "/x//'y'")
    post = await call(CleanPaths(refusing), "POST", "/x//y")

    assert get.body == b'<a href="/x/&#39;y&#39;">Temporary Redirect</a>.\n\n'
    assert get.header("content-type") == "text/html; charset=utf-8"
    assert (post.body, post.header("content-type"), post.header("content-length")) == (b"", None, "0")


async def test_redirect_cannot_lead_to_another_host() -> None:
    reply = await call(CleanPaths(refusing), "GET", "/./\\evil.example/")

    assert reply.header("location") == "/%5Cevil.example/"


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/a/", "/a.b/..c/c..", "/.well-known/x", "/a%2F%2Fb", "/a%2F..%2Fb", "/a/%2E%2Fb", "/a/...", "*"],
)
async def test_clean_path_passes_as_it_is(path: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, 200, scope["raw_path"])

    reply = await call(CleanPaths(app), "GET", path)

    assert (reply.status, reply.body) == (200, path.encode())


async def test_websocket_at_an_unclean_path_is_refused() -> None:
    assert await knock(CleanPaths(refusing), "/upstream/a/%2e%2e/b") == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize(("status", "words"), [(301, "Moved Permanently"), (302, "Found"), (308, "Permanent Redirect")])
async def test_redirect_is_called_what_it_is(status: int, words: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_redirect(scope, send, status, b"/ui/")

    reply = await call(app)

    assert (reply.status, reply.body) == (status, f'<a href="/ui/">{words}</a>.\n\n'.encode())


segments = st.sampled_from(["", ".", "..", "%2e", "%2E.", "a", "b%2Fc", "%20", "...", "é".encode().decode("latin-1")])


@given(st.lists(segments))
@example(["..", "..", "a"])
def test_cleaning_leaves_nothing_to_clean(parts: list[str]) -> None:
    raw = "/".join(["", *parts]).encode("latin-1") or b"/"

    clean = cleaned(raw)

    assert clean.startswith(b"/")
    assert cleaned(clean) == clean
    assert not {b".", b".."} & {unquote_to_bytes(part) for part in clean.split(b"/")}
    assert b"//" not in clean
