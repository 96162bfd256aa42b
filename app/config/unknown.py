"""Keys of a file that nobody reads, and keys that make no difference yet: odd, but no reason to refuse a file."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args, get_origin

from app.config.field_types import NotActedOn
from app.config.settings import Settings
from app.config.tree import MapNode, Node, Path, is_null, nearest

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
    if not isinstance(node, MapNode):
        return
    for model in settings_in(annotation):
        if get_origin(annotation) is dict:
            for key, entry in node.entries.items():
                if isinstance(entry, MapNode):
                    yield from _in_mapping(document, entry, model, (*path, key))
        else:
            yield from _in_mapping(document, node, model, path)


def settings_in(annotation: object) -> Iterator[type[Settings]]:
    """Yields the settings model that a field's type is, or is a mapping to, or may be; nothing for the other types."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    elif get_origin(annotation) is dict or isinstance(annotation, types.UnionType):
        for argument in get_args(annotation):
            if isinstance(argument, type) and issubclass(argument, Settings):
                yield argument


def _says_nothing(node: Node) -> bool:
    return is_null(node) or (isinstance(node, MapNode) and not node.entries)
