"""Requests for a peer's model: a real server in front, a real one behind, and what that one gets to see."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from app.config.catalog import Filters, Timeouts
from tests.endpoints.catalogs import catalog, model, peer
from tests.endpoints.echo import Stack, stack
from tests.endpoints.remote import Remote, remote
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def front(behind: Remote, **fields: object) -> AsyncIterator[tuple[httpx.AsyncClient, Stack]]:
    """Serves a catalog of one local model and of the peer `p1`, which has two; `fields` are the peer's."""
    models = catalog(model("a"), peers=[peer("p1", "pm", "org/x", **{"base_url": behind.url, **fields})])
    async with (
        stack(lambda: models) as made,
        served(made.app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client,
    ):
        yield client, made


async def test_peer_sees_its_own_model_key_and_name_and_nothing_of_the_client() -> None:
    """Golden sample A5, and more."""
    async with remote() as behind, front(behind, api_key="sk-peer") as (client, made):
        reply = await client.post(
            "/v1/chat/completions?x=%2F",
            headers={
                "Authorization": "Bearer client",
                "X-Api-Key": "client",
                "Cookie": "session=client",
                "Forwarded": "for=1.2.3.4",
                "X-Forwarded-For": "1.2.3.4",
                "X-Forwarded-Proto": "https",
                "User-Agent": "mine",
                "Content-Type": "application/json",
            },
            content=b'{ "model" : "p1/pm", "x": 1.50 }',
        )

        assert (reply.status_code, reply.content) == (200, b"ok")
        (asked,) = behind.asked
        assert asked.line == "POST /v1/chat/completions?x=%2F HTTP/1.1"
        assert asked.body == b'{ "model" : "pm", "x": 1.50 }'
        assert f"http://{asked.header('host')}" == behind.url
        assert asked.header("authorization") == "Bearer sk-peer"
        assert asked.header("x-api-key") == "sk-peer"
        assert asked.header("user-agent") == "mine"
        assert asked.header("content-length") == str(len(asked.body))
        names = {name for name, _ in asked.headers}
        assert names <= {
            "host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "authorization", "x-api-key",
        }  # fmt: skip
        assert "client" not in str(asked.headers)
        assert made.supervised.leased == []


async def test_peer_without_a_key_is_asked_without_one() -> None:
    async with remote() as behind, front(behind) as (client, _):
        await client.post(
            "/v1/completions", headers={"Authorization": "Bearer c", "X-Api-Key": "c"}, json={"model": "pm"}
        )

        assert not {"authorization", "x-api-key"} & {name for name, _ in behind.asked[0].headers}


async def test_path_of_the_peers_url_is_put_before() -> None:
    async with remote() as behind, front(behind, base_url=behind.url + "/api/?k=v") as (client, _):
        await client.post("/v/rerank?q", json={"model": "pm"})

        assert behind.asked[0].line == "POST /api/rerank?k=v&q HTTP/1.1"


@pytest.mark.parametrize("name", ["p1/org/x", "org/x"])
async def test_every_encoding_carries_the_name_the_peer_knows(name: str) -> None:
    async with remote() as behind, front(behind) as (client, _):
        files = {"file": ("a.wav", b"\r\n\x00--", "audio/wav")}
        form = httpx.Request("POST", "http://x", data={"a": "1", "model": name}, files=files)
        await client.post("/v1/audio/transcriptions", content=form.read(), headers=form.headers)
        await client.post("/v1/completions", data={"a": "b c", "model": name})
        await client.post("/v1/audio/speech", params={"model": name}, content=b"\x00\xff")
        await client.get("/props", params={"b": "%", "model": name, "c": ""})

        in_parts, in_form, in_query, by_get = behind.asked
        old = b'name="model"\r\n\r\n' + name.encode() + b"\r\n"
        assert in_parts.body == form.content.replace(old, b'name="model"\r\n\r\norg/x\r\n')
        assert in_form.body == b"a=b+c&model=org%2Fx"
        assert in_query.line == "POST /v1/audio/speech?model=org%2Fx HTTP/1.1"
        assert in_query.body == b"\x00\xff"
        assert by_get.line == "GET /props?b=%25&model=org%2Fx&c= HTTP/1.1"


async def test_malformed_fields_of_a_query_do_not_reach_a_peer() -> None:
    async with remote() as behind, front(behind) as (client, _):
        await client.get("/props?model=p1/pm&a=%zz&b=1;model=x&c=%41")
        await client.get("/upstream/p1/pm/v1?a=%&b=1")

        assert [asked.line.split()[1] for asked in behind.asked] == ["/props?model=pm&c=%41", "/v1?b=1"]


async def test_filters_of_the_peer_change_json() -> None:
    changes = Filters(strip_params=("top_p",), set_params=(("a.b", 1),))
    async with remote() as behind, front(behind, filters=changes) as (client, _):
        await client.post(
            "/v1/completions",
            headers={"content-type": "application/json"},
            content=b'{"model":"p1/pm","top_p":1,"keep":1.50}',
        )

        assert behind.asked[0].body == b'{"model":"pm","keep":1.50,"a":{"b":1}}'


async def test_redirect_is_the_clients_to_follow() -> None:
    async with remote() as behind, front(behind) as (client, _):
        behind.answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
        reply = await client.post("/v1/completions", json={"model": "pm"})

        assert (reply.status_code, reply.headers["location"]) == (302, "/elsewhere")
        assert len(behind.asked) == 1


async def test_peer_that_is_not_there_is_a_bad_gateway() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with remote() as behind, front(behind, base_url=nobody) as (client, _):
            reply = await client.post("/v1/completions", json={"model": "pm"})

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (502, "bad_gateway")
    assert error["message"].startswith("peer proxy error: ")
    assert nobody in error["message"]


async def test_peer_that_says_nothing_has_timed_out() -> None:
    timeouts = Timeouts(response_header_s=0.05)
    async with remote(is_open=False) as behind, front(behind, timeouts=timeouts) as (client, _):
        reply = await client.post("/v1/completions", json={"model": "pm"})

        assert reply.status_code == 504
        assert reply.json()["error"]["message"].startswith("peer proxy error: ")


async def test_answer_that_is_cut_ends_visibly_cut() -> None:
    async with remote() as behind, front(behind) as (client, _):
        behind.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nXX"
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/v1/completions", json={"model": "pm"})


async def test_peers_have_no_limit_here() -> None:
    count = 40
    async with remote(is_open=False) as behind, front(behind) as (client, made):
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                assert (await client.post("/v1/completions", json={"model": "pm"})).status_code == 200

            for _ in range(count):
                group.start_soon(ask)
            await behind.until_inside(count)
            assert made.admitted.counts() == {}
            behind.open.set()

        assert behind.most_inside == count


async def test_client_that_leaves_is_noticed_by_the_peer() -> None:
    async with remote(is_open=False) as behind, front(behind) as (client, _):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.post("/v1/completions", json={"model": "pm"}))
            await behind.until_inside(1)
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await behind.left.wait()


@pytest.mark.parametrize("name", ["p1/org/x", "org/x", "p1%2Forg%2Fx"])
async def test_any_path_of_a_peer_is_reached_by_its_models_name(name: str) -> None:
    async with remote() as behind, front(behind, api_key="k") as (client, _):
        reply = await client.post(f"/upstream/{name}/a%2Fb?q=1", content=b'{"model": "untouched"}')

        assert reply.status_code == 200
        (asked,) = behind.asked
        assert (asked.line, asked.body) == ("POST /a%2Fb?q=1 HTTP/1.1", b'{"model": "untouched"}')
        assert asked.header("authorization") == "Bearer k"


async def test_connection_to_a_peer_is_used_again() -> None:
    async with remote() as behind, front(behind) as (client, _):
        for _ in range(3):
            assert (await client.post("/v1/completions", json={"model": "pm"})).content == b"ok"

        assert (len(behind.asked), behind.connections) == (3, 1)
