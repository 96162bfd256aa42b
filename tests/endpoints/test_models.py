from __future__ import annotations

import datetime as dt
import json
import math
from types import MappingProxyType

import pytest
from starlette.routing import Router

from app.config.catalog import Catalog
from app.endpoints.models import plain, records, routes
from app.scheduler.instances import Phase
from tests.asgi import Reply, call
from tests.endpoints.catalogs import Supervised, catalog, model, routing, view

pytestmark = pytest.mark.anyio

NOW = 1_795_361_442


async def get(models: Catalog, supervised: Supervised, path: str = "/v1/models", **arguments: object) -> Reply:
    app = Router(routes(routing(lambda: models), supervised))
    return await call(app, path=path, **arguments)  # type: ignore[arg-type]  # those of `call`


def test_record_is_written_as_existing_clients_know_it() -> None:
    """Golden sample A2 of the specification, without what capabilities add."""
    models = catalog(
        model(
            "a",
            name="Name A",
            description="desc",
            aliases=("al", "a:hi"),
            metadata=MappingProxyType({"x": 1, "port": 15800}),
        )
    )

    assert json.dumps(records(models, view(), NOW), separators=(",", ":")) == (
        '[{"id":"a","object":"model","created":1795361442,"owned_by":"llama-swap","name":"Name A","description":"desc",'
        '"meta":{"llamaswap":{"aliases":["al","a:hi"],"port":15800,"type":"model","x":1}},"status":{"value":"unloaded"}}]'
    )


async def test_answer_is_written_as_existing_clients_know_it() -> None:
    reply = await get(catalog(model("a", description="<b> & co")), Supervised(a=Phase.READY))

    created = json.loads(reply.body)["data"][0]["created"]
    assert abs(created - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert reply.status == 200
    assert reply.header("content-type") == "application/json"
    assert reply.body.decode() == (
        f'{{"data":[{{"id":"a","object":"model","created":{created},"owned_by":"llama-swap",'
        '"description":"\\u003cb\\u003e \\u0026 co","meta":{"llamaswap":{"type":"model"}},"status":{"value":"loaded"}}],'
        '"object":"list"}\n'
    )


async def test_both_paths_answer() -> None:
    for path in ("/v1/models", "/models"):
        reply = await get(catalog(), Supervised(), path)

        assert reply.body == b'{"data":[],"object":"list"}\n'


async def test_origin_is_echoed() -> None:
    reply = await get(catalog(), Supervised(), headers=[(b"origin", b"http://localhost:3000")])

    assert reply.header("access-control-allow-origin") == "http://localhost:3000"


async def test_without_an_origin_nothing_is_said_of_it() -> None:
    reply = await get(catalog(), Supervised())

    assert reply.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        (Phase.STOPPED, "unloaded"),
        (Phase.STARTING, "loaded"),
        (Phase.READY, "loaded"),
        (Phase.STOPPING, "loaded"),
    ],
)
def test_every_model_with_a_process_is_loaded(phase: Phase, status: str) -> None:
    assert records(catalog(model("a")), view(a=phase), NOW)[0]["status"] == {"value": status}


def test_unlisted_models_are_left_out_with_their_aliases() -> None:
    models = catalog(model("a"), model("b", unlisted=True, aliases=("c",)), include_aliases_in_list=True)

    assert [record["id"] for record in records(models, view(), NOW)] == ["a"]


def test_aliases_are_no_entries_unless_asked_for() -> None:
    assert [record["id"] for record in records(catalog(model("a", aliases=("b",))), view(), NOW)] == ["a"]


def test_alias_entry_tells_whose_it_is() -> None:
    """Golden sample A3."""
    models = catalog(
        model("m", name="Name", aliases=("z", "b"), metadata={"x": 1, "type": "mine"}),
        model("c"),
        include_aliases_in_list=True,
    )

    found = records(models, view(m=Phase.READY), NOW)

    assert [record["id"] for record in found] == ["b", "c", "m", "z"]
    assert found[0] == {
        "id": "b",
        "object": "model",
        "created": NOW,
        "owned_by": "llama-swap",
        "name": "Name",
        "meta": {"llamaswap": {"modelID": "m", "type": "alias", "x": 1}},
        "status": {"value": "loaded"},
    }
    assert json.dumps(found[0]["meta"]) == '{"llamaswap": {"modelID": "m", "type": "alias", "x": 1}}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": {"d": None, "c": True}}, '{"a":{"c":true,"d":null},"b":1}'),
        (MappingProxyType({2: "two", 10: "ten"}), '{"10":"ten","2":"two"}'),
        ((1.0, 2.5, 1e21, -0.5), "[1,2.5,1e+21,-0.5]"),
        ([math.nan, math.inf], "[null,null]"),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        ({1: "a", "1": "b"}, '{"1":"b"}'),
    ],
)
def test_metadata_is_written_as_go_would(value: object, expected: str) -> None:
    assert json.dumps(plain(value), separators=(",", ":")) == expected
