"""Small files of the kernel's: read within bounds, and taken apart. What cannot be read is empty."""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 8 << 20
"""Bytes read of one file: `/proc/cpuinfo` has some 1500 for each of up to thousands of threads."""


def read(path: Path) -> str:
    """Returns the text of a file; "" if there is none, or it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def first_line(path: Path) -> str:
    """Returns the first line of a file, without what surrounds it."""
    return read(path).strip().partition("\n")[0].strip()


def integers(text: str) -> dict[str, int]:
    """Returns the lines that are a name and a decimal number; of names that come again, the first."""
    found: dict[str, int] = {}
    for match in re.finditer(r"^[ \t]*(\w+):?[ \t]+([0-9]{1,20})(?:[ \t]+kB)?[ \t]*$", text, re.MULTILINE | re.ASCII):
        found.setdefault(match[1], int(match[2]))
    return found
