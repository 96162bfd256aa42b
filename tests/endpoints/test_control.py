from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from starlette.routing import Router
from starlette.types import ASGIApp

from app.asgi import IN_MEMORY
from app.config.catalog import Catalog
from app.endpoints.control import routes
from app.http_protocol import CorkedProtocol
from app.middleware.errors import ErrorBoundary
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Supervisor
from planners.groups import Group
from planners.protocol import ModelId
from tests import fakes
from tests.asgi import Reply, call
from tests.endpoints.catalogs import Supervised, catalog, model
from tests.fakes import FakeLauncher, Logs
from tests.middleware.serving import served

pytestmark = pytest.mark.anyio

A, B = ModelId("a"), ModelId("b")


async def ask(method: str, path: str, models: Catalog, supervised: Supervised) -> Reply:
    return await call(Router(routes(lambda: models, supervised)), method, path)


async def test_running_is_written_as_existing_clients_know_it() -> None:
    """Golden sample A4."""
    models = catalog(model("b", cmd="my-server --port 5800", ttl_s=30.0, name="B", description="d"))

    reply = await ask("GET", "/running", models, Supervised(b=Phase.READY))

    assert reply.header("content-type") == "application/json"
    assert reply.body == (
        b'{"running":[{"model":"b","state":"ready","cmd":"my-server --port 5800","proxy":"http://127.0.0.1:5800",'
        b'"ttl":30,"name":"B","description":"d"}]}\n'
    )


async def test_running_lists_every_process_by_id_and_no_stopped_model() -> None:
    models = catalog(model("a"), model("b"), model("c"), model("d"))

    reply = await ask(
        "GET",
        "/running",
        models,
        Supervised(d=Phase.STARTING, c=Phase.STOPPED, b=Phase.READY, a=Phase.STOPPING),
    )

    found = json.loads(reply.body)["running"]
    assert [(each["model"], each["state"]) for each in found] == [("a", "stopping"), ("b", "ready"), ("d", "starting")]


async def test_nothing_running_is_an_empty_list() -> None:
    assert (await ask("GET", "/running", catalog(), Supervised())).body == b'{"running":[]}\n'


async def test_model_that_a_reload_removed_is_shown_until_it_is_gone() -> None:
    reply = await ask("GET", "/running", catalog(), Supervised(old=Phase.STOPPING))

    assert json.loads(reply.body)["running"] == [
        {"model": "old", "state": "stopping", "cmd": "", "proxy": "", "ttl": 0, "name": "", "description": ""}
    ]


async def test_unload_of_all_answers_ok() -> None:
    supervised = Supervised()
    reply = await ask("GET", "/unload", catalog(), supervised)

    assert (reply.status, reply.body) == (200, b"OK")
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert supervised.unloaded == [None]


async def test_unload_of_all_by_the_api_answers_json() -> None:
    supervised = Supervised()
    reply = await ask("POST", "/api/models/unload", catalog(), supervised)

    assert (reply.status, reply.body) == (200, b'{"msg":"ok"}\n')
    assert supervised.unloaded == [None]


@pytest.mark.parametrize("name", ["org/a", "short", "org%2Fa", "with/slash"])
async def test_unload_of_one_by_id_or_alias(name: str) -> None:
    supervised = Supervised()
    models = catalog(model("org/a", aliases=("short", "with/slash")), model("b"))
    reply = await ask("POST", f"/api/models/unload/{name}", models, supervised)

    assert (reply.status, reply.body) == (200, b"OK")
    assert supervised.unloaded == [["org/a"]]


@pytest.mark.parametrize("name", ["nobody", "", "org/a/"])
async def test_unload_of_an_unknown_model_is_404(name: str) -> None:
    supervised = Supervised()
    reply = await ask("POST", f"/api/models/unload/{name}", catalog(model("org/a")), supervised)

    assert reply.status == 404
    assert json.loads(reply.body)["error"]["message"] == "model not found"
    assert supervised.unloaded == []


async def test_unload_answers_when_the_models_are_gone() -> None:
    class Slow(Supervised):
        async def unload(self, models: object) -> None:
            asked.set()
            await gone.wait()

    asked, gone = anyio.Event(), anyio.Event()
    reply = Reply()
    async with anyio.create_task_group() as group:
        app = Router(routes(catalog, Slow()))
        group.start_soon(lambda: call(app, path="/unload", reply=reply))
        await asked.wait()
        await anyio.wait_all_tasks_blocked()
        before = reply.status
        gone.set()

    assert before == 0
    assert reply.body == b"OK"


@pytest.mark.parametrize("name", ["org/a", "short", "org%2Fa", "with/slash"])
async def test_load_of_one_by_id_or_alias(name: str) -> None:
    supervised = Supervised()
    models = catalog(model("org/a", aliases=("short", "with/slash")), model("b"))
    reply = await ask("POST", f"/api/models/load/{name}", models, supervised)

    assert (reply.status, reply.body) == (200, b'{"msg":"ok"}\n')
    assert supervised.insisted == ["org/a"]


@pytest.mark.parametrize("name", ["nobody", "", "org/a/"])
async def test_load_of_an_unknown_model_is_404(name: str) -> None:
    supervised = Supervised()
    reply = await ask("POST", f"/api/models/load/{name}", catalog(model("org/a")), supervised)

    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (404, "model not found")
    assert supervised.insisted == []


@asynccontextmanager
async def supervising(launcher: FakeLauncher, models: Catalog) -> AsyncIterator[tuple[Supervisor, ASGIApp]]:
    """Runs a real supervisor, and the endpoints before it."""
    supervisor = Supervisor(models, launcher, Logs())
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        yield supervisor, ErrorBoundary(Router(routes(lambda: models, supervisor)))
        await supervisor.shut_down(5)
        group.cancel_scope.cancel()


async def test_load_answers_when_the_model_is_ready_and_holds_it_no_longer() -> None:
    launcher = FakeLauncher()
    behaviour = launcher.model("a", ready=False)
    reply = Reply()
    async with supervising(launcher, fakes.catalog(fakes.model("a"))) as (supervisor, app):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: call(app, "POST", "/api/models/load/a", reply=reply))
            while not behaviour.probes:
                await anyio.sleep(0.001)
            before = reply.status
            behaviour.ready.set()
        seen = supervisor.view().models[ModelId("a")]

    assert before == 0
    assert (reply.status, reply.body) == (200, b'{"msg":"ok"}\n')
    assert (seen.phase, seen.leases) == (Phase.READY, 0)


async def test_load_tries_a_model_that_has_just_failed_and_tells_why_it_fails_again() -> None:
    launcher = FakeLauncher()
    launcher.model("a").launch_error = "no such file"
    async with supervising(launcher, fakes.catalog(fakes.model("a"))) as (_, app):
        first = await call(app, "POST", "/api/models/load/a")
        second = await call(app, "POST", "/api/models/load/a")

    assert (first.status, second.status) == (500, 500)
    assert "no such file" in json.loads(second.body)["error"]["message"]
    assert launcher.story == ["start a", "start a"]


async def test_client_that_leaves_gives_up_the_load_it_waits_for() -> None:
    launcher = FakeLauncher()
    models = fakes.catalog(fakes.model("a"), fakes.model("b"), groups=(Group("g", (A, B)),))
    async with (
        supervising(launcher, models) as (supervisor, app),
        served(app, CorkedProtocol) as url,
        httpx.AsyncClient(trust_env=False) as client,
        supervisor.lease(A),
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(client.post, f"{url}/api/models/load/b")
            while not supervisor.view().waiting:
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            while supervisor.view().waiting:
                await anyio.sleep(0.001)

    assert launcher.story == ["start a", "stop a", "gone a"]


async def test_load_takes_no_body_to_speak_of() -> None:
    supervised = Supervised()
    app = ErrorBoundary(Router(routes(lambda: catalog(model("a")), supervised)))
    reply = await call(app, "POST", "/api/models/load/a", body=b"x" * (IN_MEMORY + 1))

    assert reply.status == 413
    assert supervised.insisted == []
