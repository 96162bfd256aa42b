"""Filters and capabilities of models (compatibility specification 2.7, 2.14)."""

from __future__ import annotations

import pytest

from app.config.catalog import Capabilities, Filters
from planners.protocol import ModelId
from tests.config.reading import model, read, refusal

A = "models: {a: {proxy: 'http://h:1', %s}, b: {proxy: 'http://h:2', aliases: [bee]}}"


def filters(written: str) -> Filters:
    return model(A % f"filters: {{{written}}}").filters


def test_no_filters_have_nothing_to_do() -> None:
    assert filters("") == Filters()
    assert not filters("stripParams: ' , model ,'")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("stripParams: 'top_p, temperature ,, model,top_p'", ("temperature", "top_p")),
        ("stripParams: a.b", ("a.b",)),
        ("strip_params: x", ("x",)),
        ("strip_params: x, stripParams: y", ("y",)),
        ("strip_params: x, stripParams: ' '", ("x",)),
        ("stripParams: 5", ("5",)),
        (r"stripParams: 'a\*, b\\'", (r"a\*", "b\\\\")),
    ],
)
def test_parameters_taken_out(written: str, expected: tuple[str, ...]) -> None:
    found = filters(written)

    assert expected == found.strip_params
    assert found


def test_parameters_set_are_sorted_and_keep_their_types() -> None:
    found = filters("setParams: {z: 1, model: no, a.b: {c: [0.5, yes, true, ~]}, t: 2020-01-01, 5: .inf}")

    assert found.set_params == (
        ("5", ".inf"),
        ("a.b", {"c": [0.5, "yes", True, None]}),
        ("t", "2020-01-01"),
        ("z", 1),
    )


def test_parameters_by_name_become_aliases() -> None:
    catalog = read(
        "macros: {think: think}\n"
        + A % "aliases: [al], filters: {setParamsByID: {'${MODEL_ID}:${think}': {x: 1}, a: {y: 2}, al: {model: 3}}}"
    )
    found = catalog.models[ModelId("a")]

    assert dict(found.filters.set_params_by_id) == {"a:think": (("x", 1),), "a": (("y", 2),), "al": ()}
    assert found.aliases == ("al", "a:think")
    assert catalog.aliases == {"al": "a", "a:think": "a", "bee": "b"}


def test_macros_in_filters_keep_their_types() -> None:
    text = "macros: {t: 0.7, names: 'x, y'}\n" + A % "filters: {stripParams: '${names}', setParams: {t: '${t}'}}"

    assert model(text).filters == Filters(("x", "y"), (("t", 0.7),))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "stripParams: 'ok, a.*'",
            r'models.a.filters.stripParams: "a.*" is not the path of one parameter: "*" stands for many (name each parameter, or write \* if the character is part of the name)',
        ),
        ("strip_params: 'a?'", 'models.a.filters.strip_params: "a?" is not'),
        ("setParams: {'messages.#': 1}", 'models.a.filters.setParams["messages.#"]: '),
        ("setParams: {'a|b': 1}", "stands for many"),
        (r"setParams: {'a\\*': 1}", "stands for many"),
        ("setParams: {'': 1}", "a parameter needs a name"),
        ("setParamsByID: {x: {'*': 1}}", 'models.a.filters.setParamsByID.x["*"]'),
        ("setParamsByID: {'': {}}", "a name must not be empty"),
        (
            "setParamsByID: {b: {}}",
            'models.a.filters.setParamsByID.b: "b" is a model of its own (the name must be this model\'s alone)',
        ),
        ("setParamsByID: {bee: {}}", '"bee" is an alias of model "b" already'),
        ("setParamsByID: {x: 1}", "models.a.filters.setParamsByID.x: expected a mapping, got 1"),
        ("setParams: [x]", "models.a.filters.setParams: expected a mapping, got a list"),
        ("stripParams: [x]", "models.a.filters.stripParams: expected text, got a list"),
    ],
)
def test_refused(written: str, told: str) -> None:
    assert told in str(refusal(A % f"filters: {{{written}}}"))


def test_the_same_name_in_two_models_parameters_is_refused() -> None:
    told = refusal(
        "models: {a: {proxy: 'http://h', filters: {setParamsByID: {x: {}}}}, "
        "b: {proxy: 'http://h', filters: {setParamsByID: {x: {}}}}}"
    )

    assert str(told).startswith('config.yaml:1: models.b.filters.setParamsByID.x: "x" is an alias of model "a" already')


def test_an_own_alias_that_is_a_model_is_that_model() -> None:
    told = refusal(
        "models: {a: {proxy: 'http://h', aliases: [b], filters: {setParamsByID: {b: {}}}}, b: {proxy: 'http://h'}}"
    )

    assert '"b" is a model of its own' in str(told)


def test_capabilities() -> None:
    found = model(A % "capabilities: {in: [text, image], out: [audio], tools: yes, reranker: true, context: 4096}")

    assert found.capabilities == Capabilities(("text", "image"), ("audio",), tools=True, reranker=True, context=4096)
    assert model(A % "").capabilities == Capabilities()
