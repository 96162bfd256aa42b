"""The load generator, a process of its own: plain asyncio Protocols that speak just enough HTTP/1.1.

    python -m tests.bench.load --port 8080 --work stream --connections 32 --seconds 1

It prints one JSON object (`Tally.result`). Every connection asks again as soon as it has its answer (a closed loop), so
"32 connections" means 32 requests under way at any time, and the rate is what the server makes of that.

Every answer is checked: status, length of the body, framing of the chunks, number of events. What is wrong is counted,
and its first bytes are kept, for the figures of wrong answers are worth nothing.

The CPU time of the process under test (`--cpu-of`) is read here and not by the caller, so that it covers exactly the
time in which answers were counted: not the start of this process, the connecting, or the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import psutil
import uvloop

from tests.bench.checks import INCOMPLETE, StreamCheck, small_fault

PACE_MS = 5
"""Time between two events of a paced stream: a brisk 200 tokens a second."""

_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Say hello, please, and nothing else."},
]
BODIES: dict[str, dict[str, object]] = {
    "small": {"messages": _MESSAGES, "temperature": 0.2},
    "stream": {"messages": _MESSAGES, "temperature": 0.2, "stream": True},
    "paced": {"messages": _MESSAGES, "temperature": 0.2, "stream": True, "pace_ms": PACE_MS},
}

_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of whom, and when to stop: after *requests* if given, else after *seconds*."""

    host: str
    port: int
    kind: str
    model: str = "bench"
    connections: int = 1
    seconds: float = 1.0
    requests: int | None = None
    warmup_s: float = 0.0
    """Time before counting starts; with *requests* there is none."""
    cpu_of: int | None = None
    """The process whose CPU time is wanted."""

    def request(self) -> bytes:
        body = json.dumps({"model": self.model, **BODIES[self.kind]}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"user-agent: bench\r\naccept: */*\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Tally:
    """Counts what comes back, between `begin` and `end`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        # Set once.
        self.is_over = asyncio.Event()
        self._cpu = cpu_clock(work.cpu_of)
        self._watched = None if work.cpu_of is None else psutil.Process(work.cpu_of)
        # One window: everything is reset by `begin`.
        self._sent = 0
        self._began_at = time.perf_counter()
        self._elapsed_s = 0.0
        self._cpu_at_begin = 0.0
        self._cpu_s = 0.0
        self._user_at_begin = 0.0
        self._user_s = 0.0
        self._own_at_begin = 0.0
        self._own_s = 0.0
        self._latencies: list[float] = []
        # The whole run: a wrong answer counts whenever it came.
        self._wrong = 0
        self._first_wrong = ""
        self._reconnects = 0

    def begin(self) -> None:
        """Forgets the warm-up."""
        self._latencies.clear()
        self._cpu_at_begin = self._cpu()
        self._user_at_begin = self._user()
        self._own_at_begin = time.process_time()
        self._began_at = time.perf_counter()

    def end(self) -> None:
        if self.is_over.is_set():
            return
        self._elapsed_s = time.perf_counter() - self._began_at
        self._cpu_s = self._cpu() - self._cpu_at_begin
        self._user_s = self._user() - self._user_at_begin
        self._own_s = time.process_time() - self._own_at_begin
        self.is_over.set()

    def may_send(self) -> bool:
        """Tells whether one more request is wanted, and if so counts it as sent."""
        if not self.wants_more():
            return False
        self._sent += 1
        return True

    def wants_more(self) -> bool:
        """Tells whether a connection that was closed is to be replaced."""
        return not self.is_over.is_set() and self._sent != self._work.requests

    def answered(self, latency: float) -> None:
        if not self.is_over.is_set():
            self._latencies.append(latency)
            if len(self._latencies) == self._work.requests:
                self.end()

    def went_wrong(self, why: str, answer: bytes) -> None:
        self._wrong += 1
        if self._wrong == 1:
            self._first_wrong = f"{why}: {answer[:300]!r}"
        if self._wrong >= 100 or self._work.requests is not None:
            self.end()  # no use in going on

    def disconnected(self) -> None:
        if self.wants_more():
            self._reconnects += 1

    def result(self) -> dict[str, object]:
        """The figures: rates per second, latencies in milliseconds, CPU in microseconds per request."""
        requests = len(self._latencies)
        latencies = sorted(self._latencies) or [0.0]
        result: dict[str, object] = {
            "kind": self._work.kind,
            "connections": self._work.connections,
            "requests": requests,
            "elapsed_s": self._elapsed_s,
            "per_second": requests / self._elapsed_s if self._elapsed_s else 0.0,
            "p50_ms": latencies[len(latencies) // 2] * 1e3,
            "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
            "generator_cpu_us": self._own_s / requests * 1e6 if requests else 0.0,
            "wrong": self._wrong,
            "first_wrong": self._first_wrong,
            "reconnects": self._reconnects,
        }
        if self._work.cpu_of is not None:
            result["cpu_us"] = self._cpu_s / requests * 1e6 if requests else 0.0
            result["cpu_user_us"] = self._user_s / requests * 1e6 if requests else 0.0
        return result

    def _user(self) -> float:
        """CPU seconds of the watched process outside the kernel; ticks every 10 ms."""
        return self._watched.cpu_times().user if self._watched else 0.0


class Client(asyncio.Protocol):
    """One connection: sends, takes the answer apart, sends again."""

    transport: asyncio.Transport

    def __init__(self, work: Work, tally: Tally, check: Callable[[bytes], str]) -> None:
        # The connection.
        self.lost = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._request = work.request()
        self._check = check
        # The request under way.
        self._sent_at: float | None = None
        """None between an answer and the next request."""
        self._answer = b""
        self._is_done = False
        """Whether it was this side that closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_done:
            self._tally.went_wrong(f"the connection was lost ({exc})", self._answer)
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        answer = self._answer = self._answer + data if self._answer else data
        fault = self._check(answer)
        if fault is INCOMPLETE:
            return
        sent_at, self._sent_at, self._answer = self._sent_at, None, b""
        if fault or sent_at is None:
            self._tally.went_wrong(fault or "an answer that nobody asked for", answer)
            self._close()
            return
        self._tally.answered(now - sent_at)
        if _CLOSE.search(answer, 0, answer.find(b"\r\n\r\n")):
            self._close()
        else:
            self._ask()

    def _ask(self) -> None:
        if self._tally.may_send():
            self._sent_at = time.perf_counter()
            self.transport.write(self._request)
        else:
            self._close()

    def _close(self) -> None:
        self._is_done = True
        self.transport.close()


def cpu_clock(pid: int | None) -> Callable[[], float]:
    """Returns what reads the CPU seconds (user and system, all threads, no children) that process *pid* has used."""
    if pid is None:
        return float
    if sys.platform == "linux":
        # The id that clock_getcpuclockid(3) makes. The counters of /proc tick every 10 ms; this is finer.
        clock = (~pid << 3) | 2
        return lambda: time.clock_gettime(clock)
    process = psutil.Process(pid)

    def read() -> float:
        times = process.cpu_times()
        return times.user + times.system

    return read


async def measure(work: Work) -> dict[str, object]:
    """Does the work and returns the figures. Raises OSError if nobody listens."""
    tally = Tally(work)
    check = small_fault if work.kind == "small" else StreamCheck()
    loop = asyncio.get_running_loop()

    async def stay_connected() -> None:
        while tally.wants_more():
            transport, client = await loop.create_connection(lambda: Client(work, tally, check), work.host, work.port)
            try:
                await client.lost
            finally:
                transport.abort()
            tally.disconnected()

    async with asyncio.timeout(work.warmup_s + work.seconds + 30), asyncio.TaskGroup() as clients:
        for _ in range(work.connections):
            clients.create_task(stay_connected())
        if work.requests is None:
            loop.call_later(work.warmup_s, tally.begin)
            loop.call_later(work.warmup_s + work.seconds, tally.end)
        else:
            tally.begin()
    return tally.result()


def main() -> None:
    parser = argparse.ArgumentParser(description="a load generator; prints one JSON object")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", choices=list(BODIES), default="small")
    parser.add_argument("--model", default="bench")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--requests", type=int, default=None, help="stop after so many answers, not after --seconds")
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds before counting starts")
    parser.add_argument("--cpu-of", type=int, default=None, help="the process whose CPU time is read")
    options = parser.parse_args()
    work = Work(
        host=options.host,
        port=options.port,
        kind=options.work,
        model=options.model,
        connections=options.connections,
        seconds=options.seconds,
        requests=options.requests,
        warmup_s=options.warmup,
        cpu_of=options.cpu_of,
    )
    try:
        print(json.dumps(uvloop.run(measure(work))))
    except* OSError as failed:
        sys.exit(f"{work.host}:{work.port}: {failed.exceptions[0]!r}")


if __name__ == "__main__":
    main()
