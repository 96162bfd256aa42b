from __future__ import annotations

from typing import cast

import anyio
import openai
import pytest
from anyio.lowlevel import checkpoint
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.asgi import Body, send_bytes
from app.config.catalog import Catalog, Model
from app.errors import NotFound, TooManyRequests
from app.exchange import KEY, Exchange
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted, ConcurrencyLimit, room_in_s
from app.middleware.resolve import Resolve
from app.scheduler.history import History, Learned as HistoryOf
from app.supervisor.supervisor import Supervisor
from planners.protocol import ModelId
from tests.asgi import call
from tests.endpoints.catalogs import catalog, model, routing
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

A = ModelId("a")


class Gate:
    """An application whose requests stay inside until it is opened."""

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.inside = 0
        self.served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        self.served += 1
        await send_bytes(send, 200, b"ok")


def soon(_model: ModelId, _inside: int) -> int:
    return 1


def exchange(which: Model) -> dict[str, object]:
    made = Exchange(catalog(), which.id, which.id, which, False, Body(b""), "/", b"", 0.0)
    return {KEY: made}


async def ask(app: ASGIApp, which: Model) -> None:
    await call(app, extra=exchange(which))


async def until_waiting() -> None:
    for _ in range(5):
        await checkpoint()


@pytest.mark.parametrize(("which", "limit"), [(model("a"), 10), (model("a", concurrency_limit=3), 3)])
async def test_so_many_requests_are_admitted_and_not_one_more(which: Model, limit: int) -> None:
    gate, admitted = Gate(), Admitted()
    app = ConcurrencyLimit(gate, admitted, soon)

    async with anyio.create_task_group() as group:
        for _ in range(limit):
            group.start_soon(ask, app, which)
        await until_waiting()
        assert admitted.counts() == {"a": limit}

        with pytest.raises(TooManyRequests, match=r"^Too many requests$") as caught:
            await ask(app, which)

        assert caught.value.retry_after_s == 1
        assert (gate.inside, admitted.counts()) == (limit, {"a": limit})
        gate.open.set()

    assert gate.served == limit
    assert admitted.counts() == {}


async def test_every_model_has_a_limit_of_its_own() -> None:
    gate = Gate()
    app = ConcurrencyLimit(gate, Admitted(), soon)
    a, b = model("a", concurrency_limit=1), model("b", concurrency_limit=1)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, app, a)
        group.start_soon(ask, app, b)
        await until_waiting()

        assert gate.inside == 2
        with pytest.raises(TooManyRequests):
            await ask(app, a)
        gate.open.set()


async def test_endpoints_count_together() -> None:
    gate, admitted = Gate(), Admitted()
    which = model("a", concurrency_limit=1)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, ConcurrencyLimit(gate, admitted, soon), which)
        await until_waiting()

        with pytest.raises(TooManyRequests):
            await ask(ConcurrencyLimit(gate, admitted, soon), which)
        gate.open.set()


async def test_failed_request_gives_its_place_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotFound("x")

    admitted = Admitted()
    for _ in range(3):
        with pytest.raises(NotFound):
            await ask(ConcurrencyLimit(fails, admitted, soon), model("a", concurrency_limit=1))

    assert admitted.counts() == {}


async def test_cancelled_request_gives_its_place_back() -> None:
    gate, admitted = Gate(), Admitted()

    async with anyio.create_task_group() as group:
        group.start_soon(ask, ConcurrencyLimit(gate, admitted, soon), model("a"))
        await until_waiting()
        assert admitted.counts() == {"a": 1}
        group.cancel_scope.cancel()

    assert (gate.inside, admitted.counts()) == (0, {})


async def test_limit_changed_by_a_reload_counts_at_once() -> None:
    gate, admitted = Gate(), Admitted()
    app = ConcurrencyLimit(gate, admitted, soon)

    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(ask, app, model("a", concurrency_limit=2))
        await until_waiting()

        with pytest.raises(TooManyRequests):
            await ask(app, model("a", concurrency_limit=1))
        group.start_soon(ask, app, model("a", concurrency_limit=3))
        await until_waiting()
        assert admitted.counts() == {"a": 3}
        gate.open.set()


async def test_refusal_tells_when_there_may_be_room_and_nobody_else_asks() -> None:
    gate, asked = Gate(), []

    def retry_after(which: ModelId, inside: int) -> int:
        asked.append((which, inside))
        return 42

    app = ConcurrencyLimit(gate, Admitted(), retry_after)

    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(ask, app, model("a", concurrency_limit=2))
        await until_waiting()
        with pytest.raises(TooManyRequests) as caught:
            await ask(app, model("a", concurrency_limit=2))
        gate.open.set()

    assert caught.value.retry_after_s == 42
    assert asked == [("a", 2)]


class Learned:
    """A supervisor's estimates, as a test wants them."""

    def __init__(self, wait_s: float | None, request_s: float | None) -> None:
        self._wait_s = wait_s
        self.history = History({A: HistoryOf(request_s=request_s)})

    def wait_s(self, which: ModelId) -> float | None:
        if which != A:
            raise KeyError(which)
        return self._wait_s


@pytest.mark.parametrize(
    ("wait_s", "request_s", "inside", "expected"),
    [
        (0.0, 30.0, 10, 3),  # one of ten that are served
        (0.0, 31.0, 10, 4),  # rounded up
        (0.0, 0.2, 10, 1),  # at least
        (0.0, 30.0, 0, 30),  # a limit of 0
        (60.0, 30.0, 10, 90),  # nobody is served yet
        (60.0, None, 10, 60),
        (None, 30.0, 10, 30),
        (None, None, 10, 1),
        (0.0, None, 10, 1),
        (5000.0, 1.0, 10, 600),  # at most
    ],
)
def test_room_is_expected_when_the_first_of_those_inside_is_done(
    wait_s: float | None, request_s: float | None, inside: int, expected: int
) -> None:
    assert room_in_s(cast(Supervisor, Learned(wait_s, request_s)), A, inside) == expected


def test_room_of_a_model_that_a_reload_has_removed_is_not_known() -> None:
    assert room_in_s(cast(Supervisor, Learned(60.0, 60.0)), ModelId("gone"), 10) == 1


def test_counts_are_a_copy() -> None:
    admitted = Admitted()
    counts = admitted.counts()

    admitted.inside[A] = 1

    assert counts == {}


async def test_official_client_knows_our_refusal() -> None:
    which = catalog(model("a", concurrency_limit=1))
    gate = Gate()

    def current() -> Catalog:
        return which

    limited = Resolve(ConcurrencyLimit(gate, Admitted(), soon), routing(current), path="/", in_query=False)
    app = ErrorBoundary(Router([Route("/v1/chat/completions", limited, methods=["POST"])]))

    async with (
        served(app) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        anyio.create_task_group() as group,
    ):

        async def first() -> None:
            with pytest.raises(openai.APIError):
                await client.chat.completions.create(model="a", messages=[])

        group.start_soon(first)
        while not gate.inside:
            await anyio.sleep(0.001)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="a", messages=[])
        group.cancel_scope.cancel()
        gate.open.set()

    assert caught.value.code == "concurrency_limit"
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.response.json()["error"]["message"] == "Too many requests"
