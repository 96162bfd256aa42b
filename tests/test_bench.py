"""The load generator counts what really came back: figures of wrong answers are worth nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from tests.bench import figures, targets, upstream
from tests.bench.checks import INCOMPLETE, StreamCheck, small_fault
from tests.bench.load import Work, measure
from tests.ports import free_port

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def framed(parts: list[bytes]) -> bytes:
    return STREAM_HEAD + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that has one answer to everything; the block gets its port."""

    class Fixed(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)

    server = await asyncio.get_running_loop().create_server(Fixed, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "connections", "requests"), [("small", 3, 20), ("stream", 3, 20), ("paced", 2, 2)])
async def test_as_many_right_answers_as_asked_for(tmp_path: Path, kind: str, connections: int, requests: int) -> None:
    with targets.available(None)["direct"](tmp_path) as target:
        result = await measure(Work("127.0.0.1", target.port, kind, connections=connections, requests=requests))

    assert result["requests"] == requests
    assert result["wrong"] == 0


@pytest.mark.anyio
async def test_window_of_time_reports_a_rate_and_the_cpu_of_the_watched_process(tmp_path: Path) -> None:
    port = free_port()
    with targets.running(targets.upstream_command(str(port)), port, tmp_path) as process:
        result = await measure(Work("127.0.0.1", port, "small", connections=2, seconds=0.2, cpu_of=process.pid))

    assert cast("int", result["requests"]) > 0
    assert result["per_second"] == cast("int", result["requests"]) / cast("float", result["elapsed_s"])
    assert cast("float", result["cpu_us"]) > 0


@pytest.mark.anyio
async def test_stream_that_lacks_an_event_is_counted_as_wrong() -> None:
    async with answering(framed(upstream.EVENT_PARTS[1:])) as port:
        result = await measure(Work("127.0.0.1", port, "stream", requests=3))

    assert result["requests"] == 0
    assert result["wrong"] == 1
    assert "199 events instead of 200" in str(result["first_wrong"])


@pytest.mark.anyio
async def test_connection_that_the_server_closes_is_replaced() -> None:
    class Once(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(upstream.COMPLETION)}\r\n\r\n"
            self.transport.write(head.encode() + upstream.COMPLETION)
            self.transport.close()

    server = await asyncio.get_running_loop().create_server(Once, "127.0.0.1", 0)
    async with server:
        work = Work("127.0.0.1", server.sockets[0].getsockname()[1], "small", requests=3)

        result = await measure(work)

    assert (result["requests"], result["wrong"], result["reconnects"]) == (3, 0, 2)


@pytest.mark.parametrize("size", [1000, 7, 100_000])
def test_stream_is_right_however_a_proxy_cuts_it_into_chunks(size: int) -> None:
    body = b"".join(upstream.EVENT_PARTS)
    answer = framed([body[at : at + size] for at in range(0, len(body), size)])
    check = StreamCheck()

    assert check(answer[:-1]) is INCOMPLETE
    assert check(answer) == ""
    assert check(answer) == ""


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "not a 200"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "content-length"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "neither length nor chunks"),
        (framed([b"{}"]), "another body"),
    ],
)
def test_small_answer_that_is_wrong_is_told(answer: bytes, fault: str) -> None:
    assert fault in small_fault(answer)


def test_medians_are_compared_with_the_budgets() -> None:
    cells = [("small", 1), ("small", 32)]
    rounds = [
        figures.Round(
            {
                ("small", 1): {"direct": {"p50_ms": 0.1}, "hostler": {"p50_ms": 0.1 + added}},
                ("small", 32): {"direct": {}, "hostler": {"cpu_us": cpu}},
            }
        )
        for added, cpu in [(0.1, 50.0), (0.2, 61.0), (0.9, 70.0)]
    ]

    lines = figures.verdicts(rounds, cells, "hostler")

    assert lines == [
        "added p50 of a small request: 0.200 ms, budget 0.25 ms: within",
        "CPU per small request: 61.0 µs, budget 60 µs: over",
    ]
