"""The same transport for those who want httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import httpx
import pytest

from tests.proxy.scripted import Peer, answer, transport_to, until, upstream

pytestmark = pytest.mark.anyio


async def test_client_gets_json_over_one_connection() -> None:
    async def script(peer: Peer) -> None:
        while True:
            served.seen.append(await peer.read_request())
            peer.write(answer(b'{"a": 1}', b"Content-Type: application/json"))

    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        httpx.AsyncClient(transport=transport, base_url=served.url) as client,
    ):
        first = await client.post("/v1/x?y=1", json={"q": 2})
        second = await client.get("/again")

    assert first.json() == second.json() == {"a": 1}
    assert first.http_version == "HTTP/1.1"
    assert [request.line for request in served.seen] == [b"POST /v1/x?y=1 HTTP/1.1", b"GET /again HTTP/1.1"]
    assert served.seen[0].body == b'{"q":2}'
    assert b"content-length" not in {name.lower() for name, _ in served.seen[1].headers}
    assert served.accepted == 1


async def test_body_of_unknown_length_is_sent_with_its_length() -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))

    async def content() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        httpx.AsyncClient(transport=transport) as client,
    ):
        await client.post(served.url, content=content())

    names = {name.lower(): value for name, value in served.seen[0].headers}
    assert served.seen[0].body == b"one two"
    assert names[b"content-length"] == b"7"
    assert b"transfer-encoding" not in names


async def test_stream_is_read_as_it_comes() -> None:
    more = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await more.wait()
        peer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await peer.gone()

    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        httpx.AsyncClient(transport=transport) as client,
        client.stream("GET", served.url) as response,
    ):
        with pytest.raises(httpx.ResponseNotRead):
            _ = response.content
        pieces = []
        async for piece in response.aiter_raw():
            pieces.append(piece)
            more.set()

    assert pieces == [b"one", b"two"]


async def test_leaving_a_stream_tells_the_upstream() -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
        await peer.gone()
        gone.set()

    async with (
        upstream(script) as served,
        transport_to(served.url) as transport,
        httpx.AsyncClient(transport=transport) as client,
    ):
        async with client.stream("GET", served.url):
            pass
        await gone.wait()
        await until(lambda: transport.pool.open_count == 0)


async def no_answer(peer: Peer) -> None:
    await peer.read_request()


async def reset(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def late(peer: Peer) -> None:
    await peer.read_request()
    await peer.gone()


async def rubbish(peer: Peer) -> None:
    await peer.read_request()
    peer.write(b"rubbish\r\n\r\n")


async def half(peer: Peer) -> None:
    await peer.read_request()
    peer.write(answer(b"0123456789")[:-5])


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (no_answer, httpx.RemoteProtocolError),
        (reset, httpx.ReadError),
        (late, httpx.ReadTimeout),
        (rubbish, httpx.RemoteProtocolError),
        (half, httpx.RemoteProtocolError),
    ],
)
async def test_errors_are_httpx_ones(
    script: Callable[[Peer], Awaitable[None]], kind: type[httpx.TransportError]
) -> None:
    async with (
        upstream(script) as served,
        transport_to(served.url, response_header_s=0.05) as transport,
        httpx.AsyncClient(transport=transport) as client,
    ):
        with pytest.raises(httpx.TransportError) as caught:
            await client.get(served.url)

    assert type(caught.value) is kind
    assert caught.value.request.url == served.url


async def test_refused_connection_is_a_connect_error() -> None:
    async with transport_to("http://127.0.0.1:1") as transport, httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1")


async def test_late_connection_is_a_connect_timeout(full_port: int) -> None:
    url = f"http://127.0.0.1:{full_port}"
    async with transport_to(url, connect_s=0.05) as transport, httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(url)
