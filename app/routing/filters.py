r"""What a model's filters change in a JSON body, with every byte that they do not concern left as it was.

A body is taken to pieces only as far as the paths go: an object into its members, each of them a value that nobody has looked
into, and so on down. `msgspec` finds where values end, in C and without making objects of them: a picture of megabytes costs its
copying, and hostile nesting costs no more. Put together again, pieces that were not touched are the bytes they were.

Paths are those of `sjson`, as existing configurations have them:

    a.b      member b of member a; what is missing on the way is made
    a.0      first element of the array a, or the member "0" of the object a
    a.-1     behind the last element when setting, the last element when removing
    a.:0     the member "0", never an element
    a\.b     the member "a.b"

Of several members of one name all are changed, so that a filter holds whichever of them a model's server believes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from app.config.catalog import Filters
from app.errors import RequestError

MAX_INDEX = 9_999
"""Largest index that may be set: the elements missing before it are filled in, as null."""

_APPEND = -1
_BLANK = b" \t\r\n"


class _Step(NamedTuple):
    """One step of a path."""

    name: str
    position: int | None
    """The element it stands for, or `_APPEND`; None: it can only be a member."""


class _Key:
    """A member's name. Each is another key, so that a dictionary of them keeps members of the same name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


_members = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=lambda _type, name: _Key(name)).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_is_plain = re.compile(r"[^:\\*?#|@]*+\Z").match
_part = re.compile(r"((?:[^.\\*?#|@]++|\\.)*+)(\.|\Z)", re.DOTALL).match
_to_value = re.compile(rb'[ \t\r\n]*+"(?:[^"\\]++|\\.)*+"[ \t\r\n]*+:[ \t\r\n]*+').match
_to_blank_end = re.compile(rb"[ \t\r\n]*+").match
_Match = Callable[[bytes, int], re.Match[bytes] | None]


def apply(body: bytes, filters: Filters, requested: str) -> bytes:
    """Returns *body* as *filters* want it, for a request that named *requested*.

    *body* is to be a JSON object. Its `model` is not touched, whatever the filters say.
    Raises RequestError if *body* is none, or if a filter does not fit it: nothing of an array can be set by a name.
    """
    behind = body.lstrip(_BLANK)
    text = behind.rstrip(_BLANK)
    if not text.startswith(b"{"):
        raise RequestError("the request's body is not a JSON object")
    pieces: list[_Piece] = [body[: len(body) - len(behind)]]
    try:
        root = _Container(text)
        for path in filters.strip_params:
            if steps := _steps_beside_model(path):
                root.remove(steps)
        for path, value in (*filters.set_params, *filters.set_params_by_id.get(requested, ())):
            if steps := _steps_beside_model(path):
                root.set(steps, _encode(value))
        root.write(pieces)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        # ValueError: a name that is not UTF-8.
        raise RequestError(f"the request's body cannot be filtered: {exc}") from None
    pieces.append(behind[len(text) :])
    return b"".join(pieces)


def _steps_beside_model(path: str) -> Sequence[_Step]:
    """Returns the steps of *path*, none if it leads to `model`. Raises RequestError for wildcards; the loader refuses them."""
    plain = _is_plain(path)
    steps = [_Step(part, _position(part)) for part in path.split(".")] if plain else list(_careful_steps(path))
    return () if steps[0].name == "model" else steps


def _careful_steps(path: str) -> Iterator[_Step]:
    at = 0
    while True:
        forced = path.startswith(":", at)
        found = _part(path, at + forced)
        if found is None:
            raise RequestError(f"a filter's path cannot be understood: {path!r}")
        name = re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)
        yield _Step(name, None if forced else _position(name))
        if not found[2]:
            return
        at = found.end()


def _position(name: str) -> int | None:
    if name == "-1":
        return _APPEND
    if not (name.isascii() and name.isdigit()):
        return None
    digits = name.lstrip("0") or "0"
    # No body is as long as that, and Python refuses numbers of thousands of digits.
    return int(digits[:18])


class _Item:
    """One member or element: what stands before its value, the value, what stands behind it."""

    __slots__ = ("head", "name", "tail", "value")

    def __init__(self, head: bytes, value: _Value, tail: bytes = b"", name: str = "") -> None:
        self.head = head
        """White space, and a member's name with its colon."""
        self.value = value
        self.tail = tail
        """White space."""
        self.name = name
        """Of a member; elements have none."""


class _Container:
    """An object or array, taken to pieces."""

    __slots__ = ("blank", "is_object", "items")

    def __init__(self, text: bytes) -> None:
        """Takes *text* to pieces: an object or array, and nothing around it.

        Raises MsgspecError, ValueError or RecursionError if it is not JSON.
        """
        self.is_object = text.startswith(b"{")
        self.items = list(_members_of(text) if self.is_object else _elements_of(text))
        self.blank = b"" if self.items else text[1:-1]
        """White space between the brackets of an empty one."""

    def remove(self, steps: Sequence[_Step]) -> None:
        """Removes what *steps* lead to, if it is there."""
        found = self._found(steps[0])
        if len(steps) == 1:
            gone = set(found)
            self.items = [item for item in self.items if item not in gone]
            return
        for item in found:
            inner = _opened(item.value)
            if inner is not None:
                inner.remove(steps[1:])
                item.value = inner

    def set(self, steps: Sequence[_Step], value: bytes) -> None:
        """Puts *value* to where *steps* lead, and makes what is missing on the way."""
        for item in self._found(steps[0], for_setting=True) or [self._added(steps[0])]:
            item.value = _with(item.value, steps[1:], value)

    def _found(self, step: _Step, *, for_setting: bool = False) -> list[_Item]:
        """Returns what *step* leads to; behind the last element is nothing to be found."""
        if self.is_object:
            return [item for item in self.items if item.name == step.name]
        if step.position is None or (step.position == _APPEND and for_setting):
            return []
        return self.items[step.position :][:1]

    def _added(self, step: _Step) -> _Item:
        """Returns a new null where *step* leads to."""
        if self.is_object:
            self.items.append(_Item(_encode(step.name) + b":", b"null", name=step.name))
            return self.items[-1]
        if step.position is None:
            raise RequestError(f"a filter sets {step.name!r} in an array; elements have numbers")
        if step.position > MAX_INDEX:
            raise RequestError(f"a filter sets element {step.name} of an array; {MAX_INDEX} is the largest")
        missing = 1 if step.position == _APPEND else step.position + 1 - len(self.items)
        self.items += [_Item(b"", b"null") for _ in range(missing)]
        return self.items[-1]

    def write(self, pieces: list[_Piece]) -> None:
        """Appends its text to *pieces*."""
        pieces += [b"{" if self.is_object else b"[", self.blank]
        for number, item in enumerate(self.items):
            pieces += [b"," if number else b"", item.head]
            if isinstance(item.value, _Container):
                item.value.write(pieces)
            else:
                pieces.append(item.value)
            pieces.append(item.tail)
        pieces.append(b"}" if self.is_object else b"]")


_Piece = bytes | msgspec.Raw
_Value = _Piece | _Container


def _members_of(text: bytes) -> Iterator[_Item]:
    at = 1
    for key, value in _members(text).items():
        end = _end(_to_value, text, at)
        head, at = text[at:end], _end(_to_blank_end, text, end + len(value))
        yield _Item(head, value, text[end + len(value) : at], key.name)
        at += 1


def _elements_of(text: bytes) -> Iterator[_Item]:
    at = 1
    for value in _elements(text):
        end = _end(_to_blank_end, text, at)
        head, at = text[at:end], _end(_to_blank_end, text, end + len(value))
        yield _Item(head, value, text[end + len(value) : at])
        at += 1


def _end(match: _Match, text: bytes, at: int) -> int:
    found = match(text, at)
    assert found is not None, "msgspec has read on here"
    return found.end()


def _opened(value: _Value) -> _Container | None:
    """Returns *value* taken to pieces; None if it has none."""
    if isinstance(value, _Container):
        return value
    text = bytes(value)
    return _Container(text) if text.startswith((b"{", b"[")) else None


def _with(value: _Value, steps: Sequence[_Step], new: bytes) -> _Value:
    """Returns *value* with *new* where *steps* lead to. A scalar on the way makes room for what the next step goes into."""
    if not steps:
        return new
    inner = _opened(value)
    if inner is None:
        inner = _Container(b"{}" if steps[0].position is None else b"[]")
    inner.set(steps, new)
    return inner
