"""`python -m tests.bench.layers`: what metering, activity and captures each add to a request, on and off (docs/benchmarks.md).

The application's own layers in one process, without sockets: the upstream is an object that has the answer ready, and every lease is
granted at once. Stacks take turns (A B C A B C …) in batches; a figure is the median of a stack's batches, in microseconds of CPU
time of the whole process: the threads that write activity and pack captures are waited for and included. What a layer adds is the
difference to the stack before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, cast

import anyio
import uvloop

from app.config.catalog import Catalog, Model
from app.endpoints.captures import decoded
from app.endpoints.inference import Inference
from app.middleware.capture import Capturing
from app.middleware.limit import Admitted, ConcurrencyLimit
from app.middleware.meter import Metering
from app.middleware.resolve import Resolve
from app.middleware.track import Track
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.supervisor.instance import Running
from app.supervisor.supervisor import Lease, Supervisor
from app.telemetry.activity import ActivityLog
from app.telemetry.activity_record import ActivityRecord
from app.telemetry.captures import Captures
from app.telemetry.inflight import InFlight
from app.telemetry.store import StoreSettings
from tests.fakes import catalog, model
from tests.telemetry.capturing import idle

PATH = "/v1/chat/completions"
BATCH = 300

ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]

SMALL = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":{"role":'
    b'"assistant","content":"I am a benchmark and well, thank you."},"finish_reason":"stop"}],"usage":{"prompt_tokens":'
    b'21,"completion_tokens":9,"total_tokens":30}}'
)
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[{"index":0,"delta":'
    b'{"content":" word"},"finish_reason":null}]}\n\n'
)
LAST = (
    EVENT.replace(b"null}]}", b'"stop"}],"usage":{"prompt_tokens":21,"completion_tokens":200}}') + b"data: [DONE]\n\n"
)


class Answer:
    """An answer that is here already, in its pieces."""

    status = 200

    def __init__(self, pieces: list[bytes], content_type: bytes) -> None:
        self.headers = [(b"content-type", content_type)]
        self._left = pieces[::-1]

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return not self._left

    async def read_some(self) -> bytes:
        """Returns the next piece."""
        return self._left.pop()

    def close(self) -> None:
        """Does nothing."""


class Upstream:
    """Has one answer to everything."""

    base_path = b""
    host = b"127.0.0.1"

    def __init__(self, pieces: list[bytes], content_type: bytes) -> None:
        self._pieces = pieces
        self._content_type = content_type

    async def request(self, *_: object) -> Answer:
        """Answers."""
        return Answer(self._pieces, self._content_type)


class Ready(Lease):
    """A lease that is granted at once: the scheduler's own cost is measured by `tests.bench.scheduling`."""

    upstream: Upstream

    async def __aenter__(self) -> Running:
        return Running("bench", 1, cast("Any", self.upstream))

    async def __aexit__(self, *_: object) -> None:
        return None


class Always(Supervisor):
    """Has every model ready."""

    upstream: Upstream

    def lease(self, model: Any, *, insists: bool = False) -> Lease:
        """Returns a lease of the upstream."""
        lease = Ready(self, model, insists=insists)
        lease.upstream = self.upstream
        return lease


class Nowhere(ActivityLog):
    """Takes records and forgets them."""

    def add(self, record: ActivityRecord) -> int:
        """Forgets."""
        return 1


class Silent:
    """Takes what upstreams print."""

    def model_sink(self, _: str) -> Callable[[bytes], None]:
        """Returns what takes it."""
        return lambda _: None

    def tail(self, _: str, lines: int = 10) -> str:
        """Returns nothing."""
        return ""


class Connected:
    """A client that stays."""

    def watch(self, _: object) -> bool:
        """Says so."""
        return True


async def stacks(
    upstream: Upstream, inside: AsyncExitStack
) -> tuple[dict[str, ASGIApp], Callable[[], Awaitable[None]]]:
    """Returns the application's layers, from none of those that observe to all of them, and what waits for their threads."""
    current: Catalog = catalog(model("bench", concurrency_limit=1000))
    assert isinstance(current.models[next(iter(current.models))], Model)
    supervisor = Always(current, cast("Any", None), Silent())
    supervisor.upstream = upstream
    routing = Routing(lambda: current, ActiveProfile(), Reservations(supervisor.view))
    activity = await inside.enter_async_context(ActivityLog(StoreSettings()))
    nowhere = Nowhere(StoreSettings())
    kept, off = Captures(5 << 20, decoded), Captures(0, decoded)
    group = await inside.enter_async_context(anyio.create_task_group())
    inside.callback(group.cancel_scope.cancel)
    await group.start(kept.run)

    def stack(log: ActivityLog | None, captures: Captures | None, *, tracks: bool = True) -> ASGIApp:
        limit = ConcurrencyLimit(Inference(supervisor, Peers(current)), Admitted(), lambda *_: 1)
        app: Any = limit if captures is None else Capturing(limit, captures, {PATH})
        app = Resolve(app, routing, path=PATH, in_query=False)
        if log is not None:
            app = Metering(app, lambda: current, log, captures or off, path=PATH)
        return Track(app, InFlight()) if tracks else app

    async def settle() -> None:
        await activity.flush()
        await idle(kept)

    return {
        "resolve, limit, forward": stack(None, None, tracks=False),
        "and the list of requests in flight": stack(None, None),
        "and metering": stack(nowhere, None),
        "and activity": stack(activity, None),
        "and captures": stack(activity, kept),
    }, settle


BODY = b'{"model":"bench","stream":%b,"messages":[{"role":"system","content":"Be short."},{"role":"user","content":"How are you?"}]}'
HEADERS = [
    (b"host", b"127.0.0.1:8080"),
    (b"user-agent", b"bench"),
    (b"accept", b"*/*"),
    (b"content-type", b"application/json"),
]


async def batch(app: ASGIApp, body: bytes, count: int, settle: Callable[[], Awaitable[None]]) -> float:
    """Returns the microseconds of CPU time that each of *count* requests takes, until all of it has *settled*."""

    async def send(_: object) -> None:
        pass

    began = time.process_time_ns()
    for _ in range(count):

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {
            "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
            "http_version": "1.1", "headers": list(HEADERS), "client": ("127.0.0.1", 1), "hostler.connection": Connected(),
        }  # fmt: skip
        await app(scope, receive, send)
        await asyncio.sleep(0)
    await settle()
    return (time.process_time_ns() - began) / 1000 / count


async def measure(rounds: int) -> None:
    """Measures and prints."""
    works = {
        "small": (Upstream([SMALL], b"application/json"), BODY % b"false", BATCH),
        "stream of 200 events, one by one": (
            Upstream([EVENT] * 199 + [LAST], b"text/event-stream"),
            BODY % b"true",
            20,
        ),
    }
    for name, (upstream, body, count) in works.items():
        async with AsyncExitStack() as inside:
            layers, settle = await stacks(upstream, inside)
            costs: dict[str, list[float]] = {layer: [] for layer in layers}
            gc.collect()
            gc.freeze()
            for _ in range(rounds):
                for layer, app in layers.items():
                    costs[layer].append(await batch(app, body, count, settle))
        print(f"\n{name:<48}{'µs':>8}{'added':>8}")
        before = None
        for layer, each in costs.items():
            cost = statistics.median(each)
            print(f"  {layer:<46}{cost:>8.1f}" + ("" if before is None else f"{cost - before:>8.1f}"))
            before = cost


def main() -> None:
    """Runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.layers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="batches of each stack (default: %(default)s)")
    uvloop.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
