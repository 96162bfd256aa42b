from __future__ import annotations

import re

import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import Body, ClientDisconnected
from app.config.catalog import Profile, Selector, Strategy
from app.endpoints import upstream
from app.endpoints.upstream import Upstream, split
from app.exchange import exchange_of
from app.scheduler.instances import Phase
from tests.asgi import Reply, call
from tests.endpoints.catalogs import Supervised, catalog, model, peer, routing
from tests.endpoints.echo import Told, stack, told

pytestmark = pytest.mark.anyio

CATALOG = catalog(
    model("a", aliases=("al", "org/al")), model("org/m"), model("org/m/v1:q4"), model("größe x"), model("full", concurrency_limit=0)
)  # fmt: skip


async def ask(path: str, method: str = "GET", **arguments: object) -> Reply:
    async with stack(lambda: CATALOG) as served:
        return await call(served.app, method, path, **arguments)  # type: ignore[arg-type]  # those of `call`


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("a", ("a", "a", "")),
        ("a/", ("a", "a", "/")),
        ("a//", ("a", "a", "//")),
        ("a//b", ("a", "a", "//b")),
        ("a/b/c", ("a", "a", "/b/c")),
        ("al/b", ("al", "a", "/b")),
        ("org/al/b", ("org/al", "a", "/b")),
        ("org/m", ("org/m", "org/m", "")),
        ("org/m/b", ("org/m", "org/m", "/b")),
        ("org/m/v1:q4", ("org/m/v1:q4", "org/m/v1:q4", "")),
        ("org/m/v1:q4/b", ("org/m/v1:q4", "org/m/v1:q4", "/b")),
        ("org/m/v1:q4x/b", ("org/m", "org/m", "/v1:q4x/b")),
        ("org%2Fm/b", ("org%2Fm", "org/m", "/b")),
        ("org%2fm%2Fv1%3Aq4/b%2Fc", ("org%2fm%2Fv1%3Aq4", "org/m/v1:q4", "/b%2Fc")),
        ("gr%C3%B6%C3%9Fe%20x/b", ("gr%C3%B6%C3%9Fe%20x", "größe x", "/b")),
        ("", None),
        ("/", None),
        ("/a", None),
        ("org", None),
        ("org/x", None),
        ("A/b", None),
        ("b/a", None),
    ],
)
def test_longest_run_of_segments_names_the_model(raw: str, found: tuple[str, str, str] | None) -> None:
    result = split(CATALOG, raw)

    assert (result and (result[0], result[1].id, result[2])) == found


def test_configuration_without_models_has_no_paths() -> None:
    assert split(catalog(), "a/b") is None


def test_million_slashes_cost_no_more_than_reading_them() -> None:
    """Trying every prefix would take hours: the test's time limit is the assertion."""
    result = split(CATALOG, "org/m" + "/%41" * 1_000_000)

    assert result is not None
    assert result[0] == "org/m"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_request_reaches_the_upstream_as_it_is(method: str) -> None:
    reply = await ask("/upstream/org%2Fm/a%2Fb//c%20d", method, query=b"q=%41&r", body=[b"some ", b"body"])

    assert told(reply) == Told(method, "/a%2Fb//c%20d?q=%41&r", "some body")


async def test_body_is_not_looked_into() -> None:
    reply = await ask(
        "/upstream/a/v1/chat/completions", "POST", headers=[(b"content-type", b"application/json")], body=b"{not json"
    )

    assert told(reply) == Told("POST", "/v1/chat/completions", "{not json")


async def test_alias_leads_to_its_model() -> None:
    async with stack(lambda: CATALOG) as served:
        await call(served.app, path="/upstream/org/al/x")

        assert served.supervised.leased == ["a"]


async def test_root_of_the_upstream_is_a_path() -> None:
    assert told(await ask("/upstream/a/")) == Told("GET", "/", "")


@pytest.mark.parametrize("path", ["/upstream/x", "/upstream/x/y", "/upstream/", "/upstream//a"])
async def test_unknown_model_is_told_so(path: str) -> None:
    reply = await ask(path, headers=[(b"accept", b"text/plain")])

    assert (reply.status, reply.body) == (404, b"llama-swap: model not found")


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 301, b'<a href="/upstream/org/m/?a=%2F&amp;b=&lt;&#34;">Moved Permanently</a>.\n\n'),
        ("POST", 308, b""),
        ("DELETE", 308, b""),
    ],
)
async def test_model_without_a_path_is_redirected_to_its_root(method: str, status: int, body: bytes) -> None:
    reply = await ask("/upstream/org/m", method, query=b'a=%2F&b=<"')

    assert (reply.status, reply.body) == (status, body)
    assert reply.header("location") == '/upstream/org/m/?a=%2F&b=<"'


async def test_redirect_is_the_golden_sample() -> None:
    """A6 of the specification."""
    reply = await ask("/upstream/a")

    assert reply.body == b'<a href="/upstream/a/">Moved Permanently</a>.\n\n'
    assert reply.header("content-type") == "text/html; charset=utf-8"
    assert reply.header("location") == "/upstream/a/"


async def test_redirect_keeps_the_name_as_it_was_written() -> None:
    assert (await ask("/upstream/gr%C3%B6%C3%9Fe%20x")).header("location") == "/upstream/gr%C3%B6%C3%9Fe%20x/"


async def test_redirect_below_another_root_stays_below_it() -> None:
    reply = await ask("/proxy/upstream/a", extra={"root_path": "/proxy"})

    assert reply.header("location") == "/proxy/upstream/a/"


async def test_path_below_another_root_reaches_the_upstream_without_it() -> None:
    assert told(await ask("/proxy/upstream/a/x", extra={"root_path": "/proxy"})).target == "/x"


async def test_limit_counts_here_too() -> None:
    assert (await ask("/upstream/full/x")).status == 429


async def test_long_body_is_spooled_and_closed_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "IN_MEMORY", 4)
    bodies: list[Body] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        bodies.append(exchange.body)
        assert exchange.body.is_spooled
        assert (exchange.requested, exchange.path, exchange.arrived_at) == ("org/m", "/x", 3.0)
        assert not exchange.streaming

    await call(
        Upstream(app, routing(lambda: CATALOG), Supervised(), clock=lambda: 3.0),
        "POST",
        "/upstream/org%2Fm/x",
        body=b"12345",
    )

    with pytest.raises(ValueError, match="closed file"):
        [chunk async for chunk in bodies[0].chunks()]


async def test_client_that_leaves_before_the_end_of_its_body_reaches_nobody() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def never(*_: object) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "raw_path": b"/upstream/a/x", "query_string": b"", "headers": []}
    with pytest.raises(ClientDisconnected):
        await Upstream(never, routing(lambda: CATALOG), Supervised())(scope, receive, never)


# Profiles, peers and ignored paths

WIDE = catalog(
    model("a", aliases=("al",)),
    model("a/b"),
    peers=[peer("p", "m", "org/x"), peer("q", "m")],
    selectors=[Selector("sel", Strategy.PIN, ("a",))],
    ignore_paths=(re.compile(r"^/ping$"), re.compile("ö")),
)
PROFILE = Profile("prof", "", {"pin": "al", "pin/two": "p/org/x", "off": "", "a": "a/b", "chosen": "sel", "p/m": "a"})


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("p/m/x", ("p/m", "p/m", "/x")),
        ("p/org/x", ("p/org/x", "p/org/x", "")),
        ("p%2Forg/x/y", ("p%2Forg/x", "p/org/x", "/y")),
        ("org/x/y", ("org/x", "p/org/x", "/y")),
        ("m/x", None),
        ("p/x", None),
        ("sel/x", None),
        ("pin/x", None),
    ],
)
def test_models_of_peers_are_found_and_selectors_are_not(raw: str, found: tuple[str, str, str] | None) -> None:
    result = split(WIDE, raw)

    assert (result and (result[0], result[1].id, result[2])) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("pin", ("pin", "a", "")),
        ("pin/x", ("pin", "a", "/x")),
        ("pin/two", ("pin/two", "p/org/x", "")),
        ("pin%2Ftwo/x", ("pin%2Ftwo", "p/org/x", "/x")),
        ("pin/twox", ("pin", "a", "/twox")),
        ("pinx/y", None),
        ("off/x", None),
        ("off", None),
        ("chosen/x", None),
        ("a/b/x", ("a", "a/b", "/b/x")),
        ("al/x", ("al", "a", "/x")),
        ("p/m/x", ("p/m", "a", "/x")),
    ],
)
def test_longest_pin_goes_before_every_model(raw: str, found: tuple[str, str, str] | None) -> None:
    result = split(WIDE, raw, PROFILE)

    assert (result and (result[0], result[1].id, result[2])) == found


async def test_exchange_tells_what_was_asked_for_and_what_is_meant() -> None:
    seen: list[tuple[str, str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        seen.append((exchange.asked, exchange.requested, exchange.model.id))

    for profile in (None, PROFILE):
        for name in ("al", "p%2Fm"):
            await call(Upstream(app, routing(lambda: WIDE, profile), Supervised()), path=f"/upstream/{name}/x")

    assert seen == [("al", "al", "a"), ("p/m", "p/m", "p/m"), ("al", "al", "a"), ("p/m", "a", "a")]


async def test_pin_without_a_path_is_redirected_to_its_own_name() -> None:
    async with stack(lambda: WIDE) as served:
        served.routing.profile.current = PROFILE

        assert (await call(served.app, path="/upstream/pin/two")).header("location") == "/upstream/pin/two/"


@pytest.mark.parametrize("path", ["/ping", "/%70ing", "/a/%C3%B6"])
@pytest.mark.parametrize("phase", [None, Phase.STARTING, Phase.STOPPING])
async def test_ignored_path_does_not_load_a_model(path: str, phase: Phase | None) -> None:
    async with stack(lambda: WIDE) as served:
        if phase is not None:
            served.supervised.phases["a"] = phase
        reply = await call(served.app, path=f"/upstream/al{path}", headers=[(b"accept", b"text/plain")])

        assert (reply.status, reply.body) == (
            409,
            b"llama-swap: model a is not loaded; path matches upstream.ignorePaths",
        )
        assert served.supervised.leased == []


async def test_ignored_path_of_a_ready_model_is_served() -> None:
    async with stack(lambda: WIDE) as served:
        served.supervised.phases["a"] = Phase.READY

        assert told(await call(served.app, path="/upstream/a/ping")).target == "/ping"


async def test_other_paths_load_the_model() -> None:
    async with stack(lambda: WIDE) as served:
        assert told(await call(served.app, path="/upstream/a/ping/x")).target == "/ping/x"


async def test_ignored_path_of_a_peer_is_nobodys_business_here() -> None:
    async with stack(lambda: WIDE) as served:
        reply = await call(served.app, path="/upstream/p/m/ping")

        # Nobody is there; but it was asked.
        assert reply.status == 502


async def test_no_model_at_all_leads_to_the_page_of_all() -> None:
    reply = await ask("/upstream")

    assert (reply.status, reply.header("location")) == (302, "/ui/models")
    assert reply.body == b'<a href="/ui/models">Found</a>.\n\n'


async def test_head_is_redirected_like_get() -> None:
    for path, status in (("/upstream", 302), ("/upstream/a", 301)):
        assert (await ask(path, "HEAD")).status == status
