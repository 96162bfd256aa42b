"""How an upstream's readiness is noticed: by its port, its health endpoint and what it prints."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from dataclasses import replace

import anyio
import pytest

from app.config.catalog import ModelSpec
from app.proxy.transport import UpstreamTransport
from app.supervisor import readiness
from app.supervisor.readiness import ASKING, TRYING, News, refuses, wait_ready
from tests.fakes import model

pytestmark = pytest.mark.anyio

NEVER_S = 3600.0


@pytest.fixture
def closed() -> Iterator[socket.socket]:
    """A socket that holds its port but does not listen yet."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server


def spec_for(server: socket.socket, host: str = "127.0.0.1") -> ModelSpec:
    return replace(model("a").spec, base_url=f"http://{host}:{server.getsockname()[1]}", check_endpoint=None)


async def becomes_ready(spec: ModelSpec, news: News) -> None:
    transport = UpstreamTransport(spec.base_url, spec.timeouts)
    try:
        with anyio.fail_after(10):
            await wait_ready(spec, transport, news)
    finally:
        await transport.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_that_begins_to_listen_is_noticed_without_news_and_before_it_is_asked(
    closed: socket.socket, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A question before it listens would be followed by the next in an hour.
    monkeypatch.setattr(readiness, "ASKING", replace(ASKING, first_s=NEVER_S, news_s=NEVER_S))
    spec = spec_for(closed, host)
    async with anyio.create_task_group() as group:
        group.start_soon(becomes_ready, spec, News())
        await anyio.wait_all_tasks_blocked()
        closed.listen()


async def test_news_cut_short_the_wait_for_a_port(closed: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "TRYING", replace(TRYING, first_s=NEVER_S, news_s=0.001))
    news = News()
    async with anyio.create_task_group() as group:
        group.start_soon(becomes_ready, spec_for(closed), news)
        await anyio.wait_all_tasks_blocked()
        closed.listen()
        news.spread()


def test_a_port_where_nobody_listens_refuses(closed: socket.socket) -> None:
    with socket.socket() as attempt:
        assert refuses(attempt, closed.getsockname())


def test_a_port_that_listens_does_not_refuse(closed: socket.socket) -> None:
    closed.listen()
    with socket.socket() as attempt:
        assert not refuses(attempt, closed.getsockname())


def test_a_full_queue_of_connections_is_no_refusal(closed: socket.socket) -> None:
    closed.listen(0)
    with socket.socket() as first, socket.socket() as second, socket.socket() as third:
        for attempt in (first, second, third):
            assert not refuses(attempt, closed.getsockname())


def test_a_socket_connected_to_itself_is_a_refusal(closed: socket.socket) -> None:
    """What the kernel makes when it picks the port that is asked for as the asker's own."""
    assert refuses(closed, closed.getsockname())
    assert closed.getpeername() == closed.getsockname()


@pytest.mark.parametrize("host", ["192.0.2.1", "models.invalid", "0.0.0.0"])
async def test_another_machine_is_asked_and_not_tried(closed: socket.socket, host: str) -> None:
    spec = spec_for(closed, host)
    transport = UpstreamTransport(spec.base_url, spec.timeouts)
    probe = readiness._Probe(spec, transport, host=host, port=closed.getsockname()[1], netloc="x", base="")

    assert not probe.is_refused()

    await transport.aclose()


@pytest.mark.parametrize(("pauses", "limit_s"), [(TRYING, 0.02), (ASKING, 0.1)])
def test_pauses_grow_to_their_limit_and_news_are_heard_within_25_ms(pauses: readiness.Pauses, limit_s: float) -> None:
    series = list(itertools.islice(pauses, 200))

    assert series[0] == (pauses.first_s, pauses.first_s)
    assert [most for _, most in series] == sorted(most for _, most in series)
    assert series[-1] == (min(pauses.news_s, limit_s), limit_s)
    assert max(least for least, _ in series) <= 0.025
