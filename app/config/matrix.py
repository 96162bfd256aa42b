"""The shape of a matrix: its variables, costs and sets. What the sets' expressions say is the matrix planner's business. PURE.

Rules: compatibility specification 2.10.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.config.tree import nearest
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.config.routing import Names
    from app.config.sections import MatrixFile
    from app.config.tree import Document, Path

_VARIABLE = re.compile(r"[a-zA-Z0-9.-]{1,32}")


def check(document: Document, path: Path, matrix: MatrixFile, names: Names) -> None:
    """Raises ConfigError if the matrix at *path* names what is not there, or has no sets."""
    for variable, target in matrix.vars.items():
        here = (*path, "vars", variable)
        if not _VARIABLE.fullmatch(variable):
            words = f'"{variable}" cannot name a variable'
            raise document.error(here, words, "use 1 to 32 letters, digits, dots and dashes")
        if ModelId(target) not in names.models:
            near = names.aliases.get(target) or nearest(target, names.models)
            remedy = f"write {near}" if near else "name a key of models"
            raise document.error(here, f'"{target}" is not the id of a model', remedy)
    for name, cost in matrix.evict_costs.items():
        here = (*path, "evict_costs", name)
        if name not in matrix.vars and ModelId(name) not in names.models:
            near = nearest(name, (*matrix.vars, *names.models))
            remedy = f"did you mean {near}?" if near else "name a key of vars or of models"
            raise document.error(here, f'"{name}" is neither a variable nor the id of a model', remedy)
        if cost < 1:
            raise document.error(here, f"expected 1 or more, got {cost}", "1 is the default")
    if not matrix.sets:
        raise document.error(path, "a matrix needs sets", "write e.g. sets: {both: a & b}")
    for name, expression in matrix.sets.items():
        if not expression.strip():
            raise document.error((*path, "sets", name), "a set needs an expression", "write e.g. a & (b | c)")
