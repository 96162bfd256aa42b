"""The language of the matrix's sets: compatibility specification 2.10."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from planners.matrix.dsl import DEEPEST, AllOf, AnyOf, ExpressionError, Name, Reference, parse

A, B, C = Name("a", 1), Name("b", 5), Name("c", 9)


def test_a_name_alone() -> None:
    assert parse("a") == A


@pytest.mark.parametrize("name", ["Qwen3-0.6B_q4", "-", "模型", "é9", "٣"])
def test_names_are_letters_and_digits_of_any_script_and_three_signs(name: str) -> None:
    assert parse(name) == Name(name, 1)


def test_and_binds_tighter_than_or() -> None:
    assert parse("a | b & c") == AnyOf((A, AllOf((B, C))))
    assert parse("a & b | c") == AnyOf((AllOf((A, B)), C))


def test_parentheses_bind_tightest() -> None:
    assert parse("a &(b | c)") == AllOf((A, AnyOf((Name("b", 5), Name("c", 9)))))


def test_a_reference_points_at_its_plus() -> None:
    assert parse("a & +  x.y") == AllOf((A, Reference("x.y", 5)))


def test_space_means_nothing() -> None:
    assert parse("\t a\n&b ") == AllOf((Name("a", 3), Name("b", 6)))


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "column 1: the expression is empty"),
        (" \n", "column 1: the expression is empty"),
        ("a &", "column 4: expected a model, +set or (, got the end"),
        ("a & | b", 'column 5: expected a model, +set or (, got "|"'),
        ("()", 'column 2: expected a model, +set or (, got ")"'),
        ("(a | b", 'column 7: expected ) for the "(" of column 1, got the end'),
        ("a & (b c", 'column 8: expected ) for the "(" of column 5, got "c"'),
        ("a b", 'column 3: expected & or | or the end, got "b"'),
        ("a)", 'column 2: expected & or | or the end, got ")"'),
        ("a & +", "column 6: expected the name of a set after +, got the end"),
        ("+ (a)", 'column 3: expected the name of a set after +, got "("'),
        ("a & org/b", 'column 8: "/" cannot stand in an expression'),
        ("a:1", 'column 2: ":" cannot stand in an expression'),
        ("a && b", 'column 4: expected a model, +set or (, got "&"'),
    ],
)
def test_errors_say_where(expression: str, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(expression)

    assert str(caught.value) == told
    assert caught.value.remedy


def test_nesting_has_a_limit() -> None:
    parse("(" * DEEPEST + "a" + ")" * DEEPEST)
    with pytest.raises(ExpressionError, match=f"column {DEEPEST + 1}: parentheses stand more than {DEEPEST} deep"):
        parse("(" * 100_000 + "a")


def test_a_long_expression_is_no_deep_one() -> None:
    long = parse(" & ".join(["a"] * 20_000))

    assert isinstance(long, AllOf)
    assert len(long.parts) == 20_000


@given(st.text("ab|&+() .é/", max_size=20))
def test_any_text_is_parsed_or_refused_at_a_column_of_it(text: str) -> None:
    column = 1
    try:
        parse(text)
    except ExpressionError as error:
        column = error.column

    assert 1 <= column <= len(text) + 1
