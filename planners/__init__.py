"""Eviction policies: which live models must go before another may start. Pure; nothing of app."""

from __future__ import annotations

from planners.groups import GroupPlanner

PLANNERS: dict[str, type[GroupPlanner]] = {"group": GroupPlanner}
"""Value of `routing.router.use` -> planner. The contract test runs over all of them."""
