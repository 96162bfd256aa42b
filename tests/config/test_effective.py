from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from app.config.catalog import JsonValue
from app.config.effective import Effective
from app.config.loader import load_sources, load_text
from app.config.plan import ReloadPlan, plan


def effective(text: str, **environ: str) -> Effective:
    found = load_text(text, "config.yaml", environ).effective
    assert found is not None
    return found


def at(found: Effective, *path: str) -> JsonValue:
    value: JsonValue = dict(found.settings)
    for key in path:
        value = cast("dict[str, JsonValue]", value)[key]
    return value


def test_macros_and_environment_are_put_in() -> None:
    found = effective(
        "macros: {server: llama-server}\nmodels: {a: {cmd: '${server} --port ${PORT} -m ${env.MODEL}'}}",
        MODEL="/m.gguf",
    )

    assert at(found, "models", "a", "cmd") == "llama-server --port 5800 -m /m.gguf"
    assert at(found, "models", "a", "proxy") == "http://localhost:5800"
    assert "macros" not in found.settings


def test_a_model_says_what_holds_for_it() -> None:
    found = effective(
        "globalTTL: 300\nunloadTimeout: 7\nsendLoadingState: true\nhealthCheckTimeout: 1\nmodels: {a: {cmd: x, proxy: 'http://h:1'}}"
    )

    model = cast("dict[str, JsonValue]", at(found, "models", "a"))
    assert model["ttl"] == 300
    assert model["unloadTimeout"] == 7
    assert model["concurrencyLimit"] == 10
    assert model["sendLoadingState"] is True
    assert "healthCheckTimeout" not in model
    assert "macros" not in model
    assert at(found, "healthCheckTimeout") == 15


def test_names_of_changed_parameters_are_aliases() -> None:
    found = effective("models: {a: {cmd: 'x ${PORT}', aliases: [b], filters: {setParamsByID: {c: {top_k: 1}}}}}")

    assert at(found, "models", "a", "aliases") == ["b", "c"]


def test_older_places_and_spellings_stand_in_the_newer_ones() -> None:
    found = effective(
        "models: {a: {cmd: 'x ${PORT}', filters: {strip_params: top_p}}}\ngroups: {g: {swap: false, members: [a]}}"
    )

    assert "groups" not in found.settings
    assert at(found, "routing", "router", "use") == "group"
    assert at(found, "routing", "router", "settings", "groups", "g", "swap") is False
    assert at(found, "models", "a", "filters") == {"stripParams": "top_p", "setParams": {}, "setParamsByID": {}}
    assert ("routing", "router", "settings", "groups", "g", "members") in found.differing
    assert ("models", "a", "filters", "stripParams") in found.differing


def test_a_matrix_in_the_older_place_is_the_router() -> None:
    found = effective("models: {a: {cmd: 'x ${PORT}'}}\nmatrix: {vars: {m: a}, sets: {all: m}}")

    assert at(found, "routing", "router", "use") == "matrix"
    assert at(found, "routing", "router", "settings") == {
        "matrix": {"vars": {"m": "a"}, "evict_costs": {}, "sets": {"all": "m"}}
    }


def test_times_are_written_as_in_the_file() -> None:
    found = effective(
        "performance: {every: 90s}\nstore: {path: /tmp/x.db, maxAge: 720h}\n"
        "routing: {scheduler: {settings: {fifo: {patience: .inf}}}}"
    )

    assert at(found, "performance", "every") == "90s"
    assert at(found, "store", "maxAge") == "720h"
    assert at(found, "routing", "scheduler", "settings", "fifo", "patience") == ".inf"


@pytest.mark.parametrize(("written", "told"), [("60s", "1m"), ("1m30s", "90s"), ("0s", "0s"), ("1500ms", "1.5s")])
def test_durations_are_told_in_the_largest_unit_that_fits(written: str, told: str) -> None:
    found = effective(f"store: {{path: /tmp/x.db, maxAge: {written}}}")

    assert at(found, "store", "maxAge") == told


def test_what_somebody_has_written_and_is_not_the_default_differs() -> None:
    found = effective(
        "logLevel: debug\nstartPort: 5800\nlogRequests: true\nmacros: {m: 1}\n"
        "models: {a: {cmd: 'x ${PORT}', ttl: 5, macros: {n: 2}, healthCheckTimeout: 3, timeouts: {connect: 4}}}\n"
        "peers: {p: {proxy: 'http://h:1', models: [m], timeouts: {responseHeader: 60}}}"
    )

    assert set(found.differing) == {
        ("logLevel",),
        ("models", "a", "cmd"),
        ("models", "a", "ttl"),
        ("models", "a", "timeouts", "connect"),
        ("peers", "p", "proxy"),
        ("peers", "p", "models"),
    }


def test_a_proxy_of_its_own_differs() -> None:
    found = effective("models: {a: {cmd: x, proxy: 'http://127.0.0.1:9000'}}")

    assert ("models", "a", "proxy") in found.differing


def test_defaults_of_an_empty_file_are_all_there() -> None:
    found = effective("{}")

    assert found.differing == ()
    assert at(found, "logLevel") == "info"
    assert at(found, "performance") == {"disabled": False, "every": "5s"}
    assert at(found, "upstream", "ignorePaths") != []
    assert at(found, "store") is None


def test_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("models: {a: {cmd: 'x ${PORT}'}}\nlogLevel: warn\n")
    (tmp_path / "b.yaml").write_text("models: {b: {cmd: 'y ${PORT}'}}\n")

    catalog = load_sources(None, str(tmp_path), environ={})

    assert catalog.effective is not None
    assert list(cast("dict[str, JsonValue]", catalog.effective.settings["models"])) == ["a", "b"]
    assert at(catalog.effective, "logLevel") == "warn"


def test_it_is_no_change_of_its_own() -> None:
    one, other = (load_text(text, "c.yaml", {}) for text in ("logLevel: info", "{}"))

    assert one == other
    assert plan(one, other) == ReloadPlan()
