"""Macros by the compatibility specification 2.4."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from app.config.loader import load_text
from app.config.macros import MAX_TEXT, Macro, go_float, put_in
from app.config.tree import Kind, Place, Scalar, kind_of
from app.errors import Problem
from planners.protocol import ModelId
from tests.config.reading import attempt, model, read, refusal

HERE = Place("config.yaml", 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.7, "0.7"), (1e3, "1000"), (1e6, "1e+06"), (1e20, "1e+20"), (123456789.0, "1.23456789e+08"), (100000.0, "100000"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (-2.5, "-2.5"), (-1e7, "-1e+07"), (0.0, "0"), (-0.0, "-0"), (1e-300, "1e-300"),
        (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (123456.5, "123456.5"),
    ],
)  # fmt: skip
def test_floats_read_as_go_writes_them(value: float, text: str) -> None:
    assert text == go_float(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_a_float_comes_back(value: float) -> None:
    assert value == float(go_float(value))


@pytest.mark.parametrize(
    ("macro", "written", "expected"),
    [
        ("300", "ttl: ${m}", ("ttl_s", 300.0)),
        ("30.0", "ttl: ${m}", ("ttl_s", 30.0)),
        ("300", "name: ${m}", ("name", "300")),
        ("300", "name: <${m}>", ("name", "<300>")),
        ("0x10", "name: <${m}>", ("name", "<16>")),
        ("TRUE", "name: <${m}>", ("name", "<true>")),
        ("false", "name: <${m}>", ("name", "<false>")),
        ("1e6", "name: <${m}>", ("name", "<1e+06>")),
        ("'300'", "name: <${m}>", ("name", "<300>")),
        ("yes", "name: <${m}>", ("name", "<yes>")),
        ("yes", "unlisted: ${m}", ("unlisted", True)),
        (
            "0.5",
            "metadata: {a: '${m}', b: ['x${m}', {c: '${m}'}]}",
            ("metadata", {"a": 0.5, "b": ["x0.5", {"c": 0.5}]}),
        ),
        ("5", "metadata: {'${m}': '${m}'}", ("metadata", {"${m}": 5})),
        ("5", "aliases: [ 'x${m}' ]", ("aliases", ("x5",))),
        ("5", "name: $m ${m.n} $${m}", ("name", "$m ${m.n} $5")),
    ],
)
def test_values_keep_their_type_alone_and_read_as_go_inside_text(
    macro: str, written: str, expected: tuple[str, object]
) -> None:
    found = model(f"macros: {{m: {macro}}}\nmodels:\n  a:\n    proxy: http://h:1\n    {written}\n")

    assert expected[1] == getattr(found, expected[0])


def test_a_macro_may_use_those_before_it_and_the_models_id() -> None:
    text = """
        macros:
          port: --port ${PORT}
          base: run ${port} --id ${MODEL_ID}
        models:
          a: {macros: {own: "${base} -c 1"}, cmd: "${own}", name: "${MODEL_ID}"}
        """

    assert model(text).spec.launch.argv == ("run", "--port", "5800", "--id", "a", "-c", "1")
    assert model(text).name == "a"


def test_a_models_macro_takes_the_place_of_a_global_one() -> None:
    text = """
        macros: {x: global, y: "<${x}>"}
        models:
          a: {macros: {x: own}, name: "${y}", proxy: "http://h"}
          b: {name: "${y}", proxy: "http://h"}
        """

    assert (model(text).name, model(text, "b").name) == ("<own>", "<global>")


def test_a_chain_of_typed_macros_ends_with_the_type() -> None:
    assert model("macros: {n: 5, m: '${n}'}\nmodels: {a: {proxy: 'http://h', ttl: '${m}'}}").ttl_s == 5.0


def test_globals_hold_outside_models() -> None:
    catalog = read("macros: {t: 77, p: 9000}\nglobalTTL: ${t}\nstartPort: ${p}\nmodels: {a: {cmd: 'x ${PORT}'}}")

    assert (catalog.models[ModelId("a")].ttl_s, catalog.models[ModelId("a")].spec.launch.port) == (77.0, 9000)


def test_ports_go_to_models_that_use_them_in_the_order_of_ids() -> None:
    catalog = read(
        """
        startPort: 9000
        models:
          c: {cmd: "x ${PORT}", env: ["P=${PORT}"], metadata: {p: "${PORT}"}}
          b: {cmd: x, proxy: "http://localhost:1"}
          a: {cmd: "x ${PORT} ${PORT}", proxy: "http://127.0.0.1:${PORT}/v"}
        """
    )
    a, b, c = catalog.models.values()

    assert (a.spec.launch.argv, a.spec.base_url) == (("x", "9000", "9000"), "http://127.0.0.1:9000/v")
    assert b.spec.launch.port == 1
    assert (c.spec.launch.env, c.metadata, c.spec.base_url) == (("P=9001",), {"p": 9001}, "http://localhost:9001")


def test_macros_in_comments_of_commands_are_harmless() -> None:
    found = model(
        'models: {a: {proxy: \'http://h\', cmd: "x\\n# ${gone} ${PORT}\\ny", cmdStop: "# ${gone}\\nstop ${PID}"}}'
    )

    assert (found.spec.launch.argv, found.spec.launch.stop_argv, found.cmd) == (("x", "y"), ("stop", "${PID}"), "x\ny")


def test_unknown_top_level_keys_may_keep_their_placeholders() -> None:
    assert read("x-mine: ${gone}").models == {}


def test_unused_macros_may_lean_on_what_is_not_there() -> None:
    assert read("macros: {a: '${b}', b: 1}").models == {}


def test_keys_of_set_params_by_id_are_expanded() -> None:
    text = "models: {a: {proxy: 'http://h', filters: {setParamsByID: {'${MODEL_ID}:x': {a: 1}, 'a:x': {}}}}}"

    assert "two keys mean 'a:x' after macros are put in" in str(refusal(text))


def test_keys_of_peers_set_params_by_id_are_expanded() -> None:
    text = "macros: {x: y}\npeers: {p: {proxy: 'http://h', models: [m], filters: {setParamsByID: {'m:${x}': {a: 1}}}}}"

    assert dict(read(text).peers["p"].filters.set_params_by_id) == {"m:y": (("a", 1),)}


def test_globals_hold_in_peers_selectors_and_profiles() -> None:
    text = """
        macros: {url: "http://p:1", key: sk, m: 5, n: 2}
        models: {a: {proxy: "${url}"}}
        peers: {p: {proxy: "${url}/v", models: ["m${m}"], apiKey: "${key}", timeouts: {connect: "${n}"}}}
        selectors: {s: {strategy: spillover, targets: ["p/m${m}"], settings: {spillover: "${n}"}}}
        profiles: {q: {pins: {x: "p/m${m}"}}}
        """
    found = read(text)
    peer = found.peers["p"]

    assert (peer.base_url, peer.models, peer.api_key, peer.timeouts.connect_s) == ("http://p:1/v", ("m5",), "sk", 2.0)
    assert (found.selectors["s"].targets, found.selectors["s"].spillover) == (("p/m5",), 2)
    assert found.profiles["q"].pins == {"x": "p/m5"}


P = "models: {a: {proxy: 'http://h', %s}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("macros: [a]", "config.yaml:1: macros: macros must be a mapping"),
        ("macros: {a b: 1}", "'a b' cannot name a macro (use letters, digits, _ and - only)"),
        ("macros: {a.b: 1}", "cannot name a macro"),
        (f"macros: {{{'x' * 64}: 1}}", "longer than 63 characters"),
        ("macros: {PORT: 1}", "macros.PORT: PORT is the name of a built-in macro (choose another name)"),
        ("macros: {MODEL_ID: 1}", "built-in"),
        ("macros: {PID: 1}", "built-in"),
        ("macros: {a: [1]}", "macros.a: a macro must be text, a number, true or false, this is a list or mapping"),
        ("macros: {a: {b: 1}}", "a list or mapping"),
        ("macros: {a: ~}", "this is nothing"),
        ("macros:\n  a:\n", "this is nothing"),
        ("macros: {a: 2020-01-01}", "this is a date"),
        ("macros: {a: 'x${a}'}", "the macro uses itself (${a})"),
        (P % "macros: {PID: 1}", "models.a.macros.PID: PID is the name"),
        (P % "macros: 3", "models.a.macros: macros must be a mapping"),
        (P % "cmd: '${HOME}/x'", "models.a.cmd: unknown macro ${HOME} (declare it under macros, or use ${env.HOME}"),
        ("macros: {context: 1}\n" + P % "cmd: '${contxt}'", "config.yaml:2: models.a.cmd: unknown macro ${contxt} (did you mean ${context}?)"),
        ("macros: {a: '${b}', b: 1}\n" + P % "cmd: '${a}'", "${b} is used by a macro that is declared before it (declare b further up)"),
        (P % "x-unknown: ['${gone}']", "models.a.x-unknown[0]: unknown macro ${gone}"),
        (P % "cmd: 'x ${PID}'", "models.a.cmd: ${PID} is known only when a model is stopped (use it in cmdStop alone)"),
        (P % "name: '${PORT}'", "models.a.name: ${PORT} is used, but cmd does not use it"),
        (P % "filters: {setParamsByID: {'x${gone}': {}}}", 'setParamsByID["x${gone}"]: unknown macro ${gone} (declare it under macros)'),
        ("peers: {p: {proxy: 'http://h', models: [m], filters: {setParamsByID: {'${gone}': {}}}}}", "unknown macro ${gone}"),
        ("logLevel: ${PORT}", "logLevel: ${PORT} has a value inside models only"),
        ("logLevel: ${MODEL_ID}", "logLevel: ${MODEL_ID} has a value inside models only"),
        ("logLevel: ${PID}", "${PID} is known only"),
        ("models: {a: {cmd: x}}", "models.a: cmd does not use ${PORT}, so it is not known where the model serves"),
        ("models: {a: {cmd: x, proxy: ''}}", "models.a: cmd does not use ${PORT}"),
        ("models: {a: {cmd: x, proxy: 'http://h:${PORT}'}}", "models.a.proxy: proxy uses ${PORT}, but cmd does not"),
        ("startPort: 65535\nmodels: {a: {cmd: '${PORT}'}, b: {cmd: '${PORT}'}}", "startPort: no port is left for model 'b': 65536"),
        ("startPort: x\nmodels: {a: {cmd: '${PORT}'}}", 'startPort: expected a whole number, got "x"'),
    ],
)  # fmt: skip
def test_refused(text: str, told: str) -> None:
    assert told in str(refusal(text))


def test_ports_end_at_65535_without_a_start_port() -> None:
    models = "".join(f"  m{number:05}: {{cmd: '${{PORT}}'}}\n" for number in range(3))

    assert len(read("startPort: 65533\nmodels:\n" + models).models) == 3


def test_macros_that_grow_without_end_are_refused() -> None:
    chain = "".join(f"  m{n}: '{f'${{m{n - 1}}}' * 10}'\n" for n in range(1, 12))

    told = str(refusal("macros:\n  m0: xxxxxxxxxx\n" + chain + "models: {a: {proxy: 'http://h', cmd: '${m11}'}}"))
    assert f"models.a.cmd: a value grows beyond {MAX_TEXT} characters" in told


_names = st.sampled_from(["a", "b", "c", "PORT", "MODEL_ID", "PID", "gone"])
_texts = st.lists(
    st.one_of(_names.map(lambda name: f"${{{name}}}"), st.text("x${} #\n\\'\"", max_size=3)), max_size=4
).map("".join)


@settings(deadline=None)
@given(st.lists(st.tuples(_names, st.one_of(_texts, st.integers(), st.booleans(), st.floats())), max_size=4), _texts)
def test_expansion_ends_and_refuses_in_our_words(macros: list[tuple[str, object]], command: str) -> None:
    written = json.dumps({"macros": dict(macros), "models": {"a": {"cmd": command, "proxy": "http://h:1"}}})
    found = attempt(written)

    if isinstance(found, Problem):
        assert found.message
    else:
        assert "${gone}" not in found.models[ModelId("a")].cmd


@settings(deadline=None)
@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_value_alone_keeps_its_type(value: float) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    kind: Kind = kind_of(text)
    macro = Macro("m", Scalar(text, kind, HERE))

    found = put_in(Scalar("${m}", "str", HERE), [macro]).value

    assert (value, type(value)) == (found, type(found))


def ports_of(models: str, **kept: int) -> dict[str, int | None]:
    """Returns the port of each of *models*, whose commands all use `${PORT}`, when some have one already."""
    written = "startPort: 6000\nmodels:\n" + "".join(f"  {name}: {{cmd: 'x ${{PORT}}'}}\n" for name in models)
    found = load_text(written, "config.yaml", {}, ports=kept)
    return {name: entry.spec.launch.port for name, entry in found.models.items()}


def test_model_that_is_added_takes_no_port_of_those_that_run() -> None:
    assert ports_of("abc") == {"a": 6000, "b": 6001, "c": 6002}
    assert ports_of("0abcd", a=6000, b=6001, c=6002) == {"0": 6003, "a": 6000, "b": 6001, "c": 6002, "d": 6004}


def test_port_of_a_model_that_was_removed_is_free() -> None:
    assert ports_of("bd", a=6000, b=6001) == {"b": 6001, "d": 6000}


def test_port_below_the_first_one_is_not_kept() -> None:
    assert ports_of("ab", a=5800, b=5801) == {"a": 6000, "b": 6001}


def test_port_that_two_models_shared_is_kept_by_the_first() -> None:
    assert ports_of("ab", b=6005, a=6005) == {"a": 6005, "b": 6000}
