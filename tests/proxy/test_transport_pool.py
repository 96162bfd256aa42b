"""Connections over time: reuse, stale sockets, idle ones, the end, and cancellation."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from app.proxy.connection import AnswerBroken, ConnectFailed, ConnectTimedOut, TransportClosed
from app.proxy.transport import UpstreamTransport
from tests.proxy.scripted import HOST, Peer, answer, read_all, spooled, transport_to, until, upstream

pytestmark = pytest.mark.anyio

GET = (b"GET", b"/", [HOST])


async def ask(transport: UpstreamTransport) -> bytes:
    """One whole exchange."""
    response = await transport.request(*GET)
    try:
        return await read_all(response)
    finally:
        response.close()


async def echo_number(peer: Peer) -> None:
    """Answers every request with the number of its connection."""
    while True:
        await peer.read_request()
        peer.write(answer(b"%d" % peer.number))


async def test_connection_is_used_again() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        assert [await ask(transport) for _ in range(3)] == [b"1", b"1", b"1"]


async def test_the_connection_used_last_is_used_first() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        first = await transport.request(*GET)
        second = await transport.request(*GET)
        assert (await read_all(first), await read_all(second)) == (b"1", b"2")
        second.close()
        first.close()

        assert transport.pool.idle_count == 2
        assert await ask(transport) == b"1"


@pytest.mark.parametrize("raw", [answer(b"x", b"Connection: close"), b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"])
async def test_connection_its_server_will_close_is_not_kept(raw: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(raw)
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"x"
        assert transport.pool.idle_count == 0


async def test_response_left_unread_is_kept_if_all_of_it_has_arrived() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        (await transport.request(*GET)).close()

        assert await ask(transport) == b"1"


async def test_response_left_in_the_middle_tells_the_upstream() -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")
        await peer.gone()
        gone.set()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(*GET)
        response.close()
        await gone.wait()

        assert transport.pool.open_count == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_stale_connection_is_tried_again_once_on_a_new_one(reset: bool) -> None:
    async def script(peer: Peer) -> None:
        served.seen.append(await peer.read_request())
        peer.write(answer(b"%d" % peer.number))
        served.seen.append(await peer.read_request())
        if reset:
            peer.reset()

    async with upstream(script) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"1"
        assert await ask(transport) == b"2"

    assert [request.line for request in served.seen] == [b"GET / HTTP/1.1"] * 3


async def test_second_failure_is_final() -> None:
    async def script(peer: Peer) -> None:
        if peer.number == 1:
            await peer.read_request()
            peer.write(answer(b"x"))
        served.seen.append(await peer.read_request())

    async with upstream(script) as served, transport_to(served.url) as transport:
        await ask(transport)
        with pytest.raises(AnswerBroken):
            await ask(transport)

    assert served.accepted == 2
    assert len(served.seen) == 2


async def test_other_idle_connections_are_not_tried_after_a_stale_one() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"%d" % peer.number))
        await peer.read_request()

    async with upstream(script) as served, transport_to(served.url) as transport:
        responses = [await transport.request(*GET) for _ in range(3)]
        for response in responses:
            response.close()

        assert await ask(transport) == b"4"


async def test_new_connection_is_not_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    async with upstream(script) as served, transport_to(served.url) as transport:
        with pytest.raises(AnswerBroken):
            await ask(transport)

    assert served.accepted == 1


@pytest.mark.parametrize("byte", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_nothing_is_tried_again_after_a_byte_of_the_answer(byte: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"x"))
        await peer.read_request()
        peer.write(byte)

    async with upstream(script) as served, transport_to(served.url) as transport:
        await ask(transport)
        with pytest.raises(AnswerBroken):
            await ask(transport)

    assert served.accepted == 1


async def test_spooled_body_is_sent_again_from_its_start() -> None:
    body = spooled(b"0123456789" * 60_000)

    async def script(peer: Peer) -> None:
        if peer.number == 1:
            await peer.read_request()
            peer.write(answer(b"x"))
            await peer.read_head()
        else:
            served.seen.append(await peer.read_request())
            peer.write(answer(b"got it"))

    async with upstream(script) as served, transport_to(served.url) as transport:
        await ask(transport)
        response = await transport.request("POST", b"/", [HOST, (b"content-length", b"%d" % body.size)], body)
        assert await read_all(response) == b"got it"
        response.close()
    body.close()

    assert served.seen[0].body == b"0123456789" * 60_000


async def test_connection_closed_before_it_is_used_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    async with upstream(script) as served, transport_to(served.url) as transport:
        with pytest.raises(AnswerBroken):
            await ask(transport)


async def test_connection_lost_between_making_and_asking_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        peer.close()

    async with upstream(script) as served, transport_to(served.url) as transport:
        connection = await transport.pool.connect()
        await until(lambda: transport.pool.open_count == 0)
        with pytest.raises(AnswerBroken):
            await connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"", is_head=False, header_timeout_s=0)


async def test_idle_connection_is_forgotten_when_its_server_closes_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"%d" % peer.number))

    async with upstream(script) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"1"
        await until(lambda: transport.pool.open_count == 0)

        assert transport.pool.idle_count == 0
        assert await ask(transport) == b"2"


async def test_idle_connection_that_speaks_unasked_is_dropped() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"x"))
        await speak.wait()
        peer.write(answer(b"evil"))
        await peer.gone()

    speak = anyio.Event()
    async with upstream(script) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"x"
        assert transport.pool.idle_count == 1
        speak.set()
        await until(lambda: transport.pool.open_count == 0)


async def test_idle_connection_is_closed_after_its_time() -> None:
    gone = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        peer.write(answer(b"x"))
        await peer.gone()
        gone.set()

    async with upstream(script) as served, transport_to(served.url, idle_conn_s=0.02) as transport:
        await ask(transport)
        await gone.wait()

        assert transport.pool.idle_count == 0


async def test_the_timer_comes_back_for_younger_connections() -> None:
    async with upstream(echo_number) as served, transport_to(served.url, idle_conn_s=0.05) as transport:
        responses = [await transport.request(*GET) for _ in range(2)]
        responses[0].close()
        responses[1].close()
        transport.pool._idle[1].idle_since += 0.1  # younger than the other by that much
        await until(lambda: transport.pool.open_count == 1)
        await until(lambda: transport.pool.open_count == 0)


async def test_expired_connection_is_not_used_though_no_timer_came() -> None:
    async with upstream(echo_number) as served, transport_to(served.url, idle_conn_s=60) as transport:
        assert await ask(transport) == b"1"
        transport.pool._idle[0].idle_since -= 61

        assert await ask(transport) == b"2"


async def test_idle_connections_are_kept_for_ever_without_a_limit() -> None:
    async with upstream(echo_number) as served, transport_to(served.url, idle_conn_s=0) as transport:
        assert await ask(transport) == b"1"
        transport.pool._idle[0].idle_since -= 1e6

        assert await ask(transport) == b"1"


async def test_sockets_are_told_to_probe_and_not_to_wait() -> None:
    async with upstream(echo_number) as served, transport_to(served.url, keepalive_s=17) as transport:
        connection = await transport.pool.connect()
        connected = connection._transport.get_extra_info("socket")

        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 17


async def test_sockets_are_set_up_where_the_period_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"1"


async def test_connection_that_is_closing_is_not_used() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        assert await ask(transport) == b"1"
        transport.pool._idle[0].abort()

        assert await ask(transport) == b"2"


async def test_probing_can_be_turned_off() -> None:
    async with upstream(echo_number) as served, transport_to(served.url, keepalive_s=0) as transport:
        connection = await transport.pool.connect()
        connected = connection._transport.get_extra_info("socket")

        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


# Connecting


async def test_refused_connection_names_the_origin() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with transport_to(f"http://127.0.0.1:{port}") as transport:
            with pytest.raises(
                ConnectFailed, match=f"no connection to the model's server at http://127.0.0.1:{port}: "
            ):
                await ask(transport)


async def test_connecting_has_a_limit(full_port: int) -> None:
    async with transport_to(f"http://127.0.0.1:{full_port}", connect_s=0.05) as transport:
        with pytest.raises(ConnectTimedOut, match=r"within 0\.05 s") as caught:
            await ask(transport)

    assert caught.value.status == 504


async def test_localhost_is_tried_on_both_families_and_the_answer_remembered() -> None:
    async with (
        upstream(echo_number, host="::1") as served,
        transport_to(f"http://localhost:{served.port}") as transport,
    ):
        assert transport.pool._addresses == ["127.0.0.1", "::1"]
        assert await ask(transport) == b"1"
        assert transport.pool._addresses == ["::1", "127.0.0.1"]


async def test_localhost_that_nobody_serves_is_refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with transport_to(f"http://localhost:{free.getsockname()[1]}", connect_s=0) as transport:
            with pytest.raises(ConnectFailed):
                await ask(transport)


# The end


async def test_closing_fails_what_waits_for_an_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.gone()

    asked = anyio.Event()
    failed = False

    async def client() -> None:
        nonlocal failed
        with pytest.raises(TransportClosed, match="is being stopped"):
            await transport.request(*GET)
        failed = True

    async with upstream(script) as served, transport_to(served.url) as transport, anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        await asked.wait()
        await transport.aclose()

        assert transport.pool.open_count == 0

    assert failed


async def test_closing_cuts_what_is_being_read_and_drops_what_is_idle() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        if peer.number == 1:
            peer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
        else:
            peer.write(answer(b"x"))
        await peer.gone()

    async with upstream(script) as served, transport_to(served.url) as transport:
        response = await transport.request(*GET)
        assert await response.read_some() == b"part"
        assert await ask(transport) == b"x"
        await transport.aclose()

        assert transport.pool.open_count == transport.pool.idle_count == 0
        with pytest.raises(TransportClosed):
            await response.read_some()
        response.close()


async def test_an_answer_that_has_all_arrived_survives_closing() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        response = await transport.request(*GET)
        await transport.aclose()

        assert await read_all(response) == b"1"
        response.close()


async def test_nothing_is_sent_after_closing() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        await transport.aclose()
        with pytest.raises(TransportClosed):
            await ask(transport)

    assert served.accepted == 0


async def test_closing_while_connecting_leaves_no_connection() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:

        async def client() -> None:
            with pytest.raises(TransportClosed):
                await transport.request(*GET)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client)
            await checkpoint()
            await transport.aclose()

        await until(lambda: transport.pool.open_count == 0)


async def test_closing_can_be_asked_for_by_two_at_once() -> None:
    async with upstream(echo_number) as served, transport_to(served.url) as transport:
        await ask(transport)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.aclose)
            tasks.start_soon(transport.aclose)

        assert transport.pool.open_count == 0


# Cancellation: at each await, nothing is left


async def cancelled_after(turns: int, transport: UpstreamTransport, body_size: int = 0) -> bool:
    """Cancels an exchange after so many turns of the loop; returns whether it had ended by itself."""
    ended = False
    body = spooled(b"u" * body_size)

    async def client() -> None:
        nonlocal ended
        response = await transport.request("POST", b"/", [HOST, (b"content-length", b"%d" % body_size)], body)
        try:
            await read_all(response)
        finally:
            response.close()
        ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client)
        for _ in range(turns):
            await checkpoint()
        tasks.cancel_scope.cancel()
    body.close()
    return ended


@pytest.mark.parametrize("body_size", [0, 2 << 20])
async def test_cancelled_at_any_moment_it_leaves_no_connection_in_use(body_size: int) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            for piece in (
                b"HTTP/1.1 200 OK\r\n",
                b"Transfer-Encoding: chunked\r\n\r\n",
                b"1\r\na\r\n",
                b"1\r\nb\r\n0\r\n\r\n",
            ):
                await peer.write_split(piece)

    endings = set()
    async with upstream(script) as served:
        for turns in (*range(40), *range(40, 4000, 397)):
            async with transport_to(served.url) as transport:
                ended = await cancelled_after(turns, transport, body_size)
                endings.add(ended)
                await until(lambda: transport.pool.open_count == transport.pool.idle_count)

                # All of the answer may have come in the moment of the cancelling; what is kept then must be as good as new.
                assert transport.pool.idle_count <= 1
                assert await ask(transport) == b"ab"
            if ended:
                break

    assert endings == {False, True}


async def test_cancelled_while_connecting_it_leaves_nothing(full_port: int) -> None:
    async with transport_to(f"http://127.0.0.1:{full_port}") as transport:
        assert not await cancelled_after(5, transport)


async def test_cancelled_while_the_upstream_thinks_it_is_told() -> None:
    asked, gone = anyio.Event(), anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        asked.set()
        await peer.gone()
        gone.set()

    async with upstream(script) as served, transport_to(served.url) as transport:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.request, *GET)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await gone.wait()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def test_https_is_spoken_and_reused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SSL_CERT_FILE", str(certificate))
    async with (
        upstream(echo_number, ssl=server_tls(certificate)) as served,
        transport_to(f"https://localhost:{served.port}") as transport,
    ):
        assert [await ask(transport), await ask(transport)] == [b"1", b"1"]
        await transport.pool.connect()
        await until(lambda: served.accepted == 2)


async def test_certificates_are_verified(certificate: Path) -> None:
    asyncio.get_running_loop().set_debug(False)  # it would report the failed handshake of the test's own server
    async with (
        upstream(echo_number, ssl=server_tls(certificate)) as served,
        transport_to(f"https://localhost:{served.port}", tls_handshake_s=0) as transport,
    ):
        with pytest.raises(ConnectFailed, match="certificate verify failed"):
            await ask(transport)
