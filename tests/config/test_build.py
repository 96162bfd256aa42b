"""What a file means: defaults, rules beyond types, and the words of refusals (compatibility specification 2.6 to 2.9)."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from app.config.catalog import Monitoring, Records, Timeouts
from app.config.loader import load_document
from app.config.yaml_reader import read as read_yaml
from planners.groups import Group, GroupPlanner
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId
from tests.config.reading import model, read, refusal

M = "models: {a: {cmd: x, proxy: 'http://localhost:9000', aliases: [al], %s}, b: {cmd: y, proxy: 'http://localhost:9001'}}\n"
A, B = ModelId("a"), ModelId("b")


def test_defaults() -> None:
    found = model("models:\n  a:\n    cmd: x ${PORT}\n")
    spec = found.spec

    assert ("http://localhost:5800", "/health", 120.0, Timeouts()) == (
        spec.base_url,
        spec.check_endpoint,
        spec.health_check_timeout_s,
        spec.timeouts,
    )
    assert (
        spec.launch.argv,
        spec.launch.env,
        spec.launch.stop_argv,
        spec.launch.host,
        spec.launch.port,
        spec.launch.grace_s,
    ) == (("x", "5800"), (), (), "localhost", 5800, 10.0)
    assert (
        found.ttl_s,
        found.concurrency_limit,
        found.priority,
        found.send_loading_state,
        found.unlisted,
        found.use_model_name,
    ) == (0.0, 10, 0, False, False, "")


def test_catalog_defaults() -> None:
    catalog = read(M % "")

    assert (
        catalog.patience_s,
        catalog.preload,
        catalog.include_aliases_in_list,
        catalog.sources,
        catalog.warnings,
    ) == (60.0, (), False, ("config.yaml",), ())
    assert (catalog.logs.level, catalog.logs.time_format, catalog.logs.to_stdout) == ("info", "", "proxy")
    assert GroupPlanner((), [A, B]) == catalog.planner


@pytest.mark.parametrize(
    ("setting", "field", "expected"),
    [
        ("ttl: -1", "ttl_s", 7.0),
        ("ttl: 0", "ttl_s", 0.0),
        ("ttl: 3", "ttl_s", 3.0),
        ("sendLoadingState: ", "send_loading_state", True),
        ("sendLoadingState: false", "send_loading_state", False),
        ("concurrencyLimit: 0", "concurrency_limit", 10),
        ("concurrencyLimit: 3", "concurrency_limit", 3),
        ("concurrencyLimit: -3", "concurrency_limit", 10),
        ("name: '  Name '", "name", "Name"),
        ("description: ' d '", "description", "d"),
        ("useModelName: u", "use_model_name", "u"),
        ("unlisted: true", "unlisted", True),
        ("compat: {ignoreWebsockets: yes}", "ignore_websockets", True),
        ("metadata: {a: {b: [1]}}", "metadata", {"a": {"b": [1]}}),
    ],
)
def test_model_settings(setting: str, field: str, expected: object) -> None:
    assert expected == getattr(model("globalTTL: 7\nsendLoadingState: true\n" + M % setting), field)


@pytest.mark.parametrize(
    ("top", "own", "expected"),
    [
        ("", "", 10.0),
        ("unloadTimeout: 0", "", 10.0),
        ("unloadTimeout: 4", "", 4.0),
        ("unloadTimeout: 4", "unloadTimeout: 5", 5.0),
    ],
)
def test_grace_is_the_models_then_the_top_levels(top: str, own: str, expected: float) -> None:
    assert expected == model(f"{top}\n" + M % own).spec.launch.grace_s


@pytest.mark.parametrize(("written", "expected"), [("1", 15.0), ("-1", 15.0), ("0", 15.0), ("16", 16.0)])
def test_health_check_timeout_is_at_least_15(written: str, expected: float) -> None:
    assert expected == model(f"healthCheckTimeout: {written}\n" + M % "").spec.health_check_timeout_s


@pytest.mark.parametrize(
    ("written", "expected"),
    [("none", None), ("' none '", None), ("''", ""), ("/x", "/x"), ("x", "/x"), ("None", "/None")],
)
def test_check_endpoint(written: str, expected: str | None) -> None:
    assert expected == model(M % f"checkEndpoint: {written}").spec.check_endpoint


@pytest.mark.parametrize(
    ("proxy", "base_url", "host", "port"),
    [
        ("http://localhost:9000", "http://localhost:9000", "localhost", 9000),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000", "127.0.0.1", 9000),
        ("http://127.8.8.8:1/v/", "http://127.8.8.8:1/v", "127.8.8.8", 1),
        ("http://[::1]:9000/p", "http://[::1]:9000/p", "::1", 9000),
        ("http://0.0.0.0:9", "http://0.0.0.0:9", "0.0.0.0", 9),
        ("http://x.localhost", "http://x.localhost", "x.localhost", 80),
        ("https://localhost", "https://localhost", "localhost", 443),
        ("http://10.0.0.1:9", "http://10.0.0.1:9", "10.0.0.1", None),
        ("http://gpu-box:9?x#y", "http://gpu-box:9", "gpu-box", None),
    ],
)
def test_where_a_model_serves(proxy: str, base_url: str, host: str, port: int | None) -> None:
    spec = model(f"models: {{a: {{cmd: x, proxy: '{proxy}'}}}}").spec

    assert (base_url, host, port) == (spec.base_url, spec.launch.host, spec.launch.port)


def test_timeouts() -> None:
    written = "timeouts: {connect: 1, keepalive: 2, responseHeader: 3, tlsHandshake: 4, expectContinue: 5, idleConn: 6}"

    assert Timeouts(1.0, 2.0, 3.0, 4.0, 5.0, 6.0) == model(M % written).spec.timeouts


def test_stop_command_of_windows() -> None:
    catalog = load_document(read_yaml(M % "cmdStop: 'stop ${PID}'", "f", {}), windows=True)

    assert catalog.models[A].spec.launch.stop_argv == ("stop", "${PID}")
    assert catalog.models[B].spec.launch.stop_argv == ("taskkill", "/f", "/t", "/pid", "${PID}")


def test_comfyui_gets_more_requests_and_ignores_websockets() -> None:
    found = model("models: {comfyui_auto: {proxy: 'http://h', concurrencyLimit: 3}}", "comfyui_auto")
    more = model("models: {comfyui_auto: {proxy: 'http://h', concurrencyLimit: 60}}", "comfyui_auto")

    assert (found.concurrency_limit, found.ignore_websockets, more.concurrency_limit) == (50, True, 60)


def test_an_empty_command_is_left_for_the_start_to_refuse() -> None:
    assert model("models: {a: {proxy: 'http://h:1'}}").spec.launch.argv == ()


def test_an_empty_model_loads_with_a_warning() -> None:
    catalog = read("models:\n  a:\n")

    assert catalog.models[A].spec.launch.argv == ()
    assert catalog.warnings == ("config.yaml:2: models.a: the model is empty, it cannot be started (give it a cmd)",)


def test_equal_files_mean_equal_specs() -> None:
    first, second = read(M % "ttl: 1"), read(M % "ttl: 2")

    assert first.models[A].spec == second.models[A].spec
    assert first.models[A] != second.models[A]
    assert hash(first.models[A].spec) == hash(second.models[A].spec)
    assert first.planner == second.planner


def test_aliases_resolve_and_ids_win() -> None:
    catalog = read("models: {a: {proxy: 'http://h', aliases: [x, b, a]}, b: {proxy: 'http://h'}}")

    assert [catalog.resolve(name) for name in ("x", "b", "a", "y")] == [A, B, A, None]
    assert catalog.models[A].aliases == ("x", "b", "a")
    assert catalog.aliases == {"x": A}
    assert 'models.a.aliases[1]: "b" is a model of its own' in catalog.warnings[0]


def test_env_entries_that_are_no_pairs_are_ignored_with_a_warning() -> None:
    catalog = read(M % "env: [A=1, B, =c, 'D=']")

    assert catalog.models[A].spec.launch.env == ("A=1", "D=")
    assert [warning.split(": ")[1] for warning in catalog.warnings] == ["models.a.env[1]", "models.a.env[2]"]


@pytest.mark.parametrize(
    "place", ["groups", "routing: {router: {settings: {groups", "routing: {router: {use: group, settings: {groups"]
)
def test_groups_in_both_places_and_members_by_alias(place: str) -> None:
    catalog = read(
        M % ""
        + f"{place}: {{g: {{members: [al, b], swap: no, exclusive: no, persistent: yes}}}}"
        + "}" * place.count("{")
    )

    assert GroupPlanner([Group("g", (A, B), swap=False, exclusive=False, persistent=True)], [A, B]) == catalog.planner


def test_an_unused_matrix_beside_groups_in_use_is_fine() -> None:
    assert (
        GroupPlanner((), [A, B])
        == read(M % "" + "routing: {router: {use: group, settings: {matrix: {sets: {a: b}}}}}").planner
    )


MATRIX = "vars: {x: a}, evict_costs: {x: 3}, sets: {s: x & b}"


@pytest.mark.parametrize(
    "written",
    [
        f"matrix: {{{MATRIX}}}",
        f"routing: {{router: {{use: matrix, settings: {{matrix: {{{MATRIX}}}}}}}}}",
        f"routing: {{router: {{use: matrix, settings: {{groups: {{g: {{members: [a]}}}}, matrix: {{{MATRIX}}}}}}}}}",
    ],
    ids=["older place", "newer place", "beside groups that are not in use"],
)
def test_a_matrix_decides_in_either_place(written: str) -> None:
    planner = read(M % "" + written).planner

    assert MatrixPlanner({"x": A}, {"x": 3}, {"s": "x & b"}, [A, B]) == planner
    assert not planner.evictions(A, {B}).evict


def test_an_id_that_no_expression_can_hold_has_a_variable() -> None:
    slashed = "models: {org/a: {cmd: x, proxy: 'http://h:1'}}\nmatrix: {vars: {x: org/a}, sets: {s: x}}"

    assert MatrixPlanner({"x": ModelId("org/a")}, {}, {"s": "x"}, [ModelId("org/a")]) == read(slashed).planner


def test_spillover_needs_a_set_with_all_its_local_targets() -> None:
    spill = "\nselectors: {s: {strategy: spillover, targets: [a, b]}}"

    read(M % "" + "matrix: {sets: {both: a & b}}" + spill)
    told = refusal(M % "" + "matrix: {sets: {one: a | b}}" + spill)
    assert told.message == 'its local targets cannot run together: starting "a" unloads "b"'


def test_priorities_by_id_and_by_alias() -> None:
    catalog = read(M % "" + "routing: {scheduler: {use: fifo, settings: {fifo: {priority: {al: 5, b: -2}}}}}")

    assert (catalog.models[A].priority, catalog.models[B].priority) == (5, -2)


@pytest.mark.parametrize("order", ["a: 1, al: 5", "al: 5, a: 1"])
def test_a_priority_by_id_wins(order: str) -> None:
    catalog = read(M % "" + f"routing: {{scheduler: {{settings: {{fifo: {{priority: {{{order}}}}}}}}}}}")

    assert catalog.models[A].priority == 1


@pytest.mark.parametrize(
    ("written", "expected"), [("0", 0.0), ("2.5", 2.5), (".inf", math.inf), ("7", 7.0), ("", 60.0)]
)
def test_patience(written: str, expected: float) -> None:
    catalog = read(f"routing:\n  scheduler:\n    settings:\n      fifo:\n        patience: {written}\n")

    assert expected == catalog.patience_s


def test_preload_is_cleaned() -> None:
    catalog = read(M % "" + "hooks: {on_startup: {preload: [' b ', '', al, a, gone, ~]}}")

    assert catalog.preload == (B, A)
    assert [warning.split(" (")[0] for warning in catalog.warnings] == [
        'config.yaml:2: hooks.on_startup.preload[4]: "gone" is neither a model nor an alias of one'
    ]


def test_log_settings() -> None:
    logs = read("logLevel: ' WARN '\nlogTimeFormat: RFC3339\nlogToStdout: both").logs

    assert (logs.level, logs.time_format, logs.to_stdout) == ("warn", "rfc3339", "both")


def test_odd_log_settings_fall_back_with_a_warning() -> None:
    catalog = read("logLevel: loud\nlogTimeFormat: daily")

    assert (catalog.logs.level, catalog.logs.time_format) == ("info", "")
    assert [": ".join(warning.split(": ")[:2]) for warning in catalog.warnings] == [
        "config.yaml:1: logLevel",
        "config.yaml:2: logTimeFormat",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("performance: {every: 3s}", "performance.every: expected 5s or more, got 3s (write every: 5s)"),
        (
            "performance: {every: 15}",
            "performance.every: expected a duration with its unit, got 15 (write e.g. every: 15s)",
        ),
        ("performance: {every: 1x}", 'expected a duration with its unit, got "1x"'),
        ("performance: {every: -6s}", "expected 5s or more"),
        ("startPort: 0", "startPort: expected a port, 1 to 65535, got 0 (write startPort: 5800)"),
        ("startPort: 65536", "expected a port"),
        ("globalTTL: -1", "globalTTL: expected 0 or more, got -1 (0 is never)"),
        ("unloadTimeout: -1", "unloadTimeout: expected 0 or more, got -1"),
        ("store: {}", "store: store needs a path"),
        ("store: {path: ' '}", "store: store needs a path"),
        ("logToStdout: all", 'logToStdout: expected proxy, upstream, both or none, got "all"'),
        ("models: {'': {proxy: 'http://h'}}", "a model needs an id"),
        (M % "" + "x: y\nmodels: {}", "twice"),
        (
            M.replace("cmd: y", "aliases: [al]") % "",
            'models.b.aliases[0]: "al" is an alias of model "a" already (keep one of them)',
        ),
        (M.replace("[al]", "[al, al]") % "", 'models.a.aliases[1]: "al" is an alias of model "a" already'),
        (M % "ttl: -2", "models.a.ttl: expected -1 or more, got -2 (0 is never, -1 is as globalTTL says)"),
        (M % "unloadTimeout: -1", "models.a.unloadTimeout: expected 0 or more, got -1"),
        (M % "timeouts: {idleConn: -1}", "models.a.timeouts.idleConn: expected 0 or more, got -1 (0 is no limit)"),
        (
            M % "capabilities: {in: [text, smell]}",
            'models.a.capabilities.in[1]: expected text, audio or image, got "smell"',
        ),
        (M % "capabilities: {out: [video]}", "models.a.capabilities.out[0]: expected text, audio or image"),
        (M % "capabilities: {context: -1}", "models.a.capabilities.context: expected 0 or more, got -1"),
        (M % 'cmd2: x, cmdStop: "a\\0b"', "models.a.cmdStop: holds a NUL character"),
        (M % 'env: ["A=\\0"]', "models.a.env[0]: holds a NUL character"),
        (
            "models: {a: {proxy: 'localhost:9000'}}",
            'expected a URL that starts with http:// or https://, got "localhost:9000"',
        ),
        ("models: {a: {proxy: '/x'}}", "models.a.proxy: expected a URL"),
        ("models: {a: {proxy: 'http://'}}", "models.a.proxy: expected a URL"),
        ("models: {a: {proxy: 'http://h:x'}}", '"http://h:x" is not a URL'),
        ("models: {a: {proxy: 'http://h:70000'}}", '"http://h:70000" is not a URL'),
        ("models: {a: {proxy: 'http://h:0'}}", "names no port that can be reached"),
        ("models: {a: {proxy: 'http://[::1'}}", "is not a URL"),
        ("models: {a: {proxy: 'http://h /x'}}", "is not a URL"),
        (
            M % "" + "groups: {g: {}}\nrouting: {router: {use: group}}",
            "groups and routing.router are both there, and only one can hold",
        ),
        (
            M % "" + "matrix: {sets: {a: b}}\nrouting: {router: {settings: {groups: {g: {}}}}}",
            "matrix and routing.router are both there",
        ),
        (
            "routing: {router: {use: magic}}",
            'routing.router.use: expected group or matrix, got "magic" (write use: group)',
        ),
        ("groups: {g: {}}\nmatrix: {}", "config.yaml:2: matrix: matrix and groups are both there"),
        (
            M % "" + "matrix: {sets: {s: a & bb}}",
            'config.yaml:2: matrix.sets.s: column 5: "bb" is neither a variable nor the id of a model (did you mean b?)',
        ),
        (
            M % "" + "matrix: {sets: {s: a & zzz}}",
            'column 5: "zzz" is neither a variable nor the id of a model (name a key of vars or of models)',
        ),
        (
            M % "" + "routing: {router: {use: matrix, settings: {matrix: {sets: {s: (a | b}}}}}",
            'routing.router.settings.matrix.sets.s: column 7: expected ) for the "(" of column 1, got the end (close it',
        ),
        (
            M % "" + "matrix: {sets: {s: b & al}}",
            '"al" is neither a variable nor the id of a model (an alias will not do',
        ),
        (
            M % "" + "matrix: {sets: {chat: a, all: +chatt}}",
            'matrix.sets.all: column 1: there is no set "chatt" (did you mean chat?)',
        ),
        (M % "" + "matrix: {sets: {s: +al}}", 'there is no set "al" (name a key of sets)'),
        (
            M % "" + "matrix: {sets: {s: a & +t, t: +s}}",
            "matrix.sets.t: column 1: the sets refer to each other in a circle: s -> t -> s (take one +name out)",
        ),
        (
            "routing: {router: {use: matrix}}",
            "routing.router.use: matrix is in use, and routing.router.settings.matrix is not there",
        ),
        ("matrix: {}", "matrix: a matrix needs sets (write e.g. sets: {both: a & b})"),
        ("matrix: {sets: {x: ''}}", "matrix.sets.x: column 1: the expression is empty (write e.g. a & (b | c))"),
        (
            M % "" + "matrix: {vars: {x_y: a}, sets: {s: a}}",
            'matrix.vars.x_y: "x_y" cannot name a variable (use 1 to 32 letters',
        ),
        (M % "" + f"matrix: {{vars: {{{'x' * 33}: a}}, sets: {{s: a}}}}", "cannot name a variable"),
        (M % "" + "matrix: {vars: {x: al}, sets: {s: a}}", 'matrix.vars.x: "al" is not the id of a model (write a)'),
        (M % "" + "matrix: {vars: {x: zzz}, sets: {s: a}}", "(name a key of models)"),
        (
            M % "" + "matrix: {vars: {x: a}, evict_costs: {y: 1}, sets: {s: a}}",
            'matrix.evict_costs.y: "y" is neither a variable nor the id of a model',
        ),
        (M % "" + "matrix: {evict_costs: {b: 0}, sets: {s: a}}", "matrix.evict_costs.b: expected 1 or more, got 0"),
        (
            M % "" + "routing: {router: {use: matrix, settings: {matrix: {vars: {x: z}}}}}",
            "routing.router.settings.matrix.vars.x",
        ),
        (
            M % "" + "groups: {(default): {members: [a]}}",
            "groups.(default): (default) is the name of the group of all models",
        ),
        (
            M % "" + "groups: {g: {members: [a, bb]}}",
            'config.yaml:2: groups.g.members[1]: "bb" is neither a model nor an alias of one (did you mean b?)',
        ),
        (
            M % "" + "groups: {g: {members: [zzzzz]}}",
            '"zzzzz" is neither a model nor an alias of one (name a key of models',
        ),
        (M % "" + "groups: {g: {members: [a, a]}}", 'groups.g.members[1]: "a" is in this group already'),
        (M % "" + "groups: {g: {members: [a, al]}}", '"al", an alias of "a", is in this group already'),
        (M % "" + "groups: {g: {members: [a]}, h: {members: [a]}}", 'groups.h.members[0]: "a" is in group "g" already'),
        (
            M % "" + "routing: {router: {settings: {groups: {g: {members: [zz]}}}}}",
            "routing.router.settings.groups.g.members[0]",
        ),
        ("routing: {scheduler: {use: lifo}}", 'routing.scheduler.use: expected fifo, got "lifo" (write use: fifo)'),
        ("routing: {scheduler: {settings: {fifo: {priority: {x: 1}}}}}", 'fifo.priority.x: "x" is neither a model nor'),
        ("routing: {scheduler: {settings: {fifo: {priority: {x: 1.5}}}}}", "expected a whole number, got 1.5"),
        ("routing: {scheduler: {settings: {fifo: {patience: -1}}}}", "patience: expected 0 or more seconds, got -1"),
        (
            "routing: {scheduler: {settings: {fifo: {patience: .nan}}}}",
            "patience: expected a number of seconds, got .nan",
        ),
        (
            "routing: {scheduler: {settings: {fifo: {patience: yes}}}}",
            'patience: expected a number of seconds, got "yes"',
        ),
        ("apiKeys: [ok, '']", "apiKeys[1]: a key must not be empty"),
        ("apiKeys: [ok, ]\nmodels: {}\nglobalTTL: -1", "globalTTL"),
        ("apiKeys: [sk-1, 'sk secret']", "apiKeys[1]: a key must not have spaces in it (take them out)"),
        ('apiKeys: ["sk\\n"]', "apiKeys[0]: a key must not have spaces in it"),
        ("apiKeys: [[sk-1]]", "apiKeys[0]: expected text, got something else"),
        ("store: {path: /}", 'store.path: "/" is a directory'),
        ("store: {path: /no/such/folder/x.db}", '"/no/such/folder" is not a directory that is there'),
        ('store: {path: "a\\0b"}', "store.path: "),
    ],
)
def test_refused(text: str, told: str) -> None:
    assert told in str(refusal(text))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
@pytest.mark.parametrize("exists", [False, True])
def test_a_store_that_may_not_be_written_is_refused(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "x.db"
    if exists:
        path.touch(0o400)
    else:
        tmp_path.chmod(0o500)

    assert "may not be written by this user" in refusal(f"store: {{path: '{path}'}}").message


def test_a_store_that_is_there_may_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()

    read(f"store: {{path: '{path}'}}")


def test_api_keys_are_text_each_once() -> None:
    assert read("apiKeys: [sk-1, 123, sk-1]").api_keys == ("sk-1", "123")


RULES = [
    ("macros: {PORT: 1}", "macros"),
    ("models: {c: {cmd: '${PORT}', proxy: 'http://h:${gone}'}}", "models.c.proxy"),
    ("hooks: 3", "hooks"),
    ("peers: {p: {models: [m]}}", "peers.p"),
    ("selectors: {s: {strategy: warm}}", "selectors.s"),
    ("profiles: {p: {}}", "profiles.p"),
    ("upstream: {ignorePaths: ['(']}", "upstream.ignorePaths[0]"),
    ("performance: {every: 1s}", "performance.every"),
    ("startPort: 0", "startPort"),
    ("globalTTL: -1", "globalTTL"),
    ("unloadTimeout: -1", "unloadTimeout"),
    ("store: {}", "store"),
    ("logToStdout: x", "logToStdout"),
    (
        "models: {c: {proxy: 'http://h', aliases: [x]}, d: {proxy: 'http://h', aliases: [x]}}",
        "models.d.aliases[0]",
    ),
    ("models: {c: {proxy: 'http://h', ttl: -2}}", "models.c.ttl"),
    ("models: {c: {proxy: 'http://h', unloadTimeout: -2}}", "models.c.unloadTimeout"),
    ("models: {c: {proxy: 'http://h', capabilities: {in: [x]}}}", "models.c.capabilities.in[0]"),
    (
        "models: {c: {proxy: 'http://h', filters: {setParamsByID: {d: {}}}}, d: {proxy: 'http://h'}}",
        "models.c.filters.setParamsByID.d",
    ),
    ("models: {c: {proxy: h}}", "models.c.proxy"),
    ("groups: {g: {members: [gone]}}", "groups.g.members[0]"),
    ("routing: {scheduler: {use: x}}", "routing.scheduler.use"),
    ("routing: {scheduler: {settings: {fifo: {priority: {gone: 1}}}}}", "routing.scheduler.settings.fifo.priority"),
    ("apiKeys: [k k]", "apiKeys"),
    ("peers: {p: {proxy: 'http://h', models: [q/m]}, p/q: {proxy: 'http://h', models: [m]}}", 'peers["p/q"]'),
    ("selectors: {s: {strategy: warm, targets: [gone]}}", "selectors.s"),
    ("profiles: {p: {pins: {x: gone}}}", "profiles.p"),
]


@pytest.mark.parametrize("first", range(len(RULES) - 1))
def test_the_first_broken_rule_in_the_documented_order_is_told(first: int) -> None:
    """Whatever the order in the file; each rule together with those later ones that are about other keys."""
    written: dict[str, str] = {}
    for text, _ in RULES[first:]:
        written.setdefault(text.partition(":")[0], text)

    assert refusal("\n".join(reversed(written.values()))).path.startswith(RULES[first][1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Monitoring(is_on=True, every_s=5.0)),
        ("performance: {every: 1m30s}", Monitoring(is_on=True, every_s=90.0)),
        ("performance: {every: 0s}", Monitoring(is_on=True, every_s=5.0)),
        ("performance: {disabled: true}", Monitoring(is_on=False, every_s=5.0)),
    ],
)
def test_monitoring_is_as_written(text: str, expected: Monitoring) -> None:
    assert expected == read(text).monitoring


def test_records_are_kept_in_memory_by_default() -> None:
    assert read("models: {}").records == Records()


def test_records_are_kept_as_the_file_says(tmp_path: Path) -> None:
    store = tmp_path / "activity.db"
    written = f"""
store: {{path: "{store}", maxAge: 1h, maxSize: 2}}
captures: {{persist: true, maxSize: 3}}
metricsMaxInMemory: 7
captureBuffer: 1
ui: {{activity: {{session_id: [X-Chat]}}}}
"""

    assert read(written).records == Records(
        str(store), 3600.0, 2 << 20, 7, 1 << 20, f"{store}.captures", 3 << 20, ("X-Chat",), (b"x-chat",)
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("captures: {persist: true}", "captures.persist: captures are kept beside the store, and there is none"),
        ("captures: {maxSize: -1}", "captures.maxSize: expected 0 or more, got -1"),
    ],
)
def test_wrong_records_are_refused(written: str, expected: str) -> None:
    assert expected in str(refusal(written))


def test_none_captured_and_none_remembered_is_not_less_than_none() -> None:
    records = read("captureBuffer: -3\nmetricsMaxInMemory: 0").records

    assert (records.capture_bytes, records.in_memory) == (0, 1000)
