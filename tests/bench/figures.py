"""From the measured rounds to one table: medians, what is added over direct, and the budgets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Result = Mapping[str, float]
"""What the load generator printed for one cell."""
Cell = tuple[str, int]
"""Kind of work and number of connections."""


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over all cells and all targets."""

    results: Mapping[Cell, Mapping[str, Result]]
    """By cell, then by name of the target."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over all rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    label: str
    cell: Cell
    key: str
    over_direct: bool = False
    """Whether it is what the target adds to the direct figure of the same round."""


BUDGETS: Mapping[tuple[Cell, str, bool], tuple[str, float, str]] = {
    (("small", 32), "cpu_us", False): ("CPU per small request", 60, "µs"),
    (("stream", 32), "cpu_us", False): ("CPU per 200-event stream", 200, "µs"),
    (("small", 1), "p50_ms", True): ("added p50 of a small request", 0.25, "ms"),
}
"""What Hostler may cost with everything switched on: words, limit, unit."""


def figures(cells: Sequence[Cell]) -> list[Figure]:
    """Returns the lines of the table for what was measured."""
    lines = []
    for cell in cells:
        kind, connections = cell
        label = f"{kind}, {connections} conn."
        lines.append(Figure(f"{label}: CPU µs each", cell, "cpu_us"))
        if (
            kind != "paced"
        ):  # its rate and latency are the upstream's pace, and it is too few streams for a coarse clock
            lines.append(Figure(f"{label}: CPU µs, user", cell, "cpu_user_us"))
            lines.append(Figure(f"{label}: per second", cell, "per_second"))
            lines.append(Figure(f"{label}: p50 ms", cell, "p50_ms"))
            lines.append(Figure(f"{label}: p99 ms", cell, "p99_ms"))
        if connections == 1:
            lines.append(Figure(f"{label}: p50 ms added", cell, "p50_ms", over_direct=True))
    return lines


def spread(rounds: Sequence[Round], figure: Figure, target: str) -> Spread | None:
    """Returns *figure* of *target*, None if that cannot be told."""
    values = []
    for each in rounds:
        results = each.results[figure.cell]
        value = results[target].get(figure.key)
        if value is None:
            return None
        if figure.over_direct:
            if target == "direct" or "direct" not in results:
                return None
            value -= results["direct"][figure.key]
        values.append(value)
    return Spread(statistics.median(values), min(values), max(values))


def table(rounds: Sequence[Round], cells: Sequence[Cell], targets: Sequence[str]) -> str:
    """Returns the table: a line per figure, a column per target, each as "median (lowest-highest)"."""
    rows = [["", *targets]]
    for figure in figures(cells):
        spreads = [spread(rounds, figure, target) for target in targets]
        if any(spreads):
            rows.append([figure.label, *("-" if each is None else str(each) for each in spreads)])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lays *rows* out in columns; the first is aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def verdicts(rounds: Sequence[Round], cells: Sequence[Cell], target: str) -> list[str]:
    """Returns a line per budget that can be compared with *target*'s figures."""
    lines = []
    for figure in figures(cells):
        budget = BUDGETS.get((figure.cell, figure.key, figure.over_direct))
        measured = spread(rounds, figure, target)
        if budget is not None and measured is not None:
            words, limit, unit = budget
            lines.append(verdict(words, measured, limit, unit))
    return lines


def verdict(words: str, measured: Spread, limit: float, unit: str) -> str:
    says = "within" if measured.median <= limit else "over"
    return f"{words}: {_short(measured.median)} {unit}, budget {limit:g} {unit}: {says}"


def _short(value: float) -> str:
    """Three figures, whole above a hundred."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
