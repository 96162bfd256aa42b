"""Numbers as programs, drivers and files print them, made into quantities: sane, or None.

Every parser of this package goes through these. A driver that answers nonsense (4294967295 for "I do not know" is a favourite)
must not turn up in a chart, and one bad figure must not cost the others of its device.
"""

from __future__ import annotations

import json
import math
import re

MEBIBYTE = 1 << 20

_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_PCI = re.compile(r"(?<![0-9a-f])([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])(?![0-9a-f])", re.IGNORECASE)


def number(value: object) -> float | None:
    """Returns the number in *value*, a number or a text that begins with one: `45 %`, `12,5 W`, `(800Mhz)`; else None.

    A comma is a decimal one: no source groups thousands.
    """
    if isinstance(value, str):
        match = _NUMBER.match(value.strip().lstrip("("))
        if match is None:
            return None
        value = float(match[0].replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _within(value: object, low: float, high: float, scale: float) -> float | None:
    found = number(value)
    if found is None:
        return None
    found *= scale
    return found if low <= found <= high else None


def percent(value: object, scale: float = 1.0) -> float | None:
    """Returns 0 to 100. Somewhat more than 100, which drivers do say of busy engines and fast fans, is 100."""
    found = _within(value, 0, 255, scale)
    return None if found is None else min(found, 100.0)


def byte_count(value: object, scale: float = 1.0) -> int | None:
    """Returns a number of bytes, up to a pebibyte; *scale* is how many bytes one of the given is."""
    found = _within(value, 0, 1 << 50, scale)
    return None if found is None else int(found)


def celsius(value: object, scale: float = 1.0) -> float | None:
    """Returns degrees Celsius that a device can have and still answer."""
    return _within(value, -60, 250, scale)


def watts(value: object, scale: float = 1.0) -> float | None:
    """Returns watts, up to what a rack draws."""
    return _within(value, 0, 50_000, scale)


def megahertz(value: object, scale: float = 1.0) -> float | None:
    """Returns a clock in MHz."""
    return _within(value, 0, 100_000, scale)


def whole(value: object, limit: int = 1 << 31) -> int | None:
    """Returns an index or a process id: whole, from 0 to below *limit*."""
    found = number(value)
    return int(found) if found is not None and found == int(found) and 0 <= found < limit else None


def words(value: object) -> str:
    """Returns *value* as one line fit to be shown, empty where it is no text or stands for "nothing" (`N/A`, `[Unknown]`)."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(char if char.isprintable() else " " for char in value).split())[:200]
    return (
        "" if text.strip("[]<>()").lower() in {"", "n/a", "not supported", "unknown", "unknown error", "none"} else text
    )


def pci_address(text: str) -> str:
    """Returns the PCI address in *text* as `0000:01:00.0`, whatever width its domain has there; empty: there is none."""
    match = _PCI.search(text)
    return f"{int(match[1], 16):04x}:{match[2]}:{match[3]}.{match[4]}".lower() if match else ""


def from_json(text: str) -> object:
    """Returns what *text* means as JSON, or None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def at(value: object, *path: str) -> object:
    """Returns what stands at *path* in nested JSON objects, or None if the way there does not exist."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
