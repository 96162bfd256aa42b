"""What a swap costs beyond the model's own start: `--swap`.

Two models of the default group, of which one runs at a time, are asked in turn, so that every request stops one server
and starts the other. Their load time is nothing but the start of a Python process, and that start is measured beside
each swap, from creating the process to its first 200 from /health, by the same clock on the same machine.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import time
from dataclasses import dataclass

from tests.bench.figures import Spread
from tests.bench.targets import HOST, MODELS, READY_S, Target, TargetError, ask, free_port, upstream_command

BUDGET_MS = 25
"""What a swap may cost beyond the upstream's own load."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """Milliseconds, one per swap."""

    whole: list[float]
    """From the request to its answer: stop one server, start the other, forward."""
    start: list[float]
    """The upstream's own start, measured just before."""

    def overhead(self) -> Spread:
        extra = [whole - start for whole, start in zip(self.whole, self.start, strict=True)]
        return Spread(statistics.median(extra), min(extra), max(extra))


def measure_swaps(target: Target, count: int) -> Swaps:
    """Asks for the two models in turn, *count* times; the first is running."""
    swaps = Swaps([], [])
    for n in range(count):
        swaps.start.append(_start_ms())
        began_at = time.perf_counter()
        ask(target.port, MODELS[(n + 1) % 2])
        swaps.whole.append((time.perf_counter() - began_at) * 1e3)
    return swaps


def _start_ms() -> float:
    port = free_port()
    began_at = time.perf_counter()
    process = subprocess.Popen(upstream_command(str(port)), stdin=subprocess.DEVNULL)
    try:
        while not _is_healthy(port):
            if process.poll() is not None or time.perf_counter() - began_at > READY_S:
                raise TargetError("the fake upstream does not start")
            time.sleep(0.001)  # finer than what it is the yardstick for
        return (time.perf_counter() - began_at) * 1e3
    finally:
        process.kill()
        process.wait()


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
