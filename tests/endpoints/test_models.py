from __future__ import annotations

import datetime as dt
import json
import math
from types import MappingProxyType

import pytest
from starlette.routing import Router

from app.config.catalog import Capabilities, Catalog, Profile, Selector, Strategy
from app.endpoints.models import plain, records, routes
from app.errors import escape_json
from app.scheduler.instances import Phase
from tests.asgi import Reply, call
from tests.endpoints.catalogs import Supervised, catalog, model, peer, routing, view

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


def written(models: Catalog, profile: Profile | None = None, **phases: Phase) -> dict[str, str]:
    """Returns each record as it goes over the wire, by its id."""
    found = records(models, view(**phases), NOW, profile)
    return {str(record["id"]): json.dumps(record, separators=(",", ":")) for record in found}


def test_capabilities_are_written_as_existing_clients_know_them() -> None:
    """Golden sample A2, whole."""
    models = catalog(
        model(
            "a",
            name="Name A",
            description="desc",
            aliases=("al", "a:hi"),
            capabilities=Capabilities(("text", "image"), ("text",), tools=True, context=4096),
            metadata={"x": 1, "port": 15800, "context_length": 5, "capabilities": 1, "architecture": 1}
            | {"supported_parameters": 1},
        )
    )

    assert escape_json(written(models)["a"]) == (
        '{"id":"a","object":"model","created":1795361442,"owned_by":"llama-swap","name":"Name A","description":"desc",'
        '"architecture":{"input_modalities":["text","image"],"modality":"text+image-\\u003etext",'
        '"output_modalities":["text"]},"capabilities":{"function_calling":true,"vision":true},'
        '"supported_parameters":["tools","tool_choice"],"context_length":4096,'
        '"meta":{"llamaswap":{"aliases":["al","a:hi"],"port":15800,"type":"model","x":1},"n_ctx":4096},'
        '"status":{"value":"unloaded"}}'
    )


def test_metadata_stays_whole_when_nothing_is_declared() -> None:
    record = records(catalog(model("a", metadata={"context_length": 5})), view(), NOW)[0]

    assert record["meta"] == {"llamaswap": {"context_length": 5, "type": "model"}}
    assert record.keys().isdisjoint({"architecture", "capabilities", "supported_parameters", "context_length"})


def test_records_of_aliases_peers_and_selectors_are_golden() -> None:
    """Golden samples A3."""
    models = catalog(
        model("a", aliases=("al",), capabilities=Capabilities(context=4096), metadata={"x": 1, "port": 15800}),
        model("b"),
        peers=[peer("p1", "pm")],
        selectors=[Selector("sel", Strategy.WARM, ("b", "a"))],
        include_aliases_in_list=True,
    )

    found = written(models)

    assert list(found) == ["a", "al", "b", "p1/pm", "sel"]
    assert '"meta":{"llamaswap":{"modelID":"a","port":15800,"type":"alias","x":1},"n_ctx":4096}' in found["al"]
    assert found["p1/pm"] == (
        '{"id":"p1/pm","object":"model","created":1795361442,"owned_by":"llama-swap","name":"p1: pm",'
        '"meta":{"llamaswap":{"peerID":"p1","type":"peer"}},"status":{"value":"unloaded"}}'
    )
    assert found["sel"] == (
        '{"id":"sel","object":"model","created":1795361442,"owned_by":"llama-swap",'
        '"meta":{"llamaswap":{"strategy":"warm","targets":["b","a"],"type":"selector"}},"status":{"value":"unloaded"}}'
    )


@pytest.mark.parametrize(
    ("declared", "able"),
    [
        (Capabilities(("image",), ("text",)), ["vision"]),
        (Capabilities(("audio",), ("text",)), ["audio_transcriptions"]),
        (Capabilities(("text",), ("audio",)), ["audio_speech"]),
        (Capabilities(("text",), ("image",)), ["image_generation"]),
        (Capabilities(("image",), ("image",)), ["image_to_image", "vision"]),
        (Capabilities(tools=True), ["function_calling"]),
        (Capabilities(reranker=True), ["reranker"]),
        (Capabilities(("text",), ("text",)), None),
        (Capabilities(context=1), None),
    ],
)
def test_what_a_model_can_do_follows_from_what_is_declared(declared: Capabilities, able: list[str] | None) -> None:
    record = records(catalog(model("a", capabilities=declared)), view(), NOW)[0]

    assert record.get("capabilities") == (None if able is None else dict.fromkeys(able, True))


@pytest.mark.parametrize(
    ("declared", "architecture"),
    [
        (Capabilities(("text", "audio")), {"input_modalities": ["text", "audio"]}),
        (Capabilities(outputs=("text",)), {"output_modalities": ["text"]}),
        (Capabilities(tools=True), None),
    ],
)
def test_modality_needs_both_sides(declared: Capabilities, architecture: dict[str, object] | None) -> None:
    assert records(catalog(model("a", capabilities=declared)), view(), NOW)[0].get("architecture") == architecture


def test_selector_tells_of_itself_and_hides_when_unlisted() -> None:
    models = catalog(
        model("a"),
        selectors=[
            Selector("s", Strategy.SPILLOVER, ("a",), 3, "Name", "what for", metadata={"type": "x", "z": 1}),
            Selector("hidden", Strategy.PIN, ("a",), unlisted=True),
        ],
    )

    _, record = records(models, view(a=Phase.READY), NOW)

    assert record == {
        "id": "s",
        "object": "model",
        "created": NOW,
        "owned_by": "llama-swap",
        "name": "Name",
        "description": "what for",
        "meta": {"llamaswap": {"spillover": 3, "strategy": "spillover", "targets": ["a"], "type": "selector", "z": 1}},
        "status": {"value": "loaded"},
    }


@pytest.mark.parametrize(
    ("strategy", "phases", "status"),
    [
        (Strategy.PIN, {"b": Phase.READY}, "unloaded"),
        (Strategy.PIN, {"a": Phase.STARTING}, "loaded"),
        (Strategy.WARM, {"b": Phase.READY}, "loaded"),
        (Strategy.WARM, {"a": Phase.STOPPING}, "unloaded"),
    ],
)
def test_selector_is_loaded_with_a_target_it_could_choose(
    strategy: Strategy, phases: dict[str, Phase], status: str
) -> None:
    models = catalog(
        model("a"), model("b"), peers=[peer("p", "m")], selectors=[Selector("s", strategy, ("a", "b", "p/m"))]
    )

    found = {record["id"]: record["status"] for record in records(models, view(**phases), NOW)}

    assert found["s"] == {"value": status}


def test_pins_of_the_active_profile_are_listed_unless_they_hide_behind_another_name() -> None:
    models = catalog(
        model("a", name="A", capabilities=Capabilities(context=7), aliases=("al",), metadata={"x": 1}),
        peers=[peer("p", "m")],
        selectors=[Selector("sel", Strategy.PIN, ("a",), description="d")],
    )
    pins = {
        "local": "al",
        "far": "m",
        "chosen": "sel",
        "off": "",
        "a": "al",
        "al": "a",
        "p/m": "a",
        "sel": "a",
        "m": "a",
    }

    found = written(models, Profile("prof", "", pins), a=Phase.READY)

    assert list(found) == ["a", "chosen", "far", "local", "m", "p/m", "sel"]
    assert found["local"] == (
        '{"id":"local","object":"model","created":1795361442,"owned_by":"llama-swap","name":"A","context_length":7,'
        '"meta":{"llamaswap":{"type":"profile","x":1},"n_ctx":7},"status":{"value":"loaded"}}'
    )
    assert '"llamaswap":{"type":"profile"}},"status":{"value":"unloaded"}' in found["far"]
    assert '"description":"d","meta":{"llamaswap":{"type":"profile"}},"status":{"value":"loaded"}' in found["chosen"]


async def test_list_follows_the_active_profile() -> None:
    models = catalog(model("a"))
    app = Router(routes(routing(lambda: models, Profile("prof", "", {"fast": "a"})), Supervised()))

    assert [record["id"] for record in json.loads((await call(app, path="/v1/models")).body)["data"]] == ["a", "fast"]


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
