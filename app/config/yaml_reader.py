"""Reads YAML text into a `Document`, by the rules of Go's yaml.v3 where Python's differ.

What is special, and why:

- Only the first document of a file counts. Duplicate keys are errors. Anchors, aliases and merge keys work; an alias that
  grows out of all proportion to its file is refused ("billion laughs").
- `${env.NAME}` is replaced in parsed scalars, not in the raw text as the reference does: a value can never break the YAML,
  needs no escaping, and comments are none of our business. So that `[${env.A}]` can be parsed at all (a brace means something
  inside brackets), a placeholder of harmless characters stands for the macro while the text is parsed. A plain scalar gets its
  type after the replacement, as the raw text would have: `ttl: ${env.TTL}` is a number.
- Tabs separate a key from its value and a value from a comment, as libyaml has it; as indentation they are an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from app.config.tree import Document, Kind, ListNode, MapNode, Node, Path, Place, Scalar, kind_of, path_text
from app.errors import ConfigError, Problem

MAX_DEPTH = 64
"""Levels of nesting; deeper is a mistake, and everything downstream recurses."""

_PLAIN = "plain"
_STR = "tag:yaml.org,2002:str"
_IMPLICIT = {_PLAIN, *(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))}
_ENV = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read(text: str, source: str, environ: Mapping[str, str]) -> Document:
    """Parses *text* and puts the environment's values in; an empty document is an empty mapping.

    Raises ConfigError naming *source*, the line and, where there is one, the YAML path.
    """
    marker = next(mark for mark in map(chr, range(0xE000, 0xF900)) if mark not in text)
    prepared = _ENV.sub(lambda match: f"{marker}{match[1]}{marker}", text)
    try:
        composer = _GoComposer(prepared)
        root = composer.get_node() if composer.check_node() else None
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigError(_syntax_problem(text, source, line, _told(exc, marker))) from exc
    except ReaderError as exc:
        line = prepared.count("\n", 0, exc.position) + 1
        message = f"is not YAML: the character U+{exc.character:04X} is not allowed"
        raise ConfigError(Problem(message, source, line=line, remedy="take it out")) from exc
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as exc:
        words = " ".join(str(exc).split())
        raise ConfigError(Problem(f"is not YAML: {words}", source)) from exc
    empty = MapNode({}, {}, Place(source, 1))
    if root is None:
        return Document(empty, (source,))
    conversion = _Conversion(source, environ, marker, limit=10 * composer.composed + 10_000)
    node = conversion.node(root, ())
    if isinstance(node, Scalar) and node.kind == "null":
        return Document(empty, (source,))
    if not isinstance(node, MapNode):
        what = "a list" if isinstance(node, ListNode) else "a single value"
        raise ConfigError(
            Problem(
                f"the top of a configuration must be a mapping, this is {what}",
                source,
                line=node.place.line,
                remedy="start with e.g. models:",
            )
        )
    return Document(node, (source,))


class _GoComposer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's reader up to nodes; scalars keep their text, plain ones are marked as such instead of being resolved."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.composed = 0
        """Nodes made so far."""
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.composed += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _STR
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]  # the stubs leave it untyped

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()


class _Conversion:
    """Turns one document's nodes into ours; resolves aliases and merges on the way, and knows the path it is at."""

    def __init__(self, source: str, environ: Mapping[str, str], marker: str, limit: int) -> None:
        self._source = source
        self._environ = environ
        self._placeholder = re.compile(f"{marker}([^{marker}]*){marker}")
        self._marker = marker
        self._left = limit
        self._open: set[int] = set()
        """Nodes we are inside of, by identity."""

    def node(self, node: yaml.Node, path: Path) -> Node:
        self._left -= 1
        if self._left < 0:
            raise self._error(node, path, "aliases (*name) repeat so much that the file grows out of proportion")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise self._error(node, path, "an alias (*name) stands inside what it repeats")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            assert isinstance(node, yaml.SequenceNode)
            members = tuple(self.node(member, (*path, position)) for position, member in enumerate(node.value))
            return ListNode(members, self._place(node))
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Scalar:
        text: str = node.value
        if self._marker in text:
            text = self._placeholder.sub(lambda match: self._from_environment(match[1], node, path), text)
        if _SURROGATE.search(text):
            raise self._error(node, path, "holds half of a character (a surrogate), which cannot be written as UTF-8")
        kind: Kind = kind_of(text) if node.tag in _IMPLICIT else "str"
        return Scalar(text, kind, self._place(node))

    def _from_environment(self, name: str, node: yaml.Node, path: Path) -> str:
        value = self._environ.get(name)
        if value is None:
            raise self._error(
                node, path, f"environment variable {name} is not set", f"set {name}, or take ${{env.{name}}} out"
            )
        if any(bad in value for bad in "\r\n\0"):
            raise self._error(node, path, f"environment variable {name} holds a line break or NUL")
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> MapNode:
        own = MapNode({}, {}, self._place(node))
        merged: list[MapNode] = []
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(
                    key_node, path, "a key must be a single word or text", "inside { } put quotes around ${…}"
                )
            key = self._scalar(key_node, path)
            if key.text in seen:
                raise self._error(
                    key_node,
                    (*path, key.text),
                    f"key {key.text!r} is there twice, first in line {seen[key.text]}",
                    "keep one of them",
                )
            seen[key.text] = key.place.line
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged += self._merged(value_node, path)
                continue
            own.entries[key.text] = self.node(value_node, (*path, key.text))
            own.key_places[key.text] = key.place
        if not merged:
            return own
        # Of equal keys the mapping's own wins, then the earlier merge; what was merged stands first, so that
        # macros may lean on merged ones.
        entries: dict[str, Node] = {}
        places: dict[str, Place] = {}
        for mapping in (*merged, own):
            for key_text, entry in mapping.entries.items():
                if mapping is own or key_text not in entries:
                    entries[key_text] = entry
                    places[key_text] = mapping.key_places[key_text]
        return replace(own, entries=entries, key_places=places)

    def _merged(self, node: yaml.Node, path: Path) -> list[MapNode]:
        members = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [self.node(member, path) for member in members]
        mappings = [member for member in found if isinstance(member, MapNode)]
        if len(mappings) < len(found):
            raise self._error(node, path, "<< merges mappings, and this is something else", "write e.g. <<: *defaults")
        return mappings

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._source, node.start_mark.line + 1)

    def _error(self, node: yaml.Node, path: Path, message: str, remedy: str = "") -> ConfigError:
        return ConfigError(Problem(message, self._source, path_text(path), node.start_mark.line + 1, remedy))


def _told(exc: yaml.MarkedYAMLError, marker: str) -> str:
    words = ", ".join(part for part in (exc.context, exc.problem) if part)
    return re.sub(f"{marker}([^{marker}]*){marker}", r"${env.\1}", " ".join(words.split()))


def _syntax_problem(text: str, source: str, line: int | None, words: str) -> Problem:
    lines = text.splitlines()
    written = lines[line - 1] if line is not None and 0 < line <= len(lines) else ""
    remedy = ""
    if "\t" in written[: len(written) - len(written.lstrip())] or "'\\t'" in words:
        remedy = "indent with spaces, not with tabs"
    elif "${" in written and ("[" in written or written.count("{") > written.count("${")):
        remedy = "inside [ ] and { } put quotes around ${…}"
    return Problem(f"is not YAML: {words}", source, line=line, remedy=remedy)
