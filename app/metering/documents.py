"""JSON -> the members that say something of an answer's cost or end; all others are skipped, unread and uncopied.

Members stay raw until somebody asks for one: so none of them can have a wrong type, and the events of a stream cost a third
of a microsecond each. What is no JSON object is no document.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw

NULL = Raw(b"null")
"""A member that is not there."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Document(msgspec.Struct):
    """One event of a stream, or a whole body, or a response or message in one of them."""

    # what it has cost
    usage: Raw = NULL
    timings: Raw = NULL
    metrics: Raw = NULL
    # what holds more of the same
    response: Raw = NULL
    message: Raw = NULL
    # how it ended
    choices: Raw = NULL
    delta: Raw = NULL
    status: Raw = NULL
    incomplete_details: Raw = NULL
    stop_reason: Raw = NULL
    stop_type: Raw = NULL
    stopped_eos: Raw = NULL
    stopped_word: Raw = NULL
    stopped_limit: Raw = NULL
    error: Raw = NULL
    detail: Raw = NULL
    # what kind of thing it is
    type: Raw = NULL
    object: Raw = NULL
    content: Raw = NULL


class Choice(msgspec.Struct):
    """One of an OpenAI answer's choices."""

    finish_reason: Raw = NULL
    delta: Raw = NULL
    text: Raw = NULL


_document = msgspec.json.Decoder(Document).decode
_choices = msgspec.json.Decoder(list[Choice]).decode
_elements = msgspec.json.Decoder(list[Raw]).decode
_value = msgspec.json.Decoder().decode


def document(text: bytes | Raw) -> Document | None:
    """Returns the document in *text*; None: it is no JSON object, or is nested absurdly deep."""
    if text is NULL:
        return None
    try:
        return _document(text)
    except (ValueError, RecursionError):
        return None


def last_element(text: bytes) -> Document | None:
    """Returns the document at the end of the array in *text*, if it has one."""
    try:
        elements = _elements(text)
    except (ValueError, RecursionError):
        return None
    return document(elements[-1]) if elements else None


def choices(member: Raw) -> list[Choice]:
    """Returns the choices in *member*, none if it holds something else."""
    if member is NULL:
        return []
    try:
        return _choices(member)
    except (ValueError, RecursionError):
        return []


def value(member: Raw) -> object:
    """Returns what *member* is; None also if it cannot be read, such as a text that is not UTF-8."""
    if member is NULL:
        return None
    try:
        return _value(member)
    except (ValueError, RecursionError):
        return None


def members(member: Raw) -> Mapping[str, object]:
    """Returns the members of the object in *member*, none if it is no object."""
    found = value(member)
    return found if isinstance(found, dict) else _NOTHING


def inner(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Returns the members of the object *name* in *holder*, none if it is no object."""
    found = holder.get(name)
    return found if isinstance(found, dict) else _NOTHING


def text(member: Raw) -> str:
    """Returns the text in *member*, empty if it is no text."""
    found = value(member)
    return found if isinstance(found, str) else ""
