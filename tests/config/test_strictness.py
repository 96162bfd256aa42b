"""How YAML's values become settings: the table of the compatibility specification 2.1, row by row."""

from __future__ import annotations

import pytest

from app.config.catalog import Model
from app.errors import Problem
from planners.protocol import ModelId
from tests.config.reading import attempt, model, read, refusal

A = "models:\n  a:\n    cmd: x ${PORT}\n"


def written(setting: str) -> Model | Problem:
    """Returns the model with *setting*, or why it is refused."""
    found = attempt(f"{A}    {setting}\n")
    return found if isinstance(found, Problem) else found.models[ModelId("a")]


@pytest.mark.parametrize(
    "text",
    [
        "models: {}\nmodels: {}",
        f"{A}    cmd: y",
        f"{A}    compat: {{ignoreWebsockets: yes, ignoreWebsockets: yes}}",
        f"{A}    metadata: {{x: {{y: 1, y: 1}}}}",
        "macros: {a: 1, a: 1}",
        "nobody-knows-this: {a: 1, a: 1}",
    ],
)
def test_duplicate_keys_are_errors_at_every_level(text: str) -> None:
    assert "is there twice" in refusal(text).message


@pytest.mark.parametrize(
    ("value", "expected"), [("30", 30.0), ("30.0", 30.0), ("3e1", 30.0), ("0x1e", 30.0), ("0o36", 30.0), ("3_0", 30.0)]
)
def test_whole_numbers(value: str, expected: float) -> None:
    found = written(f"ttl: {value}")

    assert isinstance(found, Model)
    assert expected == found.ttl_s


@pytest.mark.parametrize(
    "value", ["'30'", '"30"', "30.5", "soon", "true", "[30]", "{a: 30}", ".inf", "99999999999999999999"]
)
def test_no_whole_numbers(value: str) -> None:
    found = written(f"ttl: {value}")

    assert isinstance(found, Problem)
    assert (found.path, found.line) == ("models.a.ttl", 4)
    assert found.message.startswith("expected a whole number of seconds, got ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", "5"),
        ("0x10", "0x10"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("yes", "yes"),
        ("'5'", "5"),
        ("2020-01-01", "2020-01-01"),
        ("", ""),
    ],
)
def test_text_is_what_was_written(value: str, expected: str) -> None:
    found = written(f"useModelName: {value}")

    assert isinstance(found, Model)
    assert expected == found.use_model_name


def test_entries_of_lists_may_be_numbers() -> None:
    catalog = read(f"apiKeys: [123, 4.50]\n{A}    aliases: [123, true]\n")

    assert catalog.api_keys == ("123", "4.50")
    assert catalog.models[ModelId("a")].aliases == ("123", "true")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((word, True) for word in ("true", "True", "yes", "Yes", "on", "ON", "y", "'yes'", '"on"')),
        *((word, False) for word in ("false", "FALSE", "no", "off", "n", "'no'", "'off'")),
    ],
)
def test_flags(value: str, expected: bool) -> None:
    found = written(f"unlisted: {value}")

    assert isinstance(found, Model)
    assert found.unlisted is expected


@pytest.mark.parametrize("value", ["'true'", '"false"', "1", "0", "maybe", "[yes]", "tRuE"])
def test_no_flags(value: str) -> None:
    found = written(f"unlisted: {value}")

    assert isinstance(found, Problem)
    assert found.message.startswith("expected true or false (without quotes), got ")


@pytest.mark.parametrize("setting", ["aliases: foo", "env: A=b", "aliases: {a: b}", "capabilities: {in: text}"])
def test_a_single_value_is_no_list(setting: str) -> None:
    found = written(setting)

    assert isinstance(found, Problem)
    assert found.message.startswith("expected a list, got ")


@pytest.mark.parametrize(
    "key",
    [
        "aliases",
        "env",
        "macros",
        "metadata",
        "filters",
        "timeouts",
        "compat",
        "capabilities",
        "ttl",
        "name",
        "unlisted",
        "checkEndpoint",
    ],
)
@pytest.mark.parametrize("value", ["", " ~", " null"])
def test_a_key_without_a_value_is_absent(key: str, value: str) -> None:
    assert model(A) == written(f"{key}:{value}")


@pytest.mark.parametrize(
    "key", ["groups", "macros", "models", "peers", "profiles", "selectors", "routing", "apiKeys", "upstream"]
)
def test_a_top_level_key_without_a_value_is_absent(key: str) -> None:
    assert read("").models == read(f"{key}:\n").models == read(f"{{{key}: }}").models


def test_an_empty_model_loads() -> None:
    """The reference loads it without an address; we say so, and its start is what fails."""
    assert "the model is empty" in read("models:\n  m:\n").warnings[0]


@pytest.mark.parametrize(
    ("value", "is_right"),
    [("15s", True), ("1m30s", True), ("5000ms", True), ("1.5m", True), ("0s", True), ("0", False), ("15", False), ("15.5", False), ("15 s", False), ("'15'", False)],
)  # fmt: skip
def test_durations_have_units(value: str, is_right: bool) -> None:
    found = attempt(f"performance: {{every: {value}}}")

    assert isinstance(found, Problem) is not is_right


def test_tabs_do_not_indent() -> None:
    assert refusal("models:\n\ta: {}\n").remedy == "indent with spaces, not with tabs"


@pytest.mark.parametrize("key", ["123", "4.5", "true", "0x10", "~", "2020-01-01", "'123'"])
def test_ids_that_are_not_text_are_used_as_text(key: str) -> None:
    """The reference drops all models without a word."""
    catalog = read(f"models:\n  {key}: {{proxy: 'http://h:1'}}\n  other: {{proxy: 'http://h:2'}}\n")

    assert {key.strip("'"), "other"} == set(catalog.models)


def test_a_later_document_and_an_empty_file_mean_nothing() -> None:
    assert list(read(f"{A}---\nmodels: [\n").models) == ["a"]
    assert read("# nothing\n").models == read("").models == {}


def test_anchors_aliases_and_merge_keys_are_resolved_before_macros() -> None:
    text = """
        macros: {n: 5}
        defaults: &defaults {ttl: "${n}", proxy: "http://h:1"}
        models:
          a: {<<: *defaults, ttl: 7}
          b: {<<: *defaults, name: &name "${MODEL_ID}"}
          c: {<<: *defaults, name: *name}
        """

    assert [(model(text, name).ttl_s, model(text, name).name) for name in "abc"] == [(7.0, ""), (5.0, "b"), (5.0, "c")]


@pytest.mark.parametrize("text", ["[]", "- a", "text", "5", "'~'"])
def test_the_top_must_be_a_mapping(text: str) -> None:
    assert "must be a mapping" in refusal(text).message
