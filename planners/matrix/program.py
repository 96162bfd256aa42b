"""A matrix, compiled: finds the best set of models to keep without ever listing the sets there are.

An expression denotes a family of sets of models: `|` is the union of families, `&` the unions of a member of each. Of all sets
with the target in it, the one is wanted whose running models are worth most; of equals, the first in the order in which the
sets would be listed (specification 5.6): set after set, a set that is referred to before the one that refers to it, otherwise as they
are defined; the alternatives of `|` from left to right; in `a & b` the choice for *a* changes slowest.

Listing is hopeless (four times `any of twenty` are 160 000 sets), and not needed:

- Only what runs, and the target, matters. The target is worth more than all the rest, so "has the target in it" and "is worth
  most" are one question.
- Two choices inside a part that have the same models *in common with the rest of the expression* are equal to the rest. So of
  each such projection a part keeps one choice: the one worth most, the earliest of equals. If no model stands twice, this is one
  choice for each part, and the whole takes a step for each part.
- If models do stand twice, a part may have up to 2 to the number of its running models that stand elsewhere, too, as choices. In
  general the question is as hard as covering a set by others, so there is a limit of steps, `LIMIT`, and `TooManyChoices`.

`+name` is an edge to the other set's part, not a copy of it, so that a part may have several parents; what is "the rest" is then the
union of what it is for each of them, which costs choices and never correctness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import assert_never

from planners.matrix.dsl import AllOf, AnyOf, Expression, ExpressionError, Name, Reference, parse
from planners.protocol import ModelId

LIMIT = 50_000
"""Pairs of choices that one question may look at: some 10 ms. `Any six`, while six run, takes less than 5 000."""


class TooManyChoices(Exception):
    """So many models that stand repeatedly in the expressions are running that the best set was not found."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A set of models that may run together, as far as they run."""

    set: str
    kept: frozenset[ModelId]
    """The running models that may stay beside the target."""


@dataclass(slots=True)
class _Part:
    """A model, a `|` of any number of parts, or a `&` of two; models are bits."""

    models: int
    """All that stand in it."""
    parts: tuple[int, ...] = ()
    """Their indices, smaller than its own; none for a model."""
    is_all: bool = False
    elsewhere: int = 0
    """Those of its models that also stand in something that it is joined with by `&`."""


_Family = dict[int, tuple[int, int]]
"""Projection -> (worth, models): the choices that a part offers, in order."""

_NOTHING: Mapping[int, tuple[int, int]] = {0: (0, 0)}


class Program:
    """The sets of a matrix, ready to be asked. Does not change."""

    def __init__(
        self,
        variables: Mapping[str, ModelId],
        sets: Mapping[str, str],
        models: Iterable[ModelId],
        costs: Mapping[ModelId, int],
    ) -> None:
        """Compiles *sets* (name -> expression).

        costs: what a model is worth while it runs; 1 if it is not in there.
        Raises ExpressionError for an expression that is wrong, or names what is not there.
        """
        self._bit_of: dict[ModelId, int] = {}
        self._parts: list[_Part] = []
        self._costs = costs
        self._meaning = {**{str(model): model for model in models}, **variables}
        self._leaves: dict[ModelId, int] = {}
        parsed = {name: _located(name, expression) for name, expression in sets.items()}
        self._roots: dict[str, int] = {}
        for name in _dependencies_first(parsed):
            self._roots[name] = self._compile(name, parsed[name])
        self._mark_elsewhere()

    def best(self, target: ModelId, live: Iterable[ModelId]) -> Choice | None:
        """Returns the best set with *target* in it, or None if it is in no set.

        Raises TooManyChoices.
        """
        its = self._bit_of.get(target)
        if its is None:
            return None
        running = {self._bit_of[model]: model for model in live if model in self._bit_of}
        worth = {bit: self._costs.get(model, 1) for bit, model in running.items()}
        worth[its] = sum(worth.values()) + 1
        families = self._families(its, reduce(or_, running, its), worth)
        best_worth, found = 0, ("", 0)
        for name, root in self._roots.items():
            for its_worth, mask in families[root].values() if self._parts[root].models & its else ():
                if its_worth > best_worth:
                    best_worth, found = its_worth, (name, mask)
        return Choice(found[0], frozenset(model for bit, model in running.items() if bit & found[1]))

    def sets_with(self, model: ModelId) -> list[str]:
        """Returns the names of the sets that have *model* in them, in the order in which they are looked at."""
        its = self._bit_of.get(model, 0)
        return [name for name, root in self._roots.items() if self._parts[root].models & its]

    def _families(self, target: int, within: int, worth: Mapping[int, int]) -> list[Mapping[int, tuple[int, int]]]:
        """Returns the choices of each part, of which only the models of *within* are seen.

        Those of parts that no set with the target in it has, or that hold none of *within*, are not worked out.
        """
        parts = self._parts
        wanted = bytearray(len(parts))
        for root in self._roots.values():
            wanted[root] |= bool(parts[root].models & target)
        for index in reversed(range(len(parts))):
            part = parts[index]
            wanted[index] &= bool(part.models & within)
            if wanted[index]:
                for inner in part.parts:
                    wanted[inner] = 1
        families: list[Mapping[int, tuple[int, int]]] = [_NOTHING] * len(parts)
        steps = 0
        for index, part in enumerate(parts):
            if not wanted[index]:
                continue
            if not part.parts:
                bit = part.models
                families[index] = {bit & part.elsewhere: (worth[bit], bit)}
            elif not part.is_all:
                offers = (offer for inner in part.parts for offer in families[inner].values())
                families[index] = _first_best(offers, part.elsewhere)
            else:
                left, right = (families[inner] for inner in part.parts)
                pairs = len(left) * len(right)
                steps += pairs if pairs > 1 else 0
                if steps > LIMIT:
                    raise TooManyChoices
                families[index] = _first_best(_joined(left, right, worth), part.elsewhere)
        return families

    def _compile(self, in_set: str, expression: Expression) -> int:
        match expression:
            case Name(text, column):
                if text not in self._meaning:
                    words = f'"{text}" is neither a variable nor the id of a model'
                    raise ExpressionError(
                        column,
                        words,
                        "name a key of vars or of models",
                        in_set=in_set,
                        unknown=text,
                        choices=tuple(self._meaning),
                    )
                return self._leaf(self._meaning[text])
            case Reference(text, _):
                return self._roots[text]
            case AnyOf(parts):
                return self._add(tuple(self._compile(in_set, part) for part in parts), is_all=False)
            case AllOf(parts):
                compiled = [self._compile(in_set, part) for part in parts]
                return reduce(lambda left, right: self._add((left, right), is_all=True), compiled)
            case _:
                assert_never(expression)

    def _leaf(self, model: ModelId) -> int:
        if model not in self._leaves:
            self._bit_of[model] = 1 << len(self._bit_of)
            self._leaves[model] = len(self._parts)
            self._parts.append(_Part(self._bit_of[model]))
        return self._leaves[model]

    def _add(self, parts: tuple[int, ...], *, is_all: bool) -> int:
        models = reduce(or_, (self._parts[part].models for part in parts))
        self._parts.append(_Part(models, parts, is_all))
        return len(self._parts) - 1

    def _mark_elsewhere(self) -> None:
        rest = [0] * len(self._parts)
        for index in reversed(range(len(self._parts))):
            part = self._parts[index]
            part.elsewhere = part.models & rest[index]
            for position, inner in enumerate(part.parts):
                rest[inner] |= rest[index]
                if part.is_all:
                    rest[inner] |= self._parts[part.parts[1 - position]].models


def _joined(
    left: Mapping[int, tuple[int, int]], right: Mapping[int, tuple[int, int]], worth: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    for left_worth, left_mask in left.values():
        for right_worth, right_mask in right.values():
            both = left_mask & right_mask
            twice = 0
            while both:
                bit = both & -both
                twice += worth[bit]
                both ^= bit
            yield left_worth + right_worth - twice, left_mask | right_mask


def _first_best(offers: Iterable[tuple[int, int]], elsewhere: int) -> _Family:
    """Returns of each projection onto *elsewhere* the offer worth most, the first of equals; still in order."""
    family: _Family = {}
    for offer in offers:
        projection = offer[1] & elsewhere
        known = family.get(projection)
        if known is None:
            family[projection] = offer
        elif offer[0] > known[0]:
            del family[projection]  # the better one stands where it stands, not in the place of the other
            family[projection] = offer
    return family


def _located(in_set: str, expression: str) -> Expression:
    try:
        return parse(expression)
    except ExpressionError as error:
        error.in_set = in_set
        raise


def _dependencies_first(sets: Mapping[str, Expression]) -> list[str]:
    """Returns the names of *sets*, each after those that it refers to, and otherwise as they are.

    Without recursion: a chain of references is as long as somebody cares to write it.
    """
    done: dict[str, None] = {}
    for first in sets:
        path = {first: _references(sets[first])} if first not in done else {}
        while path:
            name = next(reversed(path))
            reference = next(path[name], None)
            if reference is None:
                done[name] = None
                del path[name]
            elif reference.text not in sets:
                words = f'there is no set "{reference.text}"'
                raise ExpressionError(
                    reference.column,
                    words,
                    "name a key of sets",
                    in_set=name,
                    unknown=reference.text,
                    choices=tuple(sets),
                )
            elif reference.text in path:
                names = list(path)
                circle = " -> ".join([*names[names.index(reference.text) :], reference.text])
                raise ExpressionError(
                    reference.column,
                    f"the sets refer to each other in a circle: {circle}",
                    "take one +name out",
                    in_set=name,
                )
            elif reference.text not in done:
                path[reference.text] = _references(sets[reference.text])
    return list(done)


def _references(expression: Expression) -> Iterator[Reference]:
    match expression:
        case Reference():
            yield expression
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _references(part)
        case Name():
            pass
        case _:
            assert_never(expression)
