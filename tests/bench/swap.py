"""What a swap costs beyond the model's own load: `--swap`.

Two models of the default group, of which one runs at a time, are asked in turn, so that every request stops one server
and starts the other. Their load is nothing but the start of a Python process, and such a start is measured beside each swap,
from creating the process to its first 200 from /health, by the same clock on the same machine.

Theory of operation
-------------------
A start takes some 70 ms and on a machine with other things to do easily 30 more, which is as much as what is looked for.
So the upstream tells how long it took itself, from its first line to listening, and that is taken off on both sides:
what a swap costs is **what stands around the load in a swap, less what stands around it when the server is started alone**
(creating the process, the interpreter's own start, one request). Were the load itself slowed down by whoever waits for it, this would
not show; so both loads are told, too. Stopping the other server counts as the swap's in full, though a part of it is that
server's own: how long it takes when it is ended alone is told beside.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Spread
from tests.bench.targets import HOST, MODELS, READY_S, Target, TargetError, ask, upstream_command
from tests.ports import free_port

BUDGET_MS = 25
"""What a swap may cost beyond the upstream's own load."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One start of the upstream, in milliseconds."""

    whole: float
    """From asking for it to its answer."""
    load: float
    """Of that, its own: from its first line to listening."""
    stop: float = 0.0
    """How long it takes to end after SIGTERM; told by starts alone."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """As many starts of one kind as of the other, in turn."""

    through: list[Timed]
    """From the request to its answer: stop one server, start the other, forward."""
    alone: list[Timed]
    """The upstream's own start, measured just before."""

    def overhead(self) -> Spread:
        return _spread(
            [
                (swap.whole - swap.load) - (own.whole - own.load)
                for swap, own in zip(self.through, self.alone, strict=True)
            ]
        )

    def whole_overhead(self) -> Spread:
        """Returns the same with the loads left in: noisier, and nothing can hide there."""
        return _spread([swap.whole - own.whole for swap, own in zip(self.through, self.alone, strict=True)])

    def __str__(self) -> str:
        loads = [_spread([one.load for one in starts]) for starts in (self.through, self.alone)]
        return (
            f"{self.overhead()} ms beyond the upstream's own start; with the loads left in {self.whole_overhead()}\n"
            f"  the load, from first line to listening: {loads[0]} ms, alone {loads[1]} ms; "
            f"a server alone ends {_spread([one.stop for one in self.alone])} ms after SIGTERM"
        )


def measure_swaps(target: Target, count: int) -> Swaps:
    """Asks for the two models in turn, *count* times; the first is running."""
    assert target.times is not None
    swaps = Swaps([], [])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for n in range(count):
            swaps.alone.append(_start(Path(folder) / "times"))
            began_at = time.perf_counter()
            ask(target.port, MODELS[(n + 1) % 2])
            swaps.through.append(Timed(_ms_since(began_at), _last(target.times)))
    return swaps


def _start(times: Path) -> Timed:
    port = free_port()
    began_at = time.perf_counter()
    process = subprocess.Popen(upstream_command(str(port), times), stdin=subprocess.DEVNULL)
    try:
        while not _is_healthy(port):
            if process.poll() is not None or time.perf_counter() - began_at > READY_S:
                raise TargetError("the fake upstream does not start")
            time.sleep(0.001)  # finer than what it is the yardstick for
        whole = _ms_since(began_at)
        began_at = time.perf_counter()
        process.terminate()
        process.wait()
        return Timed(whole, _last(times), _ms_since(began_at))
    finally:
        process.kill()
        process.wait()


def _is_healthy(port: int) -> bool:
    # A yardstick that asks by HTTP all the time takes 5 ms of 60 from the server it waits for; a refusal costs next to nothing.
    with socket.socket() as attempt:
        if attempt.connect_ex((HOST, port)):
            return False
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _last(times: Path) -> float:
    """Returns what the upstream started last has written."""
    return float(times.read_text().splitlines()[-1])


def _ms_since(began_at: float) -> float:
    return (time.perf_counter() - began_at) * 1e3


def _spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))
