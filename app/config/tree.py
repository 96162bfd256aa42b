"""A YAML document as a tree that remembers where each value was written and what it was written as.

Go's YAML rules decide the type of a value by the *field* it is for (`yes` is true for a switch and a word for a name), so a
scalar keeps its text beside its kind, and is turned into a Python value by the field that takes it (`field_types`). PURE.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from app.errors import ConfigError, Problem

Kind = Literal["str", "int", "float", "bool", "null", "timestamp"]

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""

_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]| +)[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
_WORDS: dict[str, Kind] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), "null"),
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), "bool"),
    **{sign + word: "float" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), "float"),
}
_SIMPLE_KEY = re.compile(r"[\w()+-]+")


class Place(NamedTuple):
    """Where something is written."""

    source: str
    line: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value."""

    text: str
    """As written, quotes taken off and escapes resolved."""
    kind: Kind
    place: Place

    @property
    def value(self) -> str | int | float | bool | None:
        """The value as YAML means it; a timestamp is its text."""
        match self.kind:
            case "null":
                return None
            case "bool":
                return self.text.lower() == "true"
            case "int":
                return int_of(self.text)
            case "float":
                return float_of(self.text)
            case _:
                return self.text


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    members: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping, in the order of the file; keys are text, whatever YAML would make of them."""

    entries: dict[str, Node]
    key_places: dict[str, Place]
    place: Place

    def with_entry(self, key: str, node: Node) -> MapNode:
        """Returns a copy in which *key* stands for *node*; a new key is placed where the mapping is."""
        places = self.key_places if key in self.key_places else {**self.key_places, key: node.place}
        return replace(self, entries={**self.entries, key: node}, key_places=places)


Node = Scalar | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Document:
    """A whole configuration before it is given types."""

    root: MapNode
    sources: tuple[str, ...]

    def place_of(self, path: Path) -> Place | None:
        """Returns where *path* is written: the line of its key; as near as it can be told. None for the whole document."""
        place: Place | None = None
        node: Node = self.root
        for step in path:
            if isinstance(node, MapNode) and step in node.entries:
                place = node.key_places[str(step)]
                node = node.entries[str(step)]
            elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.members):
                node = node.members[step]
                place = node.place
            else:
                break
        return place

    def problem(self, path: Path, message: str, remedy: str = "") -> Problem:
        """Returns what is wrong at *path*."""
        place = self.place_of(path)
        source = place.source if place else ", ".join(self.sources)
        return Problem(message, source, path_text(path), place.line if place else None, remedy)

    def error(self, path: Path, message: str, remedy: str = "") -> ConfigError:
        """Returns what is wrong at *path*, to be raised."""
        return ConfigError(self.problem(path, message, remedy))


def is_null(node: Node | None) -> bool:
    """Whether *node* is absent or says nothing."""
    return node is None or (isinstance(node, Scalar) and node.kind == "null")


def kind_of(text: str) -> Kind:
    """Returns what a plain (unquoted) scalar is, by the rules of Go's yaml.v3."""
    if (kind := _WORDS.get(text)) is not None:
        return kind
    if text[0] not in "+-.0123456789":
        return "str"
    bare = text.replace("_", "")
    if _INT.fullmatch(bare) and -(2**63) <= int_of(bare) < 2**64:
        return "int"
    if _FLOAT.fullmatch(bare) and math.isfinite(float(bare)):
        return "float"
    return "timestamp" if _TIMESTAMP.fullmatch(text) else "str"


def int_of(text: str) -> int:
    """Returns the value of an integer as Go writes one: decimal, 0x, 0o or 0, 0b, with a sign and underscores."""
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > 70:  # beyond 64 bits in any base, and Python limits what it parses
        return sign << 70
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * int(digits, 8 if digits.startswith("0") else 10)


def float_of(text: str) -> float:
    """Returns the value of a float as YAML writes one, `.inf` and `.nan` included."""
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Yields every scalar below *node* with its path, in the order of the file."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, ListNode):
        for position, member in enumerate(node.members):
            yield from walk(member, (*path, position))
    else:
        for key, entry in node.entries.items():
            yield from walk(entry, (*path, key))


def map_scalars(node: Node, change: Callable[[Scalar], Scalar]) -> Node:
    """Returns a copy of *node* with *change* applied to every scalar in it."""
    if isinstance(node, Scalar):
        return change(node)
    if isinstance(node, ListNode):
        return replace(node, members=tuple(map_scalars(member, change) for member in node.members))
    return replace(node, entries={key: map_scalars(entry, change) for key, entry in node.entries.items()})


def path_text(path: Path) -> str:
    """Returns *path* as people write it: `models.llama.aliases[0]`, `models["qwen2.5"].ttl`."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _SIMPLE_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step}"]')
    return "".join(parts)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the one of *known* that *name* was probably meant to be, or None."""
    candidates = {candidate.lower().replace("_", ""): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower().replace("_", ""), candidates, n=1)
    return candidates[found[0]] if found else None
