"""YAML is read as Go's yaml.v3 reads it (compatibility specification 2.1), and the environment is put in (2.3)."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings, strategies as st

from app.config.tree import Place, kind_of, path_text
from app.config.yaml_reader import read as read_yaml
from app.errors import Problem
from tests.config.reading import attempt, model, read, refusal

A = "models: {a: {cmd: x, proxy: 'http://h:1', %s}}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("models: {}\nmodels: {}\n", 2, "models: key 'models' is there twice, first in line 1 (keep one of them)"),
        ("models:\n  a: {}\n  'a': {}\n", 3, "models.a: key 'a' is there twice"),
        ("models:\n  1: {}\n  '1': {}\n", 3, "twice"),
        ("x: {<<: {a: 1}, <<: {b: 1}}", 1, "twice"),
        ("models:\n\ta: {}\n", 2, "indent with spaces, not with tabs"),
        ("models: [a\n", 2, "is not YAML"),
        ("a: ${b}\nc: [${b}]\n", 2, "inside [ ] and { } put quotes around ${…}"),
        ("- a\n", 1, "must be a mapping, this is a list"),
        ("just text", 1, "must be a mapping, this is a single value"),
        ("x: {[a]: b}", 1, "a key must be"),
        ("x: &a [*a]", 1, "stands inside what it repeats"),
        ("x: *nothing", 1, "undefined alias"),
        ("x: {<<: 3}", 1, "<< merges mappings"),
        ("x: {<<: [3]}", 1, "<< merges mappings"),
        ("x: " + "[" * 70 + "]" * 70, 1, "levels deep"),
        ('x: "\\ud800"', 1, "half of a character"),
        ('x: "\\UFFFFFFFF"', None, "is not YAML"),
        ("\nx: \x01", 2, "the character U+0001 is not allowed"),
        ("x: ${env.GONE}", 1, "x: environment variable GONE is not set (set GONE, or take ${env.GONE} out)"),
        ("${env.GONE}: x", 1, "environment variable GONE is not set"),
        ("models: {a: {cmd: |\n  x\n  # ${env.GONE}\n  }}", None, ""),
        ("x: '${env.LINES}'", 1, "environment variable LINES holds a line break or NUL"),
    ],
)
def test_refused_with_its_line(text: str, line: int | None, words: str) -> None:
    problem = refusal(text, LINES="a\nb")

    assert words in str(problem)
    if line is not None:
        assert line == problem.line


def test_alias_bomb_is_refused() -> None:
    levels = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert "out of proportion" in refusal("\n".join(levels)).message


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "~", "null", "models:\n", "models: {}", "\ufeffmodels: {}"]
)
def test_empty_configurations_are_valid(text: str) -> None:
    assert read(text).models == {}


def test_only_the_first_document_counts() -> None:
    assert list(read("models: {a: {proxy: 'http://h'}}\n---\nmodels: {b: [}\n").models) == ["a"]


def test_lines_may_end_as_windows_has_them() -> None:
    assert model("models:\r\n  a:\r\n    proxy: http://h\r\n    cmd: |\r\n      x\r\n      y\r\n").spec.launch.argv == (
        "x",
        "y",
    )


def test_tabs_may_separate() -> None:
    assert (
        model("models:\n  a:\n    name:\tn\t# why not\n    proxy: \t'http://h'\n    aliases: [\tb,\tc\t]\n").name == "n"
    )


@pytest.mark.parametrize(
    ("setting", "field", "expected"),
    [
        ("name: 5", "name", "5"),
        ("name: 1e3", "name", "1e3"),
        ("name: true", "name", "true"),
        ("name: yes", "name", "yes"),
        ("name: ~", "name", ""),
        ("name: ", "name", ""),
        ("name: 2020-01-01", "name", "2020-01-01"),
        ("aliases: [123, yes]", "aliases", ("123", "yes")),
        ("aliases: ", "aliases", ()),
        ("ttl: 30.0", "ttl_s", 30.0),
        ("ttl: 0x10", "ttl_s", 16.0),
        ("ttl: 0o17", "ttl_s", 15.0),
        ("ttl: 017", "ttl_s", 15.0),
        ("ttl: 0b11", "ttl_s", 3.0),
        ("ttl: +3", "ttl_s", 3.0),
        ("ttl: 1_000", "ttl_s", 1000.0),
        ("ttl: 1e3", "ttl_s", 1000.0),
        ("ttl: ", "ttl_s", 0.0),
        ("ttl: !!int '30'", "ttl_s", 30.0),
        ("unlisted: yes", "unlisted", True),
        ("unlisted: 'yes'", "unlisted", True),
        ("unlisted: On", "unlisted", True),
        ("unlisted: y", "unlisted", True),
        ("unlisted: off", "unlisted", False),
        ("unlisted: TRUE", "unlisted", True),
        ("metadata: {yes: no, 1: 010, f: 1.5, n: ~, d: 2020-01-01, i: -.inf, t: !!str 5}", "metadata",
         {"yes": "no", "1": 8, "f": 1.5, "n": None, "d": "2020-01-01", "i": "-.inf", "t": "5"}),
    ],
)  # fmt: skip
def test_values_as_go_takes_them(setting: str, field: str, expected: object) -> None:
    assert expected == getattr(model(A % setting), field)


@pytest.mark.parametrize(
    ("setting", "message", "remedy"),
    [
        ("ttl: '30'", 'models.a.ttl: expected a whole number of seconds, got "30"', "write e.g. ttl: 300"),
        ("ttl: abc", 'models.a.ttl: expected a whole number of seconds, got "abc"', "write e.g. ttl: 300"),
        ("ttl: 1.5", "models.a.ttl: expected a whole number of seconds, got 1.5", "write e.g. ttl: 300"),
        ("ttl: true", "models.a.ttl: expected a whole number of seconds, got true", "write e.g. ttl: 300"),
        ("ttl: .inf", "expected a whole number of seconds, got .inf", "write e.g. ttl: 300"),
        ("ttl: 99999999999999999999999", "expected a whole number of seconds, got 99999999999999999999999", ""),
        ("ttl: [1]", "expected a whole number of seconds, got a list", "write e.g. ttl: 300"),
        ("unlisted: 'true'", 'expected true or false (without quotes), got "true"', "write e.g. unlisted: true"),
        ("unlisted: 1", "expected true or false (without quotes), got 1", "write e.g. unlisted: true"),
        ("name: [x]", "models.a.name: expected text, got a list", "write e.g. name: text"),
        ("name: {}", "models.a.name: expected text, got a mapping", "write e.g. name: text"),
        ("aliases: foo", 'models.a.aliases: expected a list, got "foo"', "after a dash"),
        ("env: A=b", 'models.a.env: expected a list, got "A=b"', "after a dash"),
        ("aliases: [[x]]", "models.a.aliases[0]: expected text, got a list", ""),
        (
            "metadata: [x]",
            "models.a.metadata: expected a mapping, got a list",
            'write "name: value" lines below metadata:',
        ),
        ("timeouts: 3", "models.a.timeouts: expected a mapping, got 3", "timeouts:"),
    ],
)
def test_wrong_types_are_told_with_place_value_and_remedy(setting: str, message: str, remedy: str) -> None:
    problem = refusal(A % setting)

    assert message in str(problem)
    assert remedy in problem.remedy
    assert problem.line == 1


def test_an_error_reads_like_a_sentence() -> None:
    text = "models:\n  llama:\n    cmd: x\n    proxy: http://h:1\n    ttl: abc\n"

    expected = 'config.yaml:5: models.llama.ttl: expected a whole number of seconds, got "abc" (write e.g. ttl: 300)'
    assert expected == str(refusal(text))


def test_of_several_wrong_types_the_first_in_the_file_is_told() -> None:
    assert refusal("startPort: 5800\nlogRequests: 3\nhealthCheckTimeout: x\n").line == 2


def test_secrets_are_not_told() -> None:
    assert "sk-secret" not in str(refusal("apiKeys: sk-secret"))


def test_a_model_id_that_is_no_string_is_its_text() -> None:
    catalog = read("models: {123: {proxy: 'http://h'}, 4.50: {proxy: 'http://h'}, true: {proxy: 'http://h'}}")

    assert list(catalog.models) == ["123", "4.50", "true"]


def test_merge_keys_and_anchors() -> None:
    found = model(
        """
        x: &base {ttl: 5, name: base, cmd: c}
        y: &other {ttl: 6, proxy: 'http://h:1'}
        models:
          a: {<<: [*base, *other], name: own}
          b: {"<<": kept, proxy: 'http://h:1'}
        """
    )

    assert (found.name, found.ttl_s, found.cmd, found.spec.base_url) == ("own", 5.0, "c", "http://h:1")


@pytest.mark.parametrize(
    ("setting", "field", "expected"),
    [
        ("ttl: ${env.N}", "ttl_s", 300.0),
        ("ttl: 1${env.N}", "ttl_s", 1300.0),
        ("name: ${env.N}", "name", "300"),
        ("name: 'x ${env.Q} y'", "name", 'x "\\: #{[ y'),
        ('name: "${env.Q}"', "name", '"\\: #{['),
        ("name: ${env.Q}", "name", '"\\: #{['),
        ("aliases: [${env.N}, b${env.N}]", "aliases", ("300", "b300")),
        ("metadata: {k${env.N}: 1}", "metadata", {"k300": 1}),
        ("name: ${env.EMPTY}", "name", ""),
        ("name: ${env.NESTED}", "name", "${env.N}"),
        ("name: '${env.1x} ${env.a.b} $N'", "name", "${env.1x} ${env.a.b} $N"),
    ],
)
def test_environment_values(setting: str, field: str, expected: object) -> None:
    found = model(A % setting, N="300", Q='"\\: #{[', EMPTY="", NESTED="${env.N}")

    assert expected == getattr(found, field)


def test_quoted_environment_value_is_text() -> None:
    assert 'got "300"' in str(refusal(A % "ttl: '${env.N}'", N="300"))


def test_environment_in_comments_is_nobodys_business() -> None:
    assert read("models: {} # ${env.GONE}\n# ${env.GONE}\n").models == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "null"), ("~", "null"), ("NULL", "null"), ("nUll", "str"), ("True", "bool"), ("yes", "str"),
        ("12", "int"), ("-0x1F", "int"), ("08", "float"), ("1_0", "int"), ("_1", "str"), ("1.", "float"), (".5", "float"),
        ("1e5", "float"), ("1e999", "str"), ("-.INF", "float"), (".NaN", "float"), ("18446744073709551615", "int"),
        ("18446744073709551616", "float"), ("1" * 5000, "str"), ("2020-01-02", "timestamp"),
        ("2020-01-02T03:04:05Z", "timestamp"), ("2020-01-02 03:04:05.5", "timestamp"), ("1.2.3", "str"), ("٣", "str"),
        ("1\n", "str"),
    ],
)  # fmt: skip
def test_kinds_of_plain_scalars(text: str, kind: str) -> None:
    assert kind == kind_of(text)


SEED = """\
macros: {base: "server --port ${PORT}", ctx: 4096, half: 0.5}
groups: {g: {members: [b, al], swap: no}}
models:
  a: &a
    cmd: |
      ${base}
      # a comment \\
      -c ${ctx} --id ${MODEL_ID}
    aliases: [al]
    ttl: ${env.N}
    metadata: {x: "${half}", y: [1, ~, 2020-01-01]}
    timeouts: {connect: 3}
    filters: {setParamsByID: {"${MODEL_ID}:x": {a: 1}}}
  b: {<<: *a, cmd: "x ${PORT}", aliases: [], checkEndpoint: none, proxy: "http://127.0.0.1:${PORT}/"}
routing: {scheduler: {settings: {fifo: {priority: {a: 1}, patience: .inf}}}}
performance: {every: 15s}
hooks: {on_startup: {preload: [al, b]}}
"""

_pieces = st.one_of(
    st.sampled_from(["${", "}", "${env.N}", "${PORT}", "${a}", "&a ", "*a", "<<: ", "\t", "\n", "  ", "[", "]", "{", ": ", "- ", '"',
                     "'", "|", "!!int ", "#", "~", "\\", "---\n", "%", ".inf", "-1", "1e400", "\x00", "\ud800", "\ue000", "?"]),
    st.text(max_size=4),
)  # fmt: skip
_edits = st.lists(st.tuples(st.integers(0, len(SEED)), st.integers(0, 12), _pieces), max_size=6)


@settings(deadline=None, max_examples=200)
@given(_edits)
def test_a_mutated_file_is_read_or_refused(edits: list[tuple[int, int, str]]) -> None:
    text = SEED
    for position, length, piece in edits:
        text = text[:position] + piece + text[position + length :]

    found = attempt(text, N="300")

    assert str(found) if isinstance(found, Problem) else set(found.preload) <= set(found.models)


@settings(deadline=None)
@given(st.text())
@example("\ud800")
@example("a: !<")
def test_any_text_is_read_or_refused(text: str) -> None:
    found = attempt(text)

    assert not isinstance(found, Problem) or found.source == "config.yaml"


def test_the_seed_is_accepted() -> None:
    assert list(read(SEED, N="300").models) == ["a", "b"]


def test_places_are_told_as_near_as_can_be() -> None:
    document = read_yaml("a:\n  b:\n    - c\n    - d\n", "f", {})

    assert [None, Place("f", 1), Place("f", 2), Place("f", 4), Place("f", 2)] == [
        document.place_of(path) for path in ((), ("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 7))
    ]


def test_paths_are_written_as_people_do() -> None:
    assert path_text(("models", "qwen2.5:7b", "aliases", 0)) == 'models["qwen2.5:7b"].aliases[0]'
