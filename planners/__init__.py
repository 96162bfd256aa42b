"""Eviction policies: which live models must go before another may start. Pure; nothing of app."""

from __future__ import annotations

from planners.groups import GroupPlanner
from planners.matrix.planner import MatrixPlanner
from planners.protocol import SwapPlanner

PLANNERS: dict[str, type[SwapPlanner]] = {"group": GroupPlanner, "matrix": MatrixPlanner}
"""Value of `routing.router.use` -> planner. The contract test runs over all of them."""
