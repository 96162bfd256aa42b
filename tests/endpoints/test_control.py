from __future__ import annotations

import json

import anyio
import pytest
from starlette.routing import Router

from app.config.catalog import Catalog
from app.endpoints.control import routes
from app.scheduler.instances import Phase
from tests.asgi import Reply, call
from tests.endpoints.catalogs import Supervised, catalog, model

pytestmark = pytest.mark.anyio


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
