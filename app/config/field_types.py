"""The types of fields: how a scalar as written becomes a value, by the rules of Go's yaml.v3. PURE.

Each type takes a `Scalar` (a list or a dict is never right) and tells what it expected when it cannot use what it got. In the schema each also allows `${macro}`, since editors see the file before macros are put in.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.config.tree import Scalar

WRONG_TYPE = "hostler_type"
"""Error type of everything raised here; its context has `what`, `got` and `example`."""

_TRUE = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
_FALSE = {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_MACRO = r"^.*\$\{.+\}.*$"


@dataclass(frozen=True, slots=True)
class NotActedOn:
    """Marks a field that is read, and then makes no difference in this version."""

    note: str = "known, but not acted on by this version"


def describe(value: object) -> str:
    """Returns *value*, a scalar, list or dict of a document, as an error message shows it."""
    match value:
        case Scalar(kind="null"):
            return "nothing"
        case Scalar(text=text, kind="str"):
            return _quoted(text)
        case Scalar(text=text):
            return text
        case list():
            return "a list"
        case _:
            return "a mapping"


def _quoted(text: str) -> str:
    line = text if len(text) <= 60 else text[:57] + "…"
    return '"' + line.replace("\n", "\\n") + '"'


def _wrong(what: str, value: object, example: str) -> PydanticCustomError:
    context = {"what": what, "got": describe(value), "example": example}
    return PydanticCustomError(WRONG_TYPE, "expected {what}, got {got}", context)


def _text(value: object) -> object:
    if isinstance(value, Scalar):
        return "" if value.kind == "null" else value.text
    raise _wrong("text", value, "text")


def _flag(value: object) -> object:
    if isinstance(value, Scalar) and value.kind == "bool":
        return value.value
    if isinstance(value, Scalar) and value.text in _TRUE | _FALSE:
        return value.text in _TRUE
    raise _wrong("true or false (without quotes)", value, "true")


def _whole(what: str, example: str) -> BeforeValidator:
    def check(value: object) -> object:
        number = value.value if isinstance(value, Scalar) else None
        if isinstance(number, float) and math.isfinite(number) and number == int(number) and abs(number) < 2**63:
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and -(2**63) <= number < 2**63:
            return number
        raise _wrong(what, value, example)

    return BeforeValidator(check)


def _number(value: object) -> object:
    number = value.value if isinstance(value, Scalar) else None
    if isinstance(number, int | float) and not isinstance(number, bool) and not math.isnan(number):
        return float(number)
    raise _wrong("a number of seconds", value, "60")


def _duration(value: object) -> object:
    if isinstance(value, Scalar) and value.kind == "str" and (seconds := duration_s(value.text)) is not None:
        return seconds
    raise _wrong("a duration with its unit", value, "15s")


def duration_s(text: str) -> float | None:
    """Returns the seconds of a duration as Go writes one, as `1m30s` or `500ms`; None if it is not one."""
    sign, bare = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if bare == "0":
        return 0.0
    parts = list(_DURATION_PART.finditer(bare))
    if not parts or "".join(part[0] for part in parts) != bare:
        return None
    seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    return sign * seconds if math.isfinite(seconds) else None


def plain(value: object) -> object:
    """Returns *value* with every scalar in it as the Python value YAML means; infinities and NaN, which JSON lacks, as text."""
    if isinstance(value, Scalar):
        meant = value.value
        return value.text if isinstance(meant, float) and not math.isfinite(meant) else meant
    if isinstance(value, list):
        return [plain(member) for member in value]
    assert isinstance(value, dict)
    return {key: plain(entry) for key, entry in value.items()}


Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""Text; a number or a truth value counts as the text it was written as."""

Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no", "on", "off"]}, {"type": "string", "pattern": _MACRO}]}
    ),
]
"""True or false; yes, no, on and off as well."""

Count = Annotated[
    int, _whole("a whole number", "4"), WithJsonSchema({"type": ["integer", "string"], "pattern": _MACRO})
]
"""A whole number; `30.0` is one, `"30"` is not."""

Seconds = Annotated[
    int, _whole("a whole number of seconds", "300"), WithJsonSchema({"type": ["integer", "string"], "pattern": _MACRO})
]
"""A whole number of seconds."""


def _span_text(seconds: float) -> object:
    if math.isinf(seconds):
        return ".inf" if seconds > 0 else "-.inf"
    return int(seconds) if seconds == int(seconds) else seconds


Span = Annotated[
    float,
    BeforeValidator(_number),
    PlainSerializer(_span_text, when_used="json"),
    WithJsonSchema({"type": ["number", "string"], "pattern": _MACRO}),
]
"""Seconds that may have a fraction or be `.inf`."""


def _duration_text(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(_duration_text, when_used="json"),
    WithJsonSchema({"type": "string"}),
]
"""Seconds, written with their unit: `15s`, `1m30s`."""

Free = Annotated[object, BeforeValidator(plain)]
"""Anything, as the Python value YAML means."""
