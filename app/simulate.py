"""`hostler simulate`: what a configuration would have made of a trace, on a simulated clock.

The scheduler and the planners are those that serve (`app/scheduler/simulation.py`). What is not simulated is said in the report.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import HostlerError
from app.scheduler.commands import StopCause
from app.scheduler.events import Fairness, Terms
from app.scheduler.simulation import Activity, Outcome, Request, Simulation, Times, simulate
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.config.catalog import Catalog

DEFAULT_LOAD_S = 10.0
DEFAULT_STOP_S = 1.0
LONGEST_S = 1e9
"""Of a request, a load, a stop: what is longer is a mistake."""

LINE = 'a line is {"time": seconds or RFC 3339, "model": name, "seconds": of service}'
SQLITE = b"SQLite format 3\0"

SIGNS = {Activity.STARTING: "+", Activity.BUSY: "#", Activity.IDLE: "-", Activity.STOPPING: "x"}
LEGEND = "+ loading, # serving, - idle, x stopping"
NARROWEST = 20
"""Characters of a timeline, however narrow the terminal is."""


class TraceError(HostlerError):
    """The trace, or an option that speaks of it, is wrong."""


@dataclass(frozen=True, slots=True)
class Given:
    """Seconds for all models, and for some of them others."""

    all_s: float
    some_s: Mapping[str, float]
    """By any name of a model."""

    def of(self, catalog: Catalog) -> dict[ModelId, float]:
        """Returns the seconds of the models of *catalog*."""
        others = {_resolve(catalog, name): seconds for name, seconds in self.some_s.items()}
        return {model: others.get(model, self.all_s) for model in catalog.models}


@dataclass(frozen=True, slots=True)
class Variant:
    """One column of the report."""

    config: str
    catalog: Catalog
    patience_s: float
    told: Simulation

    @property
    def title(self) -> str:
        """What it is called below the table."""
        return f"{self.config}, patience {self.patience_s:g}"


# The trace


def read_trace(path: Path) -> Iterator[Request]:
    """Yields the requests of *path*: lines of JSON, or the database in which Hostler or llama-swap keeps its activity.

    Models are named as the trace names them. Raises TraceError.
    """
    try:
        with path.open("rb") as file:
            if file.peek(len(SQLITE)).startswith(SQLITE):
                yield from _read_activity(path)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _read_line(line, f"{path}:{number}")
    except OSError as exc:
        raise TraceError(f"{path} cannot be read: {exc.strerror}") from None


def _read_line(line: bytes, place: str) -> Request:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise TraceError(f"{place}: this is not JSON; {LINE}") from None
    if not isinstance(fields, dict):
        raise TraceError(f"{place}: this is not a JSON object; {LINE}")
    missing = [name for name in ("time", "model", "seconds") if name not in fields]
    if missing:
        raise TraceError(f"{place}: {' and '.join(missing)} missing; {LINE}")
    model, seconds = fields["model"], _number(fields["seconds"])
    if not isinstance(model, str) or not model:
        raise TraceError(f"{place}: model is {_shown(model)}; it takes the name of a model")
    if seconds is None or not 0 <= seconds <= LONGEST_S:
        raise TraceError(f"{place}: seconds is {_shown(fields['seconds'])}; it takes a number from 0 to {LONGEST_S:g}")
    at_s = _time(fields["time"])
    if at_s is None:
        raise TraceError(
            f"{place}: time is {_shown(fields['time'])}; it takes seconds, or a time with its zone as 2026-01-31T12:00:00Z"
        )
    return Request(at_s, ModelId(model), seconds)


def _number(value: object) -> float | None:
    """Returns *value* if it is a number that can be reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    return float(value)


def _time(value: object) -> float | None:
    if not isinstance(value, str):
        return _number(value)
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _read_activity(path: Path) -> Iterator[Request]:
    """Yields the requests of a database. A row says when its request ended, and how long after its arrival.

    Where it says, too, how long the request had waited, this is not counted as service. llama-swap's rows do not.
    Source: compatibility specification 6.5.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(activity)")}
            if not columns >= {"ts_created", "model_id", "duration_ms"}:
                raise TraceError(f"{path}: this database has no activity; it is neither Hostler's nor llama-swap's")
            fraction = "ts_fraction" if "ts_fraction" in columns else "0"
            queued = "max(queued_ms, 0)" if "queued_ms" in columns else "0"
            rows = connection.execute(
                f"SELECT id, ts_created + {fraction}, model_id, duration_ms / 1000.0, {queued} / 1000.0 FROM activity"  # noqa: S608 - our own words
                " ORDER BY id"
            )
            for number, ended_at, model, duration, waited in rows:
                end_s, duration_s, waited_s = _number(ended_at), _number(duration), _number(waited)
                if end_s is None or duration_s is None or waited_s is None or not isinstance(model, str):
                    raise TraceError(f"{path}: row {number} of activity has no time, duration or model")
                duration_s = max(duration_s, 0.0)
                yield Request(end_s - duration_s, ModelId(model), max(duration_s - waited_s, 0.0))
    except sqlite3.Error as exc:
        raise TraceError(f"{path} cannot be read: {exc}") from None


# The options


def parse_seconds(option: str, given: Sequence[str], default_s: float) -> Given:
    """Returns what was typed as `SECONDS` and `MODEL=SECONDS`; of two for the same the last. Raises TraceError."""
    all_s, some_s = default_s, {}
    for text in given:
        model, _, number = text.rpartition("=")
        seconds = _parse_number(number)
        if seconds is None or not seconds <= LONGEST_S:
            raise TraceError(f"{option} {text}: expected SECONDS or MODEL=SECONDS, from 0 to {LONGEST_S:g}")
        if model:
            some_s[model] = seconds
        else:
            all_s = seconds
    return Given(all_s, some_s)


def parse_patience(text: str) -> float:
    """Returns seconds; `inf` and YAML's `.inf` are for ever. Raises TraceError."""
    seconds = math.inf if text == ".inf" else _parse_number(text)
    if seconds is None:
        raise TraceError(f"--patience {text}: expected seconds, 0 or more, or inf")
    return seconds


def _parse_number(text: str) -> float | None:
    """Returns a number that is 0 or more."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number >= 0 else None


def _resolve(catalog: Catalog, name: str) -> ModelId:
    """Returns the model that is called *name*; the name itself, if there is none: the scheduler refuses it."""
    return catalog.aliases.get(name, ModelId(name))


# The report


def report(
    trace: Path,
    configs: Mapping[str, Catalog],
    patiences: Sequence[float] = (),
    load: Given = Given(DEFAULT_LOAD_S, {}),
    stop: Given = Given(DEFAULT_STOP_S, {}),
) -> str:
    """Returns what becomes of *trace* with each of *configs*, by their names, side by side. Raises TraceError.

    patiences: tried instead of the patience of each configuration.
    """
    for option, given in (("--load", load), ("--stop", stop)):
        for name in given.some_s:
            if not any(_resolve(catalog, name) in catalog.models for catalog in configs.values()):
                raise TraceError(f"{option} {name}=…: there is no model {name} in {' or '.join(configs)}")
    requests = list(read_trace(trace))
    if not requests:
        raise TraceError(f"{trace}: there is no request in it; {LINE}")
    # So that sums of small and large numbers lose nothing: a clock that begins with the trace.
    zero = min(request.at_s for request in requests)
    variants = [
        Variant(name, catalog, patience_s, _play(requests, zero, catalog, patience_s, load, stop))
        for name, catalog in configs.items()
        for patience_s in patiences or [catalog.patience_s]
    ]
    return "\n".join([*_heading(trace, variants[0].told, load, stop), "", *_table(variants), "", *_timelines(variants)])


def _play(
    requests: Sequence[Request], zero: float, catalog: Catalog, patience_s: float, load: Given, stop: Given
) -> Simulation:
    terms = {model: Terms(ttl_s=its.ttl_s, priority=its.priority) for model, its in catalog.models.items()}
    fairness = Fairness(patience_s, catalog.min_residency_s, catalog.max_queued)
    trace = [Request(each.at_s - zero, _resolve(catalog, each.model), each.service_s) for each in requests]
    times = Times(load.of(catalog).__getitem__, stop.of(catalog).__getitem__)
    return simulate(trace, terms, catalog.planner, fairness, times)


def _heading(trace: Path, told: Simulation, load: Given, stop: Given) -> Iterator[str]:
    requests = [outcome.request for outcome in told.outcomes]
    models = len({request.model for request in requests})
    within_s = requests[-1].at_s - requests[0].at_s
    yield f"{trace}: {len(requests)} requests for {models} models, which arrive within {within_s:.1f} s"
    for what, given in (("load", load), ("stop", stop)):
        others = "".join(f", of {model} {seconds:g} s" for model, seconds in given.some_s.items())
        yield f"a {what} takes {given.all_s:g} s{others} (--{what})"
    yield "not simulated: concurrencyLimit, profiles and selectors, failures; clients that give up, or come again when refused"


def _table(variants: Sequence[Variant]) -> Iterator[str]:
    """Yields the figures, a column for each variant."""
    rows: list[tuple[str, list[str]]] = []

    def add(title: str, cells: Iterable[object]) -> None:
        rows.append((title, [str(cell) for cell in cells]))

    told = [variant.told for variant in variants]
    add("", (variant.config for variant in variants))
    add("", (f"patience {variant.patience_s:g}" for variant in variants))
    add("swaps (loads)", (each.loads for each in told))
    add("evictions", (each.stops[StopCause.EVICTED] for each in told))
    add("idle for its ttl", (each.stops[StopCause.IDLE] for each in told))
    add("makespan, s", (f"{each.makespan_s:.1f}" for each in told))
    add("served", (sum(outcome.wait_s is not None for outcome in each.outcomes) for each in told))
    add("refused", (sum(outcome.refusal is not None for outcome in each.outcomes) for each in told))
    add("wait, s", ("mean / p95 / max" for _ in told))
    add("  all models", (_waits(each.outcomes) for each in told))
    for model in sorted({outcome.request.model for each in told for outcome in each.outcomes}):
        of_model = [[outcome for outcome in each.outcomes if outcome.request.model == model] for each in told]
        add(f"  {model}", map(_waits, of_model))

    margin = max(len(title) for title, _ in rows)
    widths = [max(len(cells[column]) for _, cells in rows) for column in range(len(variants))]
    for title, cells in rows:
        yield f"{title:{margin}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    for variant in variants:
        refused = Counter(
            (outcome.request.model, outcome.refusal) for outcome in variant.told.outcomes if outcome.refusal is not None
        )
        for (model, refusal), count in refused.items():
            yield f"{variant.title}: {count} requests for {model} refused: {refusal.value}"


def _waits(outcomes: Iterable[Outcome]) -> str:
    waits = sorted(outcome.wait_s for outcome in outcomes if outcome.wait_s is not None)
    if not waits:
        return "-"
    p95 = waits[math.ceil(0.95 * len(waits)) - 1]
    return f"{math.fsum(waits) / len(waits):.1f} / {p95:.1f} / {waits[-1]:.1f}"


def _timelines(variants: Sequence[Variant]) -> Iterator[str]:
    """Yields a row for each model that ran; each variant has its own scale."""
    margin = max((len(model) for variant in variants for model in variant.told.spans), default=0)
    width = max(shutil.get_terminal_size().columns - margin - 3, NARROWEST)
    yield f"what each model did most, when it ran: {LEGEND}"
    for variant in variants:
        step_s = variant.told.makespan_s / width
        yield ""
        yield f"{variant.title}; a character is {step_s:.3g} s"
        for model in sorted(variant.told.spans):
            yield f"{model:{margin}} |{_row(variant.told, model, step_s, width)}|"


def _row(told: Simulation, model: ModelId, step_s: float, width: int) -> str:
    cells: list[dict[str, float]] = [{} for _ in range(width)]
    """How much of its time each sign has."""
    for span in told.spans[model]:
        since, until = ((at - told.began_at) / step_s for at in (span.since, span.until))
        for index in range(int(since), min(math.ceil(until), width)):
            share = min(until, index + 1) - max(since, index)
            sign = SIGNS[span.activity]
            cells[index][sign] = cells[index].get(sign, 0.0) + share
    return "".join(max(cell, key=cell.__getitem__) if cell else " " for cell in cells)
