from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import anyio
import httpx
import pytest

from app.asgi import Body, ClientDisconnected
from app.endpoints import inference
from app.endpoints.table import ENDPOINTS, Endpoint, Source
from app.exchange import KEY, Exchange
from app.proxy.peers import Peers
from app.supervisor.supervisor import Supervisor
from planners.protocol import ModelId
from tests.asgi import call
from tests.endpoints.catalogs import catalog, model
from tests.endpoints.echo import Told, stack, told

pytestmark = pytest.mark.anyio

CATALOG = catalog(model("a", aliases=("al",)), model("named", use_model_name="real"), model("one", concurrency_limit=0))
JSON = [(b"content-type", b"application/json")]


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
async def test_every_row_leads_to_the_model(row: Endpoint) -> None:
    body = b'{"model": "al"}' if row.source is Source.BODY else b""
    query = b"model=al&x=%2F" if row.source is Source.QUERY else b"x=%2F"

    async with stack(lambda: CATALOG) as served:
        reply = await call(served.app, row.method, row.path, JSON if body else [], body, query)

        assert told(reply) == Told(row.method, f"{row.upstream_path}?{query.decode()}", body.decode())
        assert served.supervised.leased == ["a"]
        assert (served.supervised.held, served.admitted.counts()) == (0, {})


async def test_get_rows_answer_head() -> None:
    async with stack(lambda: CATALOG) as served:
        reply = await call(served.app, "HEAD", "/props", query=b"model=a")

    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/chat/completions"), ("DELETE", "/props"), ("PUT", "/v/rerank")]
)
async def test_other_methods_are_refused(method: str, path: str) -> None:
    async with stack(lambda: CATALOG) as served:
        reply = await call(served.app, method, path)

    assert reply.status == 405
    assert set((reply.header("allow") or "").split(", ")) == ({"GET", "HEAD"} if path == "/props" else {"POST"})


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/chat", "//v1/chat/completions", "/v2/chat/completions"])
async def test_other_paths_are_no_rows(path: str) -> None:
    async with stack(lambda: CATALOG) as served:
        assert (await call(served.app, "POST", path, JSON, b'{"model": "a"}')).status == 404
        assert served.supervised.leased == []


async def test_path_of_the_upstreams_url_is_put_before() -> None:
    async with stack(lambda: CATALOG, "/api/") as served:
        reply = await call(served.app, "POST", "/v/rerank", JSON, b'{"model": "a"}')

    assert told(reply).target == "/api/rerank"


async def test_renamed_json_and_multipart_reach_the_upstream_whole() -> None:
    form = httpx.Request("POST", "http://x", data={"model": "named"}, files={"file": ("a", b"\x00\r\n\xff")})
    async with stack(lambda: CATALOG) as served:
        as_json = await call(served.app, "POST", "/v1/completions", JSON, b'{"model": "named", "x": 1.0}')
        as_form = await call(
            served.app, "POST", "/v1/audio/transcriptions",
            [(b"content-type", form.headers["content-type"].encode())], form.read(),
        )  # fmt: skip

    assert told(as_json).body == '{"model": "real", "x": 1.0}'
    assert told(as_form).body.encode("latin-1") == form.content.replace(b"\r\nnamed\r\n", b"\r\nreal\r\n")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{}", 404, "no model id could be identified"),
        (b'{"model": "x"}', 404, "no router for requested model"),
        (b'{"model": "one"}', 429, "Too many requests"),
    ],
)
async def test_refused_request_never_asks_for_a_model(body: bytes, status: int, message: str) -> None:
    async with stack(lambda: CATALOG) as served:
        reply = await call(served.app, "POST", "/v1/completions", JSON, body)

        assert (reply.status, json.loads(reply.body)["error"]["message"]) == (status, message)
        assert served.supervised.leased == []


async def test_client_that_leaves_while_it_waits_gives_up_its_claim() -> None:
    ended: list[str] = []

    class NeverReady:
        @asynccontextmanager
        async def lease(self, model: ModelId) -> AsyncIterator[None]:
            try:
                await anyio.sleep_forever()
                yield
            except asyncio.CancelledError:
                ended.append(model)
                raise

    a = CATALOG.models[ModelId("a")]
    exchange = Exchange(CATALOG, "a", "a", a, False, Body(b""), "/", b"", 0.0)

    with pytest.raises(ClientDisconnected):
        await call(
            inference.Inference(cast(Supervisor, NeverReady()), Peers(CATALOG)),
            disconnect_after=0,
            extra={KEY: exchange},
        )

    assert ended == ["a"]


async def test_time_of_the_grant_is_noted() -> None:
    async with stack(lambda: CATALOG) as served:
        exchange = Exchange(CATALOG, "a", "a", CATALOG.models[ModelId("a")], False, Body(b""), "/x", b"", 1.0)
        endpoint = inference.Inference(cast(Supervisor, served.supervised), Peers(CATALOG), clock=lambda: 7.0)

        assert told(await call(endpoint, extra={KEY: exchange})).target == "/x"

    assert (exchange.queued_at, exchange.granted_at, exchange.status) == (7.0, 7.0, 200)
    assert exchange.first_byte_at >= exchange.asked_at > 0
