"""What the page needs for an address, found out beforehand: the modules that import one another would else be asked for one after the other.

A browser learns what a module imports only when it has it; with imports eight deep that is eight journeys to the server, and as many
again for the view. So the page that is sent names them all, and they come at once. What is left out comes later, as without it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

MAIN = "main.js"

_IMPORT = re.compile(rb"""^(?:import|export)\b[^"';]*?["'](\.[^"'\n]+)["'];?""", re.MULTILINE)
"""A static import of a file of ours, over as many lines as it may take. One that only types need stands in a comment."""


def imported(path: str, text: bytes) -> list[str]:
    """Returns which files the module *text* at *path* imports at once, in their order."""
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, found.decode())) for found in _IMPORT.findall(text)]


def needed(bodies: Mapping[str, bytes], roots: list[str]) -> list[str]:
    """Returns all that *roots* need, themselves included, the nearest first. bodies: of all files, by path; others are passed over."""
    found: dict[str, None] = {}
    waiting = [root for root in roots if root in bodies]
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            found[path] = None
            waiting += [each for each in imported(path, bodies[path]) if each in bodies]
    return list(found)


def view_of(path: str) -> tuple[str, str]:
    """Returns the module and the style sheet of the view at *path* below `/ui/`; of some that may not exist.

    The names follow from the address: `shell/pages.js` has the table, and a test compares.
    """
    first, _, rest = path.strip("/").partition("/")
    name = first or "activity"
    module = "model" if name == "models" and rest else name
    return f"views/{name}/{module}.js", f"styles/{name}.css"


def links(bodies: Mapping[str, bytes], path: str, folder: str) -> bytes:
    """Returns the lines for the head of the page at *path*. folder: the URL under which the files are."""
    module, sheet = view_of(path)
    lines = [f'<link rel="modulepreload" href="{folder}/{each}" />' for each in needed(bodies, [MAIN, module])]
    if sheet in bodies:
        # Applied once the view is there; asked for now.
        lines.append(f'<link rel="preload" as="style" href="{folder}/{sheet}" />')
    return "\n    ".join(lines).encode()
