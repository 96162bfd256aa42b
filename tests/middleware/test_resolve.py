from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from typing import IO
from urllib.parse import urlencode

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import ClientDisconnected, send_bytes
from app.config.catalog import Catalog, Filters, Profile, Selector, Strategy
from app.errors import NotFound, RequestError, TooLarge
from app.exchange import Exchange, exchange_of
from app.middleware import resolve
from app.middleware.resolve import Resolve
from tests.asgi import call
from tests.endpoints.catalogs import catalog, model, peer, routing

pytestmark = pytest.mark.anyio

CATALOG = catalog(model("a", aliases=("al", "a/b:c")), model("named", use_model_name="the real name"))
JSON = [(b"content-type", b"application/json")]


class Inner:
    """What stands behind: keeps the exchange and the body as it was then."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.body = b""
        self.spooled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.exchange = exchange_of(scope)
        self.body = b"".join([chunk async for chunk in self.exchange.body.chunks()])
        self.spooled = self.exchange.body.is_spooled
        assert len(self.body) == self.exchange.body.size
        await send_bytes(send, 200, b"ok")


async def resolved(
    body: bytes | Sequence[bytes] = b"",
    content_type: str | None = "application/json",
    query: bytes = b"",
    *,
    in_query: bool = False,
    models: Catalog = CATALOG,
    profile: Profile | None = None,
) -> tuple[Exchange, Inner]:
    inner = Inner()
    app = Resolve(inner, routing(lambda: models, profile), path="/v1/x", in_query=in_query, clock=lambda: 42.0)
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    reply = await call(app, "GET" if in_query else "POST", headers=headers, body=body, query=query)
    assert reply.body == b"ok"
    assert inner.exchange is not None
    return inner.exchange, inner


def multipart(**fields: str) -> tuple[bytes, str]:
    # A fixed boundary: it is part of the names of tests, which have to be the same in every worker.
    headers = {"content-type": "multipart/form-data; boundary=0123456789abcdef"}
    files = {"file": ("a.wav", b"\r\n--RIFF\x00", "audio/wav")}
    request = httpx.Request("POST", "http://x/", data=fields, files=files, headers=headers)
    return request.read(), request.headers["content-type"]


async def test_exchange_carries_all_that_is_known() -> None:
    body = b'{"model": "a", "stream": true, "x": [1.50]}'

    exchange, inner = await resolved([body[:7], body[7:]])

    assert exchange.catalog is CATALOG
    assert (exchange.requested, exchange.model.id, exchange.streaming) == ("a", "a", True)
    assert (exchange.path, exchange.arrived_at, exchange.granted_at, exchange.status) == ("/v1/x", 42.0, 0.0, 0)
    assert inner.body == body


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json", "text/plain",
     "application/x-www-form-urlencoded", None],
)  # fmt: skip
async def test_json_is_known_by_its_type_or_its_looks(content_type: str | None) -> None:
    exchange, inner = await resolved(b' \n{"model": "a"}', content_type)

    assert exchange.model.id == "a"
    assert inner.body == b' \n{"model": "a"}'


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/octet-stream", None])
async def test_url_encoded_form_names_the_model(content_type: str | None) -> None:
    body = urlencode({"prompt": "x", "model": "a/b:c", "stream": "true"}).encode()

    exchange, inner = await resolved(body, content_type)

    assert (exchange.requested, exchange.model.id, exchange.streaming) == ("a/b:c", "a", True)
    assert inner.body == body


async def test_query_names_the_model_of_a_body_that_names_none() -> None:
    exchange, inner = await resolved(b"\x00\xff", "application/octet-stream", b"model=a")

    assert exchange.model.id == "a"
    assert inner.body == b"\x00\xff"


@pytest.mark.parametrize("spelling", ["multipart/form-data", "Multipart/Form-Data"])
async def test_multipart_form_names_the_model(spelling: str) -> None:
    body, content_type = multipart(model="al", stream="true")

    exchange, inner = await resolved(body, content_type.replace("multipart/form-data", spelling))

    assert (exchange.requested, exchange.model.id, exchange.streaming) == ("al", "a", True)
    assert inner.body == body
    assert not inner.spooled


async def test_query_names_the_model_where_the_endpoint_says_so() -> None:
    exchange, inner = await resolved(b'{"model": "named"}', query=b"model=al&stream=true", in_query=True)

    assert (exchange.requested, exchange.model.id, exchange.streaming) == ("al", "a", True)
    assert inner.body == b'{"model": "named"}'


@pytest.mark.parametrize("name", ["al", "a/b:c"])
async def test_alias_goes_through_as_the_client_wrote_it(name: str) -> None:
    body = json.dumps({"model": name}).encode()

    exchange, inner = await resolved(body)

    assert (exchange.requested, exchange.model.id) == (name, "a")
    assert inner.body == body


async def test_model_named_otherwise_upstream_is_renamed_in_json() -> None:
    exchange, inner = await resolved(b'{ "in": {"model": "named"}, "model":"named" , "x": 1.50}')

    assert inner.body == b'{ "in": {"model": "named"}, "model":"the real name" , "x": 1.50}'
    assert exchange.requested == "named"


@pytest.mark.parametrize("in_memory", [1 << 20, 10])
async def test_model_named_otherwise_upstream_is_renamed_in_multipart(
    in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "IN_MEMORY", in_memory)
    body, content_type = multipart(language="named", model="named")

    _, inner = await resolved(body, content_type)

    assert inner.body == body.replace(b'name="model"\r\n\r\nnamed', b'name="model"\r\n\r\nthe real name')
    assert inner.spooled == (in_memory == 10)


async def test_model_named_otherwise_upstream_stays_as_it_is_in_queries_and_plain_forms() -> None:
    _, form = await resolved(b"model=named", None)
    exchange, _ = await resolved(query=b"model=named", in_query=True)

    assert form.body == b"model=named"
    assert exchange.requested == "named"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"{}", "application/json"), (b'{"model": ""}', "application/json"), (b'{"model": ["a"]}', "application/json"),
     (b"", None), (b"x=1", None), (b"model=", None), multipart(x="1")],
)  # fmt: skip
async def test_request_that_names_no_model_is_told_so(body: bytes, content_type: str | None) -> None:
    with pytest.raises(NotFound, match=r"^no model id could be identified$"):
        await resolved(body, content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b'{"model": "A"}', "application/json"), (b'{"model": "the real name"}', "application/json"),
     (b"model=b", None), multipart(model="b")],
)  # fmt: skip
async def test_unknown_model_is_told_so(body: bytes, content_type: str | None) -> None:
    with pytest.raises(NotFound, match=r"^no router for requested model$"):
        await resolved(body, content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"", "application/json"), (b"[]", "application/json"), (b'{"model"', None), (b"x", "multipart/form-data; boundary=b"),
     (b"x", "multipart/form-data")],
)  # fmt: skip
async def test_unreadable_body_is_the_clients_fault(body: bytes, content_type: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        await resolved(body, content_type)

    assert caught.value.status == 400


async def test_body_that_must_be_looked_into_is_refused_over_the_limit_and_never_spooled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolve, "JSON_LIMIT", 20)
    monkeypatch.setattr("app.asgi.tempfile.TemporaryFile", lambda: pytest.fail("a file was made"))

    await resolved(b'{"model": "a"}      ')
    for parts in ([b'{"model": "a"}       '], [b'{"model": "a"}', b" " * 7]):
        with pytest.raises(TooLarge):
            await resolved(parts)


async def test_multipart_body_may_be_longer_than_what_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "JSON_LIMIT", 20)
    monkeypatch.setattr(resolve, "IN_MEMORY", 20)
    body, content_type = multipart(model="a")

    _, inner = await resolved([body[:30], body[30:]], content_type)

    assert inner.spooled
    assert inner.body == body


@pytest.mark.parametrize("name", ["a", "named", "unknown"])
async def test_spooled_body_is_closed_afterwards(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "IN_MEMORY", 10)
    files: list[IO[bytes]] = []
    make = tempfile.TemporaryFile

    def noted() -> IO[bytes]:
        files.append(make())
        return files[-1]

    monkeypatch.setattr("app.asgi.tempfile.TemporaryFile", noted)
    body, content_type = multipart(model=name)

    try:
        await resolved(body, content_type)
    except NotFound:
        assert name == "unknown"

    assert [file.closed for file in files] == [True]


async def test_client_that_leaves_before_the_end_of_its_body_reaches_nobody() -> None:
    inner = Inner()
    app = Resolve(inner, routing(lambda: CATALOG), path="/", in_query=False)

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        raise AssertionError

    with pytest.raises(ClientDisconnected):
        await app({"type": "http", "headers": JSON, "query_string": b""}, receive, send)

    assert inner.exchange is None


async def test_request_keeps_the_configuration_it_began_with() -> None:
    """A reload while the body arrives changes nothing for this request."""
    catalogs = [CATALOG, catalog(model("z"))]
    inner = Inner()
    app = Resolve(inner, routing(lambda: catalogs.pop(0)), path="/", in_query=False)

    await call(app, "POST", headers=JSON, body=[b'{"model":', b'"a"}'])

    assert inner.exchange is not None
    assert inner.exchange.catalog is CATALOG
    assert len(catalogs) == 1


# Names that mean something else, and filters

WIDE = catalog(
    model("a", aliases=("al",), filters=Filters(("x",), (("y", 1),), {"al": (("z", 2),)})),
    model("named", use_model_name="real"),
    peers=[peer("p", "m", filters=Filters(set_params=(("peer", True),)))],
    selectors=[Selector("sel", Strategy.SPILLOVER, ("named", "p/m")), Selector("one", Strategy.PIN, ("al",))],
)
PROFILE = Profile("prof", "", {"pin": "p/m", "off": "", "chosen": "one", "plain": "named"})


@pytest.mark.parametrize(
    ("asked", "requested", "identity", "selector", "body"),
    [
        ("a", "a", "a", "", b'{"model":"a","keep":1.50,"y":1}'),
        ("al", "al", "a", "", b'{"model":"al","keep":1.50,"y":1,"z":2}'),
        ("one", "al", "a", "one", b'{"model":"al","keep":1.50,"y":1,"z":2}'),
        ("chosen", "al", "a", "one", b'{"model":"al","keep":1.50,"y":1,"z":2}'),
        ("sel", "named", "named", "sel", b'{"model":"real","x":1,"keep":1.50}'),
        ("plain", "named", "named", "", b'{"model":"real","x":1,"keep":1.50}'),
        ("pin", "p/m", "p/m", "", b'{"model":"m","x":1,"keep":1.50,"peer":true}'),
        ("m", "m", "p/m", "", b'{"model":"m","x":1,"keep":1.50,"peer":true}'),
    ],
)
async def test_body_names_the_model_as_who_serves_it_knows_it(
    asked: str, requested: str, identity: str, selector: str, body: bytes
) -> None:
    exchange, inner = await resolved(b'{"model":"%b","x":1,"keep":1.50}' % asked.encode(), models=WIDE, profile=PROFILE)

    assert (exchange.asked, exchange.requested, exchange.model.id) == (asked, requested, identity)
    assert exchange.selector == selector
    assert inner.body == body


async def test_renaming_and_filters_leave_a_body_alone_that_is_no_json() -> None:
    _, in_form = await resolved(b"a=%41&model=chosen&x=1", None, models=WIDE, profile=PROFILE)
    body, content_type = multipart(x="1", model="chosen")
    _, in_parts = await resolved(body, content_type, models=WIDE, profile=PROFILE)

    assert in_form.body == b"a=%41&model=al&x=1"
    assert in_parts.body == body.replace(b"\r\nchosen\r\n", b"\r\nal\r\n")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/octet-stream", b"\x00&"), (None, b"x=1"), (multipart(x="1")[1], multipart(x="1")[0])],
)
async def test_name_in_the_query_is_changed_there(content_type: str | None, body: bytes) -> None:
    exchange, inner = await resolved(body, content_type, b"q=%41&model=pin", models=WIDE, profile=PROFILE)

    assert exchange.query == b"q=%41&model=m"
    assert inner.body == body


@pytest.mark.parametrize(
    ("query", "forwarded"),
    [
        (b"model=al&x=%2f", b"model=al&x=%2f"),
        (b"x=+&model=chosen", b"x=+&model=al"),
        (b"model=pin&model=a&mymodel=pin", b"model=m&model=m&mymodel=pin"),
        (b"model=%70in", b"model=m"),
        (b"model=named", b"model=named"),
        (b"model=plain", b"model=named"),
    ],
)
async def test_query_is_changed_only_where_it_must_be(query: bytes, forwarded: bytes) -> None:
    exchange, _ = await resolved(query=query, in_query=True, models=WIDE, profile=PROFILE)

    assert exchange.query == forwarded


async def test_disabled_name_is_no_name() -> None:
    with pytest.raises(NotFound, match=r"^no model id could be identified$"):
        await resolved(b'{"model":"off"}', models=WIDE, profile=PROFILE)


@pytest.mark.parametrize("failure", [None, RuntimeError, ClientDisconnected])
async def test_reservation_lasts_as_long_as_the_request(failure: type[Exception] | None) -> None:
    meaning = routing(lambda: WIDE)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        assert meaning.reservations.counts() == {("sel", "named"): 1}
        if failure is not None:
            raise failure
        await send_bytes(send, 200, b"ok")

    app = Resolve(inner, meaning, path="/", in_query=False)
    with pytest.raises(failure) if failure else nullcontext():
        await call(app, "POST", headers=JSON, body=b'{"model":"sel"}')

    assert meaning.reservations.counts() == {}


async def test_reservation_of_a_body_that_cannot_be_filtered_is_given_back() -> None:
    changes = Filters(set_params=(("a.*", 1),))
    models = catalog(model("a", filters=changes), selectors=[Selector("sel", Strategy.SPILLOVER, ("a",))])
    meaning = routing(lambda: models)
    app = Resolve(Inner(), meaning, path="/", in_query=False)

    with pytest.raises(RequestError):
        await call(app, "POST", headers=JSON, body=b'{"model":"sel"}')

    assert meaning.reservations.counts() == {}


async def test_request_keeps_the_profile_it_began_with() -> None:
    meaning = routing(lambda: WIDE, PROFILE)
    inner = Inner()
    parts = [b'{"model":', b'"pin"}']

    async def receive() -> dict[str, object]:
        part = parts.pop(0)
        meaning.profile.current = None
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(_: object) -> None:
        pass

    scope = {"type": "http", "headers": JSON, "query_string": b""}
    await Resolve(inner, meaning, path="/", in_query=False)(scope, receive, send)

    assert inner.exchange is not None
    assert inner.exchange.model.id == "p/m"
