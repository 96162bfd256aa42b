"""The matrix planner: expressions say which models may run together."""
