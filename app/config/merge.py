"""Several files as one configuration. PURE.

The rules, from the compatibility specification 2.2. Files are merged in order, key by key; what only one side has is kept.

- What is named below `models`, `groups`, `peers` and the like (`NAMED`) is whole in one file: the same name in two is an error.
- Mappings are merged, lists are joined, the earlier file's entries first.
- Single values must be equal, in text and in type. A key with nothing behind it yields to the other file; a spelled out `~` does not.
- Anything else is a conflict. Nothing is overridden silently: which file wins must not depend on their names.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.config.tree import Document, ListNode, MapNode, Node, Path, Scalar, path_text
from app.errors import ConfigError, Problem

NAMED: frozenset[Path] = frozenset(
    [
        ("models",),
        ("groups",),
        ("profiles",),
        ("selectors",),
        ("peers",),
        ("matrix",),
        ("routing", "router", "settings", "groups"),
        ("routing", "router", "settings", "matrix"),
    ]
)
"""Mappings whose entries cannot be spread over files."""


def merge(documents: Sequence[Document]) -> Document:
    """Returns one document that says what all of *documents* (at least one) say.

    Raises ConfigError naming the key and both places when two of them contradict each other.
    """
    first, *others = documents
    root = first.root
    for document in others:
        root = _mappings(root, document.root, ())
    return Document(root, tuple(source for document in documents for source in document.sources))


def _mappings(first: MapNode, second: MapNode, path: Path) -> MapNode:
    entries = dict(first.entries)
    places = dict(first.key_places)
    for key, node in second.entries.items():
        here = (*path, key)
        if key not in entries:
            entries[key] = node
            places[key] = second.key_places[key]
            continue
        if path in NAMED:
            raise _conflict(first, second, path, key, f'"{key}" is in both', "keep one of them, or rename one")
        before = entries[key]
        if _is_empty(before):
            places[key] = second.key_places[key]
        entries[key] = _nodes(before, node, here, (first, second))
    return MapNode(entries, places, first.place)


def _nodes(first: Node, second: Node, path: Path, parents: tuple[MapNode, MapNode]) -> Node:
    if _is_empty(second):
        return first
    if _is_empty(first):
        return second
    if isinstance(first, MapNode) and isinstance(second, MapNode):
        return _mappings(first, second, path)
    key = str(path[-1])
    if path in NAMED:
        words = "a mapping is needed in both files"
        raise _conflict(*parents, path[:-1], key, words, 'write "name: …" lines below it')
    if isinstance(first, ListNode) and isinstance(second, ListNode):
        return ListNode((*first.members, *second.members), first.place)
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        if (first.text, first.kind) == (second.text, second.kind):
            return first
        raise _conflict(*parents, path[:-1], key, "the two values differ", "keep one of them")
    words = f"{_what(first)} in one and {_what(second)} in the other cannot be merged"
    raise _conflict(*parents, path[:-1], key, words, "keep one of them")


def _conflict(first: MapNode, second: MapNode, path: Path, key: str, words: str, remedy: str) -> ConfigError:
    # The values are not told: any of them may be a secret.
    there, here = first.key_places[key], second.key_places[key]
    message = f"is in {there.source}:{there.line} as well: {words}"
    return ConfigError(Problem(message, here.source, path_text((*path, key)), here.line, remedy))


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "null" and not node.text


def _what(node: Node) -> str:
    return "a list" if isinstance(node, ListNode) else "a mapping" if isinstance(node, MapNode) else "a single value"
