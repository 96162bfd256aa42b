from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from app.config.catalog import (
    Capabilities,
    Catalog,
    Filters,
    LogSettings,
    Model,
    Monitoring,
    Peer,
    Profile,
    Records,
    Timeouts,
)
from app.config.loader import load_text
from app.config.plan import ModelChange, ReloadPlan, plan
from planners.groups import Group, GroupPlanner
from planners.protocol import ModelId
from tests.endpoints.catalogs import catalog, model

ROOT = Path(__file__).parents[2]

A, B = ModelId("a"), ModelId("b")


def launched(original: Model, **launch: object) -> Model:
    spec = original.spec
    return replace(original, spec=replace(spec, launch=replace(spec.launch, **launch)))  # type: ignore[arg-type]


def reached(original: Model, **spec: object) -> Model:
    return replace(original, spec=replace(original.spec, **spec))  # type: ignore[arg-type]


def test_nothing_has_changed() -> None:
    changes = plan(catalog(model("a")), catalog(model("a")))

    assert changes == ReloadPlan(unchanged=(A,))
    assert str(changes) == "nothing has changed"


def test_models_are_told_apart() -> None:
    old = catalog(model("a"), model("b"), model("gone"))
    new = catalog(model("a"), launched(model("b"), argv=("other",)), model("new"))

    assert plan(old, new) == ReloadPlan(
        unchanged=(A,),
        changed=(ModelChange(B, ("cmd",), restarts=True),),
        added=(ModelId("new"),),
        removed=(ModelId("gone"),),
    )


@pytest.mark.parametrize(("changed", "settings"), [
    (launched(model("a"), argv=("x",)), ("cmd",)),
    (launched(model("a"), env=("KEY=x",)), ("env",)),
    (launched(model("a"), stop_argv=("x",)), ("cmdStop",)),
    (launched(model("a"), grace_s=1.0), ("unloadTimeout",)),
    (reached(launched(model("a"), host="::1", port=1), base_url="http://[::1]:1"), ("proxy",)),
    (reached(model("a"), check_endpoint=None), ("checkEndpoint",)),
    (reached(model("a"), health_check_timeout_s=1.0), ("healthCheckTimeout",)),
    (reached(model("a"), timeouts=Timeouts(connect_s=1.0)), ("timeouts",)),
    (launched(model("a", ttl_s=5.0), argv=("x",), env=("KEY=x",)), ("cmd", "env", "ttl")),
])  # fmt: skip
def test_what_starts_or_reaches_a_model_restarts_it(changed: Model, settings: tuple[str, ...]) -> None:
    assert plan(catalog(model("a")), catalog(changed)).changed == (ModelChange(A, settings, restarts=True),)


@pytest.mark.parametrize(("changed", "setting"), [
    (model("a", cmd="server  "), "cmd"),
    (model("a", aliases=("x",)), "aliases"),
    (model("a", unlisted=True), "unlisted"),
    (model("a", use_model_name="x"), "useModelName"),
    (model("a", ttl_s=1.0), "ttl"),
    (model("a", priority=1), "priority"),
    (model("a", concurrency_limit=1), "concurrencyLimit"),
    (model("a", send_loading_state=True), "sendLoadingState"),
    (model("a", ignore_websockets=True), "compat.ignoreWebsockets"),
    (model("a", filters=Filters(("x",))), "filters"),
    (model("a", capabilities=Capabilities(tools=True)), "capabilities"),
    (model("a", metadata={"x": 1}), "metadata"),
])  # fmt: skip
def test_what_may_change_under_a_running_process_does_not_restart_it(changed: Model, setting: str) -> None:
    assert plan(catalog(model("a")), catalog(changed)).changed == (ModelChange(A, (setting,), restarts=False),)


PEER = Peer("p", "http://p", ("m",), api_key="sk-secret-1")


@pytest.mark.parametrize(("old", "new", "settings"), [
    ({}, {"patience_s": 1.0}, ("routing.scheduler.settings.fifo.patience",)),
    ({}, {"logs": LogSettings("debug", "rfc3339", "both")}, ("logLevel", "logTimeFormat", "logToStdout")),
    ({}, {"include_aliases_in_list": True}, ("includeAliasesInList",)),
    ({"api_keys": ("sk-secret-1",)}, {"api_keys": ("sk-secret-2",)}, ("apiKeys",)),
    ({}, {"ignore_paths": (re.compile("x"),)}, ("upstream.ignorePaths",)),
    ({"ignore_paths": (re.compile("x"),)}, {"ignore_paths": (re.compile("x"),)}, ()),
    ({"peers": {"p": PEER, "q": PEER}}, {"peers": {"o": PEER, "p": replace(PEER, api_key="sk-secret-2"), "q": PEER}},
     ("peers.o", "peers.p")),
    ({"profiles": {"p": Profile("p", "", {})}}, {}, ("profiles.p",)),
    ({"sources": ("a",), "warnings": ("a",)}, {}, ()),
])  # fmt: skip
def test_settings_of_the_whole_are_named_as_in_the_file(
    old: dict[str, object], new: dict[str, object], settings: tuple[str, ...]
) -> None:
    before, after = (replace(catalog(model("a")), **each) for each in (old, new))  # type: ignore[arg-type]

    assert plan(before, after) == ReloadPlan(unchanged=(A,), settings=settings)


def test_no_secret_is_told() -> None:
    old = replace(
        catalog(launched(model("a"), env=("KEY=sk-secret-1",), argv=("x", "sk-secret-1"))),
        api_keys=("sk-secret-1",),
        peers={"p": PEER},
    )
    new = replace(
        catalog(launched(model("a"), env=("KEY=sk-secret-2",), argv=("x", "sk-secret-2"))),
        api_keys=("sk-secret-2",),
        peers={"p": replace(PEER, api_key="sk-secret-2")},
    )

    assert "secret" not in repr(plan(old, new))
    assert "secret" not in str(plan(old, new))


def test_list_of_what_is_preloaded_is_a_setting_that_a_reload_takes_in() -> None:
    changes = plan(catalog(model("a")), replace(catalog(model("a")), preload=(A,)))

    assert changes == ReloadPlan(unchanged=(A,), settings=("hooks.on_startup.preload",))


def test_what_needs_a_restart_is_told_of() -> None:
    changes = ReloadPlan(unchanged=(A,), needs_restart=("somewhere.else",))

    assert str(changes) == "needs a restart: somewhere.else, 1 models as they were"


def grouped(names: str, *groups: Group) -> Catalog:
    models = [model(name) for name in names]
    return replace(catalog(*models), planner=GroupPlanner(groups, [each.id for each in models]))


def group(members: str, *, swap: bool) -> Group:
    return Group("g", tuple(map(ModelId, members)), swap=swap)


@pytest.mark.parametrize(("old", "new", "changed"), [
    (grouped("ab"), grouped("ab"), False),
    (grouped("ab"), grouped("abc"), False),
    (grouped("abc"), grouped("bcd"), False),
    (grouped("ab"), grouped("ab", group("ab", swap=False)), True),
    (grouped("ab"), grouped("abc", group("ab", swap=False)), True),
    (grouped("abc", group("ab", swap=False)), grouped("ab", group("ab", swap=False)), False),
])  # fmt: skip
def test_rules_of_swapping_change_only_if_they_do_for_models_of_both(old: Catalog, new: Catalog, changed: bool) -> None:
    assert plan(old, new).swapping_changed is changed


def test_planner_of_another_kind_is_another_rule() -> None:
    class Other(GroupPlanner):
        pass

    old = catalog(model("a"))
    new = replace(catalog(model("a"), model("b")), planner=Other((), [A, B]))

    assert plan(old, new).swapping_changed


def test_one_line_says_it_all() -> None:
    old = replace(grouped("abcd"), preload=(A,))
    new = grouped("abce", group("ab", swap=False))
    models = {**new.models, A: launched(model("a"), argv=("x",), env=("Y=1",)), B: model("b", ttl_s=1.0)}
    new = replace(new, models=models, logs=LogSettings("debug"))

    assert str(plan(old, new)) == (
        "changed a (cmd, env; ends when idle), changed b (ttl), added e, removed d, other rules of swapping, "
        "settings hooks.on_startup.preload, logLevel, 1 models as they were"
    )


def test_every_setting_of_a_catalog_is_one_of_the_schema() -> None:
    """A field that is added to the catalog must be called in a plan what it is called in the file."""
    schema = (ROOT / "config.schema.json").read_text()
    old = load_text("models: {}", "x", {})
    for field in fields(Catalog):
        new = replace(old, **{field.name: _other(getattr(old, field.name))})  # type: ignore[arg-type]
        if field.name in {"models", "aliases", "planner", "peer_models", "sources", "warnings"}:
            continue
        changes = plan(old, new)
        for name in (*changes.settings, *changes.needs_restart):
            for part in name.removesuffix(".x").split("."):
                assert f'"{part}"' in schema, f"{field.name} is told of as {name}"


def _other(value: object) -> object:
    match value:
        case LogSettings():
            return LogSettings("x", "x", "x")
        case Monitoring():
            return Monitoring(is_on=False, every_s=9.0)
        case Records():
            return Records("x", 1.5, 1, 1, 1, "x", 1, ("x",), (b"x",))
        case bool():
            return not value
        case tuple():
            return (*value, "x")
        case float() | int():
            return value + 1
        case _:
            return {"x": 1}
