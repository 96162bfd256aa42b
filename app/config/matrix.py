"""From a matrix in the file to its planner: variables, costs and sets, checked. The expressions are the planner's business. PURE.

Rules: compatibility specification 2.10.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.config.tree import nearest
from planners.matrix.dsl import ExpressionError
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.config.routing import Names
    from app.config.sections import MatrixFile
    from app.config.tree import Document, Path
    from app.errors import ConfigError

_VARIABLE = re.compile(r"[a-zA-Z0-9.-]{1,32}")


def planner(document: Document, path: Path, matrix: MatrixFile, names: Names) -> MatrixPlanner:
    """Returns the planner of the matrix at *path*.

    Raises ConfigError if it names what is not there, has no sets, or one that cannot be understood.
    """
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
    variables = {variable: ModelId(target) for variable, target in matrix.vars.items()}
    try:
        return MatrixPlanner(variables, matrix.evict_costs, matrix.sets, names.models)
    except ExpressionError as error:
        raise _told(document, (*path, "sets", error.in_set), error, names) from error


def _told(document: Document, path: Path, error: ExpressionError, names: Names) -> ConfigError:
    meant = names.aliases.get(error.unknown)
    if meant in error.choices:
        return document.error(path, str(error), f"an alias will not do: write {meant}, or a variable for it")
    near = nearest(error.unknown, error.choices) if error.unknown else None
    return document.error(path, str(error), f"did you mean {near}?" if near else error.remedy)
