"""The model in a JSON body: found, and replaced with every other byte left as it was.

Only the top-level members that routing needs are looked at; the rest is skipped over, unparsed, by `msgspec`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from app.errors import RequestError
from app.routing.asked import Asked


class _Head(msgspec.Struct):
    """What routing needs of a body; everything else is skipped."""

    model: msgspec.Raw = msgspec.Raw(b"null")
    stream: msgspec.Raw = msgspec.Raw(b"null")


_asked = msgspec.json.Decoder(Asked).decode
_head = msgspec.json.Decoder(_Head).decode
_value = msgspec.json.Decoder().decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def asked(body: bytes) -> Asked:
    """Returns what a JSON *body* asks for.

    `model` may be any scalar and is taken as text; `stream` counts when it is true, a number other than 0, or "true".
    Raises RequestError when the body is not a JSON object.
    """
    try:
        return _asked(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # Members of other types than nearly all write, or no JSON at all.
        return _asked_oddly(body)


def _asked_oddly(body: bytes) -> Asked:
    try:
        head = _head(body)
        return Asked(_text(_value(head.model)), is_truthy(_value(head.stream)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        # ValueError: invalid UTF-8, or a number of more digits than Python cares to convert.
        raise RequestError(f"the request's body is not a JSON object: {exc}") from None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def is_truthy(value: object) -> bool:
    """Whether *value*, a JSON value or a form's text, switches something on."""
    if isinstance(value, str):
        return value.lower() in {"true", "1", "t"}
    return isinstance(value, bool | int | float) and bool(value)


def replace_model(body: bytes, name: str) -> bytes:
    """Returns *body* with its top-level `model` replaced by *name*, or added at the end if it has none.

    *body* is one that `asked` has taken. Of several members called `model` the last one counts, and is replaced.
    Raises RequestError when the body is no JSON in a place that `asked` did not look at.
    """
    raw = bytes(_head(body).model)
    new = _encode(name)
    # The same text may stand deeper in the document, a million times if somebody means harm. So each place gets its own
    # number, and decoding once tells which of them the decoder sees. A quote after `model` ends a key, whatever is before
    # it, and what follows its colon is a whole value: numbering cannot make the document invalid.
    places = list(_places(body, raw))
    seen = bytes(_head(_spliced(body, [(start, end, b"%d" % n) for n, (start, end) in enumerate(places)])).model)
    if seen.isdigit() and int(seen) < len(places):
        start, end = places[int(seen)]
        candidate = body[:start] + new + body[end:]
        if bytes(_head(candidate).model) == new:
            return candidate
    # Its key is written with escapes, or is not there: rebuild the object from its members, their values untouched.
    try:
        members = _members(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise RequestError(f"the request's body is not valid JSON: {exc}") from None
    members["model"] = msgspec.Raw(new)
    return _encode(members)


def _places(body: bytes, raw: bytes) -> Iterator[tuple[int, int]]:
    """Yields start and end of every value *raw* whose key ends in `model`."""
    match = re.compile(rb'"model"\s*:\s*(' + re.escape(raw) + rb")(?=\s*[,}])").match
    # Searching for the key by `find` is several times as fast as by the expression.
    at = body.find(b'"model"')
    while at >= 0:
        if found := match(body, at):
            yield found.span(1)
        at = body.find(b'"model"', at + 1)


def _spliced(body: bytes, splices: list[tuple[int, int, bytes]]) -> bytes:
    parts = []
    position = 0
    for start, end, new in splices:
        parts += [body[position:start], new]
        position = end
    return b"".join([*parts, body[position:]])
