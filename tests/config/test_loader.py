"""From a path to a catalog: files that cannot be read, unknown keys, and what is not acted on yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.config.loader import load, load_text
from app.errors import ConfigError
from planners.protocol import ModelId
from tests.config.reading import read

GOOD = "models: {a: {cmd: 'x ${PORT}'}}\n"


def why_not(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    return str(caught.value)


def test_a_file_is_read_as_often_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)

    first, second = load(path, environ={}), load(str(path), environ={})

    assert first.models[ModelId("a")] == second.models[ModelId("a")]
    assert (str(path),) == first.sources


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())

    assert list(load(path, environ={}).models) == ["a"]


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "gone.yaml"

    assert f"{path}: there is no such file (give its path with --config)" == why_not(path)


def test_directory(tmp_path: Path) -> None:
    assert f"{tmp_path}: is a directory" in why_not(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    path.chmod(0)

    assert "may not be read by this user" in why_not(path)


def test_path_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)

    assert "cannot be read" in why_not(path / "below")


def test_path_with_nul() -> None:
    assert "cannot be read" in why_not(Path("a\0b"))


def test_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"models: {}\n# caf\xe9\n")

    assert f"{path}:2: is not UTF-8 text (save it as UTF-8)" == why_not(path)


UNKNOWN = """
modles: {}
models:
  a:
    cmd: x ${PORT}
    tll: 5
    compat: {ignoreWebSockets: true}
    metadata: {anything: 1}
routing: {router: {settings: {groups: {g: {member: [a]}}, matrix: {set: {}}}}}
zzz: 1
"""


def test_unknown_keys_are_told_with_the_nearest_known_one() -> None:
    assert read(UNKNOWN).warnings == (
        "config.yaml:2: modles: unknown key, ignored (did you mean models?)",
        "config.yaml:6: models.a.tll: unknown key, ignored (did you mean ttl?)",
        "config.yaml:7: models.a.compat.ignoreWebSockets: unknown key, ignored (did you mean ignoreWebsockets?)",
        "config.yaml:9: routing.router.settings.groups.g.member: unknown key, ignored (did you mean members?)",
        "config.yaml:9: routing.router.settings.matrix.set: unknown key, ignored (did you mean sets?)",
        "config.yaml:10: zzz: unknown key, ignored",
    )


def test_strict_refuses_unknown_keys() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("models:\n  a: {cmd: '${PORT}', tll: 5}\n", "config.yaml", {}, strict=True)

    assert str(caught.value) == "config.yaml:2: models.a.tll: unknown key (did you mean ttl?)"


NOT_YET = """
models:
  a:
    cmd: x ${PORT}
    filters: {stripParams: "temperature", strip_params: "x", setParams: {a: 1}, setParamsByID: {b: {c: 1}}}
    capabilities: {in: [text], out: [text, image], tools: true, reranker: false, context: 4096}
    healthCheckTimeout: 300
metricsMaxInMemory: 10
captureBuffer: -1
logRequests: true
store: {path: /tmp/x.db}
ui: {activity: {session_id: [X-Session]}}
performance: {disabled: false, every: 1m30s}
upstream: {ignorePaths: ['.*']}
profiles: {p: {description: d, pins: {x: a, y: }}}
selectors: {s: {strategy: spillover, targets: [a], settings: {spillover: 2}, name: n, description: d, unlisted: no, metadata: {}}}
peers:
  p: {proxy: "http://h", models: [m], apiKey: k, filters: {}, timeouts: {responseHeader: 60}}
"""


def test_what_is_not_acted_on_yet_is_accepted_and_told() -> None:
    told = [warning.split(": ", 1)[1] for warning in read(NOT_YET).warnings]

    assert told == [
        "models.a.healthCheckTimeout: has no effect in a model: the top-level healthCheckTimeout holds for all",
    ]


def test_strict_takes_what_is_not_acted_on_yet() -> None:
    assert load_text(NOT_YET, "config.yaml", {}, strict=True).models


def test_keys_without_a_value_are_absent_and_make_no_warning() -> None:
    keys = "models groups routing matrix hooks macros apiKeys store ui performance upstream profiles selectors peers logLevel startPort"

    assert read("\n".join(f"{key}:" for key in keys.split())).warnings == ()
    assert (
        read(
            "models: {a: {proxy: 'http://h', aliases: , env: , filters: , macros: , timeouts: , ttl: , metadata: }}"
        ).warnings
        == ()
    )
    assert read("apiKeys: []\nupstream: {}\npeers: {}").warnings == ()
