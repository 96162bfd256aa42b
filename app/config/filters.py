"""The `filters` of models and peers: which parameters of requests are taken out and which are set. PURE.

Rules: compatibility specification 2.14. Parameters are JSON paths, as in `chat_template_kwargs.enable_thinking`; a backslash
takes the meaning from the character behind it. What the reference answers with a 500 for every request, wildcards, is
refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from app.config.catalog import Filters, JsonValue

if TYPE_CHECKING:
    from app.config.sections import FiltersFile
    from app.config.tree import Document, Path

_SPECIAL = re.compile(r"(?<!\\)(?:\\\\)*([*?|#])")


def filters(document: Document, path: Path, written: FiltersFile) -> Filters:
    """Returns the filters that stand at *path*. Raises ConfigError for a parameter that is not a plain path."""
    key, text = "stripParams", written.strip_params
    if not text.strip():
        key, text = "strip_params", written.strip_params_old
    stripped = sorted({name.strip() for name in text.split(",")} - {"", "model"})
    for name in stripped:
        _check(document, (*path, key), name)
    by_id = {
        requested: _assignments(document, (*path, "setParamsByID", requested), params)
        for requested, params in written.set_params_by_id.items()
    }
    return Filters(
        strip_params=tuple(stripped),
        set_params=_assignments(document, (*path, "setParams"), written.set_params),
        set_params_by_id=MappingProxyType(by_id),
    )


def _assignments(document: Document, path: Path, params: Mapping[str, object]) -> tuple[tuple[str, JsonValue], ...]:
    for name in params:
        _check(document, (*path, name), name)
    # What `Free` has read is made of what JSON has.
    return tuple((name, cast(JsonValue, params[name])) for name in sorted(params) if name != "model")


def _check(document: Document, path: Path, name: str) -> None:
    if not name.strip():
        raise document.error(path, "a parameter needs a name", 'write a name instead of ""')
    if found := _SPECIAL.search(name):
        raise document.error(
            path,
            f'"{name}" is not the path of one parameter: "{found[1]}" stands for many',
            f"name each parameter, or write \\{found[1]} if the character is part of the name",
        )
