"""The language of a matrix's sets: `chat & (embed | rerank) | +other`.

    any  := all ('|' all)*
    all  := atom ('&' atom)*
    atom := NAME | '+' NAME | '(' any ')'

A NAME is made of letters and digits of any script, `_`, `-` and `.`; space between the parts means nothing. Source: compatibility
specification 2.10. Every part remembers its column, so that an error found later (a name that means nothing) points at it, too.
"""

from __future__ import annotations

from dataclasses import dataclass

DEEPEST = 100
"""Parentheses in parentheses; the parser is recursive, and Python's stack is no place to find out."""


@dataclass(frozen=True, slots=True)
class Name:
    """A model, by its variable or its id."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Reference:
    """Another set: `+name`."""

    text: str
    column: int
    """Of the plus sign."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """`a & b`: two parts or more, together."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`a | b`: one of two parts or more."""

    parts: tuple[Expression, ...]


Expression = Name | Reference | AllOf | AnyOf


class ExpressionError(ValueError):
    """What is wrong with the expression of a set, and where."""

    def __init__(
        self,
        column: int,
        message: str,
        remedy: str,
        *,
        in_set: str = "",
        unknown: str = "",
        choices: tuple[str, ...] = (),
    ) -> None:
        """Made by the parser without the name of the set, which it does not know.

        column: counted from 1, in characters.
        unknown, choices: a name that means nothing, and those that would; empty if the error is another one.
        """
        super().__init__(f"column {column}: {message}")
        self.in_set = in_set
        self.column = column
        self.remedy = remedy
        self.unknown = unknown
        self.choices = choices


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    """A sign, a name, or nothing at the end."""
    column: int

    @property
    def is_name(self) -> bool:
        return bool(self.text) and self.text not in _SIGNS

    def __str__(self) -> str:
        return f'"{self.text}"' if self.text else "the end"


_SIGNS = frozenset("&|+()")


def parse(expression: str) -> Expression:
    """Returns what *expression* says. Raises ExpressionError."""
    tokens = _tokens(expression)
    if len(tokens) == 1:
        raise ExpressionError(1, "the expression is empty", "write e.g. a & (b | c)")
    parser = _Parser(tokens)
    parsed = parser.any_of(0)
    if parser.next.text:
        raise parser.error("expected & or | or the end", "join the parts by & (together) or | (either)")
    return parsed


def _tokens(expression: str) -> list[_Token]:
    tokens = []
    start = 0
    while start < len(expression):
        end = start + 1
        if _in_name(expression[start]):
            while end < len(expression) and _in_name(expression[end]):
                end += 1
        elif expression[start] not in _SIGNS and not expression[start].isspace():
            words = f'"{expression[start]}" cannot stand in an expression'
            remedy = "names are letters, digits, _ - and .; an id with other characters needs a variable (vars)"
            raise ExpressionError(start + 1, words, remedy)
        if not expression[start].isspace():
            tokens.append(_Token(expression[start:end], start + 1))
        start = end
    return [*tokens, _Token("", len(expression) + 1)]


def _in_name(character: str) -> bool:
    return character.isalpha() or character.isdecimal() or character in "_-."


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._position]

    def any_of(self, depth: int) -> Expression:
        parts = [self._all_of(depth)]
        while self._take("|"):
            parts.append(self._all_of(depth))
        return AnyOf(tuple(parts)) if len(parts) > 1 else parts[0]

    def _all_of(self, depth: int) -> Expression:
        parts = [self._atom(depth)]
        while self._take("&"):
            parts.append(self._atom(depth))
        return AllOf(tuple(parts)) if len(parts) > 1 else parts[0]

    def _atom(self, depth: int) -> Expression:
        here = self.next
        if self._take("("):
            if depth == DEEPEST:
                words = f"parentheses stand more than {DEEPEST} deep"
                raise ExpressionError(here.column, words, "give the inner part a set of its own and write +name")
            inner = self.any_of(depth + 1)
            if not self._take(")"):
                raise self.error(
                    f'expected ) for the "(" of column {here.column}', "close it, or join the parts by & or |"
                )
            return inner
        if self._take("+"):
            if not self.next.is_name:
                raise self.error("expected the name of a set after +", "write e.g. +chat")
            return Reference(self._advance().text, here.column)
        if not self.next.is_name:
            raise self.error("expected a model, +set or (", "write e.g. a & (b | c)")
        return Name(self._advance().text, here.column)

    def error(self, expected: str, remedy: str) -> ExpressionError:
        return ExpressionError(self.next.column, f"{expected}, got {self.next}", remedy)

    def _take(self, sign: str) -> bool:
        taken = self.next.text == sign
        self._position += taken
        return taken

    def _advance(self) -> _Token:
        token = self.next
        self._position += 1
        return token
