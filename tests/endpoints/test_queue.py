"""The queue and the requests in flight, seen and cancelled by HTTP, before a real supervisor and over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import TaskGroup

from app.config.catalog import Catalog, Peer, PeerModel
from app.endpoints import inference, queue
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.middleware.limit import Admitted
from app.middleware.paths import Dispatch
from app.middleware.track import track
from app.proxy.peers import Peers
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.scheduler.history import History, Learned
from app.supervisor.supervisor import Supervisor
from app.telemetry.inflight import InFlight
from planners.groups import Group
from planners.protocol import ModelId
from tests.fakes import FakeLauncher, Logs, catalog, model
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

A, B = ModelId("a"), ModelId("b")

EXCLUSIVE = (Group("g", (A, B)),)


@dataclass
class Host:
    """A served Hostler, and one client of it."""

    supervisor: Supervisor
    launcher: FakeLauncher
    client: httpx.AsyncClient
    group: TaskGroup
    current: list[Catalog]
    """The configuration in force."""

    async def get(self, path: str) -> Any:
        answer = await self.client.get(path)
        assert answer.status_code == 200
        return answer.json()

    async def cancel(self, number: object) -> tuple[int, Any]:
        answer = await self.client.post(f"/api/inflight/{number}/cancel")
        return answer.status_code, answer.json()

    def ask(self, name: str, **headers: str) -> list[httpx.Response]:
        """Asks for *name* in another task; the answer will be in the list."""
        answers: list[httpx.Response] = []

        async def post() -> None:
            answers.append(await self.client.post("/v1/completions", json={"model": name}, headers=headers))

        self.group.start_soon(post)
        return answers

    async def until_waiting(self, count: int) -> None:
        await until(lambda: self.supervisor.view().waiting == count)


@asynccontextmanager
async def hosting(
    config: Catalog, history: History | None = None, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[Host]:
    """Serves *config*. clock: of the endpoints, for those who look later."""
    current = [config]
    launcher = FakeLauncher()
    supervisor = Supervisor(config, launcher, Logs(), history=history)
    peers = Peers(config)
    inflight = InFlight()
    routing = Routing(lambda: current[0], ActiveProfile(), Reservations(supervisor.view))
    serve = inference.model_app(supervisor, Admitted(), peers)
    routes = [
        *track(inference.routes(serve, routing), inflight),
        *queue.routes(lambda: current[0], supervisor, inflight, clock),
    ]
    async with (
        anyio.create_task_group() as group,
        served(ErrorBoundary(Dispatch(routes, serve)), CorkedProtocol) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, limits=httpx.Limits()) as client,
    ):
        await group.start(supervisor.run)
        yield Host(supervisor, launcher, client, group, current)
        await supervisor.shut_down(5)
        await peers.aclose()
        group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what has no event: turns of the loop pass until *condition* holds."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.001)


async def test_nobody_waits_for_nothing() -> None:
    async with hosting(catalog(model("a"))) as host:
        assert await host.get("/api/queue") == {"queue": [], "length": 0, "limit": 1000, "models": {}}
        assert await host.get("/api/inflight") == {"requests": []}


async def test_queue_tells_who_waits_for_what_and_who_holds_it() -> None:
    async with hosting(catalog(model("a"), model("b"), groups=EXCLUSIVE)) as host:
        async with host.supervisor.lease(A):
            answers = host.ask("b")
            await host.until_waiting(1)
            shown = await host.get("/api/queue")
            flying = await host.get("/api/inflight")
        await until(lambda: len(answers) == 1)

    (waiting,) = shown["queue"]
    assert waiting.pop("waited_ms") >= 0
    assert waiting == {
        "position": 1,
        "model": "b",
        "ticket": 2,
        "request_id": "1",
        "estimated_ms": None,
        "overdue": False,
        "held_by": [{"model": "a", "state": "ready", "in_flight": 1}],
    }
    assert shown["models"] == {
        "a": {"state": "ready", "in_flight": 1, "waiting": 0, "estimated_ms": 0},
        "b": {"state": "stopped", "in_flight": 0, "waiting": 1, "estimated_ms": None},
    }
    assert (shown["length"], shown["limit"]) == (1, 1000)
    assert [(each["id"], each["model"]) for each in flying["requests"]] == [("1", "b")]
    assert answers[0].text == "hello"


async def test_queue_estimates_the_wait_by_what_was_learned() -> None:
    history = History({A: Learned(request_s=2.0, stop_s=1.0), B: Learned(load_s=7.0)})
    config = replace(catalog(model("a"), model("b"), groups=EXCLUSIVE, patience_s=0.0), max_queued=7)

    async with hosting(config, history, clock=lambda: time.monotonic() + 100) as host:
        async with host.supervisor.lease(A):
            answers = host.ask("b")
            await host.until_waiting(1)
            shown = await host.get("/api/queue")
        await until(lambda: len(answers) == 1)

    (waiting,) = shown["queue"]
    assert waiting["waited_ms"] >= 100_000
    assert (waiting["estimated_ms"], shown["models"]["b"]["estimated_ms"]) == (10_000, 10_000)
    assert waiting["overdue"] is True
    assert shown["limit"] == 7


async def test_ticket_that_is_no_request_for_a_model_has_no_request() -> None:
    async with hosting(catalog(model("a"))) as host:
        behaviour = host.launcher.model("a", ready=False)

        async def load() -> None:
            async with host.supervisor.lease(A):
                pass

        host.group.start_soon(load)
        await host.until_waiting(1)
        shown = await host.get("/api/queue")
        behaviour.ready.set()
        await host.until_waiting(0)

    assert [(each["request_id"], each["held_by"]) for each in shown["queue"]] == [(None, [])]
    assert shown["models"]["a"]["state"] == "starting"


@pytest.mark.parametrize(("later_s", "estimated_ms"), [(0.0, None), (100.0, 3000)])
async def test_model_that_has_failed_is_shown_and_how_long_it_is_left_alone(
    later_s: float, estimated_ms: int | None
) -> None:
    history = History({A: Learned(load_s=3.0)})
    async with hosting(catalog(model("a")), history, lambda: time.monotonic() + later_s) as host:
        host.launcher.model("a").launch_error = "no such file"
        answers = host.ask("a")
        await until(lambda: len(answers) == 1)
        shown = (await host.get("/api/queue"))["models"]["a"]

    assert ("retry_in_ms" in shown) == (not later_s)
    assert 0 < shown.pop("retry_in_ms", 1) <= 1000
    assert "no such file" in shown.pop("failure")
    assert shown == {"state": "stopped", "in_flight": 0, "waiting": 0, "estimated_ms": estimated_ms}


async def test_model_that_a_reload_removed_is_shown_until_it_is_gone() -> None:
    async with hosting(catalog(model("a"))) as host, host.supervisor.lease(A):
        host.current[0] = catalog(model("b"))
        host.supervisor.reconfigure(host.current[0])
        shown = await host.get("/api/queue")

    assert shown["models"] == {"a": {"state": "ready", "in_flight": 1, "waiting": 0, "estimated_ms": None}}


async def test_secrets_of_requests_in_flight_are_not_shown() -> None:
    async with hosting(catalog(model("a"))) as host:
        behaviour = host.launcher.model("a", ready=False)
        answers = host.ask("a", Authorization="Bearer secret-1", Cookie="secret-2", **{"X-Api-Key": "secret-3"})
        await host.until_waiting(1)
        (shown,) = (await host.get("/api/inflight"))["requests"]
        behaviour.ready.set()
        await until(lambda: len(answers) == 1)

    assert "secret" not in str(shown)
    assert shown["req_headers"]["X-Api-Key"] == "[REDACTED]"
    assert (shown["req_path"], shown["method"], shown["remote_ip"]) == ("/v1/completions", "POST", "127.0.0.1")


@pytest.mark.slow
async def test_long_list_is_whole_and_harmless_inside_html() -> None:
    async with hosting(catalog(model("a", concurrency_limit=1000))) as host:
        behaviour = host.launcher.model("a", ready=False)
        answers = [host.ask("a", **{"X-Page": "<b>&"}) for _ in range(queue.AT_ONCE + 5)]
        await host.until_waiting(queue.AT_ONCE + 5)
        answer = await host.client.get("/api/inflight")
        shown = await host.get("/api/queue")
        behaviour.ready.set()
        await until(lambda: all(answers))

    requests = answer.json()["requests"]
    assert [each["id"] for each in requests] == [str(number + 1) for number in range(queue.AT_ONCE + 5)]
    assert {each["req_headers"]["X-Page"] for each in requests} == {"<b>&"}
    assert not any(character in answer.text for character in "<>&")
    assert [each["position"] for each in shown["queue"]] == list(range(1, queue.AT_ONCE + 6))
    assert {each["request_id"] for each in shown["queue"]} == {each["id"] for each in requests}


# Cancel


async def test_cancelled_request_leaves_the_queue_and_no_model_is_started_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "app.endpoints.queue")
    async with hosting(catalog(model("a"), model("b"), groups=EXCLUSIVE)) as host:
        async with host.supervisor.lease(A):
            answers = host.ask("b")
            await host.until_waiting(1)
            told = await host.cancel(1)
            await until(lambda: len(answers) == 1)
            after = await host.get("/api/queue")
        story = list(host.launcher.story)
        again = await host.cancel(1)

    assert told == (200, {"msg": "ok"})
    assert answers[0].status_code == 502
    assert answers[0].json()["error"]["message"] == "the request was cancelled by the operator"
    assert (after["queue"], after["models"]) == (
        [],
        {"a": {"state": "ready", "in_flight": 1, "waiting": 0, "estimated_ms": 0}},
    )
    assert story == ["start a"]
    assert again[0] == 404
    assert [(record.getMessage(), vars(record)["model"]) for record in caplog.records] == [
        ("request 1 cancelled by the operator", "b")
    ]


async def test_load_under_way_is_finished_when_its_only_request_is_cancelled() -> None:
    async with hosting(catalog(model("a"))) as host:
        behaviour = host.launcher.model("a", ready=False)
        answers = host.ask("a")
        await until(lambda: behaviour.probes > 0)
        await host.cancel(1)
        await until(lambda: len(answers) == 1)
        behaviour.ready.set()
        await until(lambda: host.supervisor.running(A) is not None)
        shown = (await host.get("/api/queue"))["models"]

    assert answers[0].status_code == 502
    assert shown == {"a": {"state": "ready", "in_flight": 0, "waiting": 0, "estimated_ms": 0}}


async def test_cancelled_stream_is_cut_and_its_upstream_is_left() -> None:
    left = anyio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"5\r\nhello\r\n")
        while await reader.read(1024):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    far = Peer("far", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", models=("big",))
    config = replace(catalog(), peers={"far": far}, peer_models={"big": PeerModel(far, "big")})
    async with server, hosting(config) as host:
        async with host.client.stream("POST", "/v1/completions", json={"model": "big"}) as response:
            chunks = response.aiter_bytes()
            first = await anext(chunks)
            (shown,) = (await host.get("/api/inflight"))["requests"]
            told = await host.cancel(shown["id"])
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(chunks)
        with anyio.fail_after(30):
            await left.wait()
        after = await host.get("/api/inflight")

    assert (first, told) == (b"hello", (200, {"msg": "ok"}))
    assert (shown["model"], shown["resp_bytes"]) == ("far/big", 5)
    assert shown["resp_headers"]["Content-Type"] == "text/event-stream"
    assert after == {"requests": []}


async def test_cancelled_loading_stream_is_told_so_and_leaves_the_queue() -> None:
    config = catalog(model("a"), model("b", send_loading_state=True), groups=EXCLUSIVE)
    body = {"model": "b", "messages": [], "stream": True}
    async with hosting(config) as host, host.supervisor.lease(A):
        async with host.client.stream("POST", "/v1/chat/completions", json=body) as response:
            chunks = response.aiter_bytes()
            said = await anext(chunks)
            told = await host.cancel(1)
            said += b"".join([chunk async for chunk in chunks])
        after = await host.get("/api/queue")
        flying = await host.get("/api/inflight")
        story = list(host.launcher.story)
        tasks = {task.get_name() for task in asyncio.all_tasks()}

    assert (response.status_code, told[0]) == (200, 200)
    last = json.loads(said.removesuffix(b"\n\n").rpartition(b"data: ")[2])
    assert last["error"]["message"] == "the request was cancelled by the operator"
    assert (after["queue"], flying["requests"], story) == ([], [], ["start a"])
    assert not any("loading" in name for name in tasks), tasks


async def test_refusal_over_the_limit_says_when_to_come_again_by_what_was_learned() -> None:
    history = History({A: Learned(load_s=300.0, request_s=50.0)})
    async with hosting(catalog(model("a", concurrency_limit=1)), history) as host:
        behaviour = host.launcher.model("a", ready=False)
        answers = host.ask("a")
        await host.until_waiting(1)
        refusal = await host.client.post("/v1/completions", json={"model": "a"})
        behaviour.ready.set()
        await until(lambda: len(answers) == 1)

    assert refusal.status_code == 429
    assert 300 < int(refusal.headers["retry-after"]) <= 350
    assert refusal.text == (
        '{"src":"llama-swap","error":{"message":"Too many requests","type":"rate_limit_error","param":null,'
        '"code":"concurrency_limit"}}'
    )


@pytest.mark.parametrize("bad", ["x", "0", "-1", "1.0", "٣", "1" * 5000])
async def test_id_that_is_no_number_is_refused(bad: str) -> None:
    async with hosting(catalog()) as host:
        status, answer = await host.cancel(bad)

    assert status == 400
    assert answer["error"]["message"] == "the id of a request is a number, as GET /api/inflight lists it"


async def test_id_that_is_not_in_flight_is_not_found() -> None:
    async with hosting(catalog()) as host:
        status, answer = await host.cancel(7)

    assert (status, answer["error"]["message"]) == (404, "inflight request not found")
