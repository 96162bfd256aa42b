"""Keys of a file that nobody reads, and keys that make no difference yet: odd, but no reason to refuse a file."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args, get_origin

from app.config.field_types import NotActedOn
from app.config.settings import Settings
from app.config.tree import ListNode, MapNode, Node, Path, Scalar, nearest

if TYPE_CHECKING:
    from app.config.tree import Document
    from app.errors import Problem


@dataclass(frozen=True, slots=True)
class Oddity:
    """One such key."""

    problem: Problem
    is_unknown: bool
    """Nobody reads it; a strict reading refuses the file."""


def oddities(document: Document, model: type[Settings]) -> Iterator[Oddity]:
    """Yields what is odd about *document* as a *model*, in the order of the file. Its types have been checked."""
    yield from _in_mapping(document, document.root, model, ())


def _in_mapping(document: Document, node: MapNode, model: type[Settings], path: Path) -> Iterator[Oddity]:
    fields = {str(field.alias): field for field in model.model_fields.values()}
    for key, entry in node.entries.items():
        here = (*path, key)
        field = fields.get(key)
        if field is None:
            near = nearest(key, fields)
            remedy = f"did you mean {near}?" if near else ""
            yield Oddity(document.problem(here, "unknown key, ignored", remedy), is_unknown=True)
            continue
        mark = next((mark for mark in field.metadata if isinstance(mark, NotActedOn)), None)
        if mark is not None and not _says_nothing(entry):
            yield Oddity(document.problem(here, mark.note), is_unknown=False)
        yield from _in_value(document, entry, field.annotation, here)


def _in_value(document: Document, node: Node, annotation: object, path: Path) -> Iterator[Oddity]:
    arguments = get_args(annotation)
    if isinstance(annotation, types.UnionType):
        for argument in arguments:
            yield from _in_value(document, node, argument, path)
    elif isinstance(annotation, type) and issubclass(annotation, Settings) and isinstance(node, MapNode):
        yield from _in_mapping(document, node, annotation, path)
    elif get_origin(annotation) is dict and isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _in_value(document, entry, arguments[1], (*path, key))


def _says_nothing(node: Node) -> bool:
    match node:
        case Scalar(kind=kind):
            return kind == "null"
        case MapNode(entries=entries):
            return not entries
        case ListNode(members=members):
            return not members
