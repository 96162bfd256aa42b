"""Whether the activity store's file can be written. The one look at the machine that validating a configuration takes."""

from __future__ import annotations

import os
from pathlib import Path


def objection(path: str) -> str:
    """Returns why no database can be kept at *path*, or nothing."""
    if not path.strip():
        return "store needs a path"
    if "\0" in path:
        return "the path holds a NUL character"
    try:
        if Path(path).is_dir():
            return f'"{path}" is a directory'
        if Path(path).exists():
            return "" if os.access(path, os.W_OK) else f'"{path}" may not be written by this user'
        folder = Path(path).parent
        if not folder.is_dir():
            return f'"{folder}" is not a directory that is there'
        return "" if os.access(folder, os.W_OK | os.X_OK) else f'"{folder}" may not be written by this user'
    except OSError as exc:
        return f"{path!r} cannot be used: {exc}"
