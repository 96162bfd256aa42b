"""The model in a JSON body: found, and replaced with every other byte left as it was.

Only the top-level members that routing needs are looked at; the rest is skipped over, unparsed, by `msgspec`.
"""

from __future__ import annotations

import re

import msgspec

from app.errors import RequestError
from app.routing.asked import Asked


class _Head(msgspec.Struct):
    """What routing needs of a body; everything else is skipped."""

    model: msgspec.Raw = msgspec.Raw(b"null")
    stream: msgspec.Raw = msgspec.Raw(b"null")


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
        head = _head(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestError(f"the request's body is not a JSON object: {exc}") from None
    return Asked(_text(_value(head.model)), is_truthy(_value(head.stream)))


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
    """Returns *body* with its top-level `model` replaced by *name*, or added at the end if it has none."""
    raw = bytes(_head(body).model)
    new = _encode(name)
    # The same text may stand deeper in the document; the one whose change the decoder sees is the right one.
    for match in re.finditer(rb'"model"\s*:\s*(' + re.escape(raw) + rb")", body):
        candidate = body[: match.start(1)] + new + body[match.end(1) :]
        try:
            found = bytes(_head(candidate).model)
        except msgspec.MsgspecError:
            continue
        if found == new:
            return candidate
    # Its key is written with escapes, or is not there: rebuild the object from its members, their values untouched.
    members = _members(body)
    members["model"] = msgspec.Raw(new)
    return _encode(members)
