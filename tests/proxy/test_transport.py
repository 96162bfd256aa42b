"""One request over one connection: framing, bodies, errors, back-pressure."""

from __future__ import annotations

import hashlib

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import example, given, settings, strategies as st

from app.asgi import CHUNK, Body
from app.errors import UpstreamError, UpstreamTimeout
from app.proxy.connection import HIGH_WATER, OVERHEAD_LIMIT, AnswerBroken, AnswerTimedOut, BadAnswer
from app.proxy.transport import UpstreamTransport
from tests.proxy.scripted import HOST, Peer, answer, read_all, spooled, transport_to, until, upstream

pytestmark = pytest.mark.anyio

MIB = 1 << 20

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(size: int) -> list[tuple[bytes, bytes]]:
    return [HOST, (b"content-length", b"%d" % size)]


async def test_request_arrives_as_given() -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request("POST", b"/a%2Fb?q=1", [*post(5), (b"x-odd", b"\xe9")], b"hello")
        response.close()

    assert served.seen[0].line == b"POST /a%2Fb?q=1 HTTP/1.1"
    assert served.seen[0].headers == [HOST, (b"content-length", b"5"), (b"x-odd", b"\xe9")]
    assert served.seen[0].body == b"hello"


async def test_answer_is_given_raw_with_lower_case_names() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"ok", b"Set-Cookie: a=1", b"Set-Cookie: B=2", status=b"203 Whatever"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        body = await read_all(response)
        await response.aclose()

    assert response.status == 203
    assert response.headers == [(b"set-cookie", b"a=1"), (b"set-cookie", b"B=2"), (b"content-length", b"2")]
    assert body == b"ok"
    assert response.framing == "content-length"


ANSWERS = {
    "content-length": (answer(b"0123456789" * 3), b"0123456789" * 3),
    "chunked": (
        CHUNKED + b"5\r\nhello\r\n1;ext=1\r\n \r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"hello 0123456789",
    ),
    "until-close": (b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nuntil the end", b"until the end"),
    "none": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
}


@pytest.mark.parametrize("framing", ANSWERS)
@pytest.mark.parametrize(
    "interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]
)
def test_any_split_gives_the_same_answer(framing: str, interim: bytes) -> None:
    raw, expected = interim + ANSWERS[framing][0], ANSWERS[framing][1]

    @settings(max_examples=25, deadline=None)
    @example(cuts=list(range(1, len(raw))), use_uvloop=True)
    @given(cuts=st.lists(st.integers(1, len(raw) - 1), max_size=12), use_uvloop=st.booleans())
    def check(cuts: list[int], use_uvloop: bool) -> None:
        async def script(peer: Peer) -> None:
            await peer.read_request()
            await peer.write_split(raw, cuts)

        async def main() -> None:
            async with upstream(script) as served, transport_to(served.url) as transport:
                response = await transport.request(b"GET", b"/", [HOST])
                body = await read_all(response)
                response.close()

            assert response.framing == framing
            assert body == expected
            assert b"x-sum" not in dict(response.headers)
            assert b"link" not in dict(response.headers)

        anyio.run(main, backend_options={"use_uvloop": use_uvloop})

    check()


async def test_what_has_arrived_is_read_at_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(CHUNKED, b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n")
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        for _ in range(20):
            await checkpoint()

        assert await response.read_some() == b"abc"
        assert not response.at_end
        response.close()


async def test_reading_on_after_the_end_says_the_end_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])

        assert await response.read_some() == b"ok"
        assert response.at_end
        assert await response.read_some() == b""
        response.close()


async def test_a_closed_response_cannot_be_read() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        response.close()
        response.close()

        assert response.at_end
        with pytest.raises(RuntimeError, match="closed"):
            await response.read_some()


@pytest.mark.parametrize("raw", [answer(b"x" * 10)[:-3], CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"5\r\nhel"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_body_never_looks_complete(raw: bytes, reset: bool) -> None:
    read = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(raw)
        await read.wait()
        if reset:
            peer.reset()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        assert await response.read_some()
        read.set()
        with pytest.raises(AnswerBroken, match=f"127.0.0.1:{served.port}.*end of its answer") as caught:
            await read_all(response)
        response.close()

    assert isinstance(caught.value.__cause__, ConnectionResetError) == reset


async def test_what_came_before_the_cut_is_read_first() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"x" * 10)[:-3])

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        await until(lambda: transport.pool.open_count == 0)

        assert await response.read_some() == b"x" * 7
        with pytest.raises(AnswerBroken):
            await response.read_some()
        response.close()


async def test_a_reset_is_no_end_of_a_body_without_length() -> None:
    read = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
        await read.wait()
        peer.reset()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        assert await response.read_some() == b"part"
        read.set()
        with pytest.raises(AnswerBroken, match="broke the connection"):
            await response.read_some()
        response.close()


@pytest.mark.parametrize(
    ("request_method", "status"),
    [
        (b"HEAD", b"200 OK"),
        (b"HEAD", b"204 No Content"),
        (b"HEAD", b"304 Not Modified"),
        (b"GET", b"204 No Content"),
        (b"GET", b"304 Not Modified"),
    ],
)
async def test_answers_without_a_body_leave_the_connection_usable(request_method: bytes, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 ", status, b"\r\nContent-Length: 5\r\n\r\n")
        for body in (b"next", b"last"):
            await peer.read_request()
            peer.write(answer(body))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(request_method, b"/", [HOST])
        assert response.at_end
        assert await response.read_some() == b""
        assert response.framing == "none"
        assert dict(response.headers)[b"content-length"] == b"5"
        response.close()
        for body in (b"next", b"last"):
            response = await transport.request(b"GET", b"/", [HOST])
            assert await read_all(response) == body
            response.close()

    assert served.accepted == 1


async def test_a_body_after_head_is_dropped_with_its_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"should not be"))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"HEAD", b"/", [HOST])
        assert await read_all(response) == b""
        response.close()

        assert transport.pool.idle_count == 0


BAD = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "other coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhi",
    "folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nhi",
    "blank before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "nul": b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 2\r\n\r\nhi",
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "unasked upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "status 999": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (OVERHEAD_LIMIT // 3),
    "endless header": b"HTTP/1.1 200 OK\r\nA: " + b"b" * (OVERHEAD_LIMIT * 2),
    "endless interim answers": b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * (OVERHEAD_LIMIT // 15),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
async def test_doubtful_head_is_refused(raw: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(raw)
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        with pytest.raises(BadAnswer, match=f"127.0.0.1:{served.port}"):
            await transport.request(b"GET", b"/", [HOST])
        await until(lambda: transport.pool.open_count == 0)

    assert served.accepted == 1


@pytest.mark.parametrize(
    "rest", [b"xyz\r\n", b"0\r\n" + b"X-Trailer: y\r\n" * (OVERHEAD_LIMIT // 5), b"1;" + b"e" * (OVERHEAD_LIMIT * 2)]
)
async def test_doubtful_body_is_refused(rest: bytes) -> None:
    more = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(CHUNKED + b"2\r\nhi\r\n")
        await more.wait()
        peer.write(rest)
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        assert await response.read_some() == b"hi"
        more.set()
        with pytest.raises(BadAnswer):
            await read_all(response)
        response.close()


@pytest.mark.parametrize("extra", [answer(b"evil"), b"junk", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("connection", [b"Connection: close", b"Connection: keep-alive"])
async def test_bytes_after_the_answer_are_neither_seen_nor_kept(extra: bytes, connection: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"good", connection) + extra)
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        assert await read_all(response) == b"good"
        assert dict(response.headers)[b"content-length"] == b"4"
        response.close()

        assert transport.pool.idle_count == 0


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/", [HOST, (b"a", b"b\r\nc: d")]),
        (b"/", [HOST, (b"a", b"b\nc: d")]),
        (b"/", [HOST, (b"a\r", b"b")]),
        (b"/\r\nx: y", [HOST]),
        (b"/ HTTP/1.1", [HOST]),
    ],
)
async def test_a_request_head_stays_one_head(target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    async with transport_to("http://127.0.0.1:1") as transport:
        with pytest.raises(ValueError, match="request header"):
            await transport.request(b"GET", target, headers)


async def test_upstream_waits_for_a_reader_that_is_slow() -> None:
    total = 48 * MIB
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while written < total:
            peer.write(b"x" * (64 << 10))
            await peer.writer.drain()
            written += 64 << 10

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"GET", b"/", [HOST])
        stalled_at, turns = -1, 0
        while turns < 500:
            stalled_at, turns = (written, turns + 1) if written == stalled_at else (written, 0)
            await checkpoint()

        # The rest is what the kernel's socket buffers hold, here some megabytes.
        assert stalled_at < 24 * MIB
        first = await response.read_some()
        assert HIGH_WATER < len(first) <= 2 * HIGH_WATER
        assert len(first) + len(await read_all(response)) == total
        response.close()


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
async def test_body_in_memory_is_sent_whole(size: int) -> None:
    body = Body(b"b" * size)

    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"ok"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"POST", b"/", post(size), body)
        response.close()

    assert served.seen[0].body == body.data


async def test_spooled_body_is_sent_whole_and_no_faster_than_it_is_read() -> None:
    data = hashlib.sha256(b"seed").digest() * (24 * MIB // 32)
    body = spooled(data)
    digest = hashlib.sha256()

    async def script(peer: Peer) -> None:
        await peer.read_head()
        (connection,) = transport.pool._all
        await until(lambda: connection._write_paused)
        for _ in range(200):
            await checkpoint()
        held.append(connection._transport.get_write_buffer_size())
        left = len(data)
        while left:
            piece = await peer.reader.read(100_000)
            digest.update(piece)
            left -= len(piece)
        peer.write(answer(b"ok"))
        await peer.gone()

    held: list[int] = []
    async with upstream(script, limit=1000) as served, transport_to(served.url) as transport:
        response = await transport.request(b"POST", b"/", post(len(data)), body)
        assert await read_all(response) == b"ok"
        response.close()

        assert transport.pool.idle_count == 1
    body.close()

    assert digest.digest() == hashlib.sha256(data).digest()
    assert held[0] <= 2 * CHUNK


async def test_refusal_in_mid_upload_is_delivered() -> None:
    body = spooled(b"u" * (32 * MIB))

    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.write(answer(b"too long", status=b"413 Content Too Large"))
        await over.wait()

    over = anyio.Event()
    async with upstream(script, limit=1000) as served, transport_to(served.url) as transport:
        response = await transport.request(b"POST", b"/", post(body.size), body)

        assert response.status == 413
        assert await read_all(response) == b"too long"
        response.close()
        await until(lambda: transport.pool.open_count == 0)
        over.set()
    body.close()


async def test_refusal_of_a_body_in_memory_is_delivered() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.write(answer(b"too long", status=b"413 Content Too Large"))
        await over.wait()

    over = anyio.Event()
    async with upstream(script, limit=1000) as served, transport_to(served.url) as transport:
        response = await transport.request(b"POST", b"/", post(32 * MIB), Body(b"u" * (32 * MIB)))

        assert response.status == 413
        assert await read_all(response) == b"too long"
        response.close()
        await until(lambda: transport.pool.open_count == 0)
        over.set()


async def test_upstream_that_begins_to_answer_early_gets_the_rest_of_the_body() -> None:
    body = spooled(b"u" * (16 * MIB))

    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.write(CHUNKED)
        read = len(await peer.reader.readexactly(body.size))
        told = b"%d" % read
        peer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(told), told))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(b"POST", b"/", post(body.size), body)

        assert await read_all(response) == b"%d" % body.size
        response.close()
        assert transport.pool.idle_count == 1
    body.close()


async def test_upstream_that_dies_in_mid_upload_is_an_error() -> None:
    body = spooled(b"u" * (16 * MIB))

    async def script(peer: Peer) -> None:
        await peer.read_head()
        peer.reset()

    async with upstream(script, limit=1000) as served, transport_to(served.url) as transport:
        with pytest.raises(AnswerBroken):
            await transport.request(b"POST", b"/", post(body.size), body)
    body.close()

    assert served.accepted == 1


async def test_head_that_is_late_is_a_time_out() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.gone()
        gone.set()

    gone = anyio.Event()
    async with upstream(script) as served, transport_to(served.url, response_header_s=0.02) as transport:
        with pytest.raises(AnswerTimedOut, match=r"no answer within 0\.02 s") as caught:
            await transport.request(b"GET", b"/", [HOST])
        await gone.wait()

    assert isinstance(caught.value, UpstreamTimeout)
    assert caught.value.status == 504


async def test_body_may_take_longer_than_the_head() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(CHUNKED)
        await anyio.sleep(0.06)  # longer than the limit that must not strike
        peer.write(b"2\r\nok\r\n0\r\n\r\n")

    async with upstream(script) as served, transport_to(served.url, response_header_s=0.05) as transport:
        response = await transport.request(b"GET", b"/", [HOST])

        assert await read_all(response) == b"ok"
        response.close()


async def test_errors_before_an_answer_are_bad_gateway() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    async with upstream(script) as served, transport_to(served.url) as transport:
        with pytest.raises(UpstreamError, match="before the first byte") as caught:
            await transport.request(b"GET", b"/", [HOST])

    assert caught.value.status == 502


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://", ""])
def test_base_url_must_be_http(url: str) -> None:
    with pytest.raises(ValueError, match="not an http or https URL"):
        UpstreamTransport(url, None)  # type: ignore[arg-type]  # refused before it is looked at


@pytest.mark.parametrize(
    ("url", "origin", "host", "base_path"),
    [
        ("http://127.0.0.1:5800", "http://127.0.0.1:5800", b"127.0.0.1:5800", b""),
        ("http://[::1]:5800/v1/?k=1", "http://[::1]:5800", b"[::1]:5800", b"/v1/?k=1"),
        ("https://models.example/x", "https://models.example:443", b"models.example", b"/x"),
    ],
)
async def test_base_url_is_taken_apart(url: str, origin: str, host: bytes, base_path: bytes) -> None:
    async with transport_to(url) as transport:
        assert transport.origin == origin
        assert transport.host == host
        assert transport.base_path == base_path
