"""`hostler monitor`: what every hardware source finds on this machine, or why it is not there. Needs no server and no configuration.

In a terminal a table that is kept up to date, else lines of text, or with `--json` one object for each sample.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import anyio

from app.telemetry.performance import gpu_stats, host_stats, memory_percent, told_at
from monitors import SOURCES, STANDS_IN_FOR
from monitors.sampler import FIRST_S, GATHER_S, LIMIT_S, Sample, Sampler, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType
    from rich.table import Table

    from monitors.protocol import GpuReading, HostReading, Source

GIB = 1 << 30

SHORTEST_S = 0.5
"""Least seconds between two looks: drivers take some time to answer, and most renew their figures once a second."""


def watch(
    *,
    every_s: float,
    once: bool,
    as_json: bool,
    out: TextIO = sys.stdout,
    sources: Mapping[str, Callable[[], Source]] = SOURCES,
) -> int:
    """Shows the machine on *out*, until Ctrl-C unless *once*; returns the exit code: 1 if nothing at all was found."""
    sampler = Sampler(
        sources,
        stands_in_for=STANDS_IN_FOR,
        every_s=every_s,
        first_s=min(FIRST_S, every_s),
        # One look has to wait for whoever is slow.
        gather_s=LIMIT_S if once else GATHER_S,
    )
    has_found = is_read = True
    log = logging.getLogger("monitors")
    # Which source fails, and why, is on the screen; lines of a log would tear the table.
    log.setLevel(logging.CRITICAL + 1)
    try:
        with _screen(out, as_json=as_json, live=not once) as show:

            def take(sample: Sample) -> None:
                nonlocal has_found
                has_found = sample.host is not None or bool(sample.gpus)
                show(sample, every_s)

            anyio.run(_look_once if once else _follow, sampler, take)
    except* KeyboardInterrupt:
        has_found = True
    except* BrokenPipeError:
        is_read = False
    finally:
        log.setLevel(logging.NOTSET)
    if not is_read:
        # The reader has seen enough, as `head` does. What is left in the buffer must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    return 0 if has_found else 1


async def _follow(sampler: Sampler, take: Callable[[Sample], None]) -> None:
    await sampler.run(take)


async def _look_once(sampler: Sampler, take: Callable[[Sample], None]) -> None:
    async with sampler.opened():
        # So that there is a stretch of time for which the processors' load can be told.
        await anyio.sleep(FIRST_S)
        take(await sampler.turn())


@contextmanager
def _screen(out: TextIO, *, as_json: bool, live: bool) -> Iterator[Callable[[Sample, float], None]]:
    """Gives what shows a sample in the way that fits *out*."""
    if as_json:
        yield lambda sample, every_s: print(
            json.dumps(document(sample, every_s), separators=(",", ":")), file=out, flush=True
        )
    elif not out.isatty():
        yield Lines(out).show
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=out)
        if not live:
            yield lambda sample, _every_s: console.print(picture(sample))
            return
        with Live(console=console, auto_refresh=False, vertical_overflow="visible") as table:
            yield lambda sample, _every_s: table.update(picture(sample), refresh=True)


def document(sample: Sample, every_s: float) -> dict[str, object]:
    """Returns *sample* as `/api/performance` tells it, with the processes on each accelerator."""
    at = told_at(sample)
    return {
        "gpu_stats": [
            {
                **gpu_stats(at, number, gpu),
                "processes": [{"pid": each.pid, "used_mb": each.used_bytes >> 20} for each in gpu.processes],
            }
            for number, gpu in enumerate(sample.gpus)
        ],
        "sys_stats": [] if sample.host is None else [host_stats(at, sample.host)],
        "sources": [source.document() for source in sample.sources],
        "every_s": every_s,
    }


class Lines:
    """Shows samples as lines of text; sources once, and again when they have changed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._sources: Sequence[SourceStatus] = ()

    def show(self, sample: Sample, _every_s: float) -> None:
        """Writes what is new."""
        at = f"{sample.at.astimezone():%H:%M:%S}"
        for source in sample.sources:
            if source not in self._sources:
                print(f"{at} source {source.name}: {_standing(source)}", file=self._out)
        self._sources = sample.sources
        if sample.host is not None:
            print(f"{at} host: {', '.join(f'{name} {text}' for name, text in host_rows(sample.host))}", file=self._out)
        for number, gpu in enumerate(sample.gpus):
            told = ", ".join(f"{name} {text}" for name, text in gpu_cells(gpu) if text)
            print(f"{at} gpu {number} {gpu.name}: {told or 'no figures'}", file=self._out)
        self._out.flush()


def picture(sample: Sample) -> RenderableType:
    """Returns *sample* for a terminal."""
    from rich.console import Group

    tables = [_table(("source", "state"), [(each.name, _standing(each)) for each in sample.sources])]
    if sample.host is not None:
        tables.append(_table(("host", ""), host_rows(sample.host)))
    if sample.gpus:
        names = [name for name, _ in gpu_cells(sample.gpus[0])]
        rows = [
            (str(number), gpu.name, *(text or "-" for _, text in gpu_cells(gpu)))
            for number, gpu in enumerate(sample.gpus)
        ]
        tables.append(_table(("gpu", "name", *names), rows))
    return Group(*tables)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=box.SIMPLE)
    for row in rows:
        # As text: names and reasons come from drivers, and a bracket in them is no style.
        table.add_row(*(Text(cell) for cell in row))
    return table


def host_rows(host: HostReading) -> list[tuple[str, str]]:
    """Returns what is told of the machine: what it is, and how it stands."""
    cores = host.cpu_percent
    rows = []
    if cores:
        mean = sum(cores) / len(cores)
        rows.append(("cpu", f"{mean:.0f} % of {len(cores)} cores (busiest {max(cores):.0f} %)"))
    rows.append(("memory", _of(host.memory_used_bytes, host.memory_total_bytes)))
    if host.swap_total_bytes:
        rows.append(("swap", _of(host.swap_used_bytes, host.swap_total_bytes)))
    if host.load_average is not None:
        rows.append(("load", " ".join(f"{each:.2f}" for each in host.load_average)))
    received = sum(each.bytes_received for each in host.interfaces)
    sent = sum(each.bytes_sent for each in host.interfaces)
    if host.interfaces:
        rows.append(("network", f"{received / GIB:.2f} GiB in and {sent / GIB:.2f} GiB out since the start"))
    rows += [(f"disk {disk.mount}", _of(disk.used_bytes, disk.total_bytes)) for disk in host.disks]
    return rows


def gpu_cells(gpu: GpuReading) -> list[tuple[str, str]]:
    """Returns what is told of an accelerator; '' for what is not known."""
    percent = memory_percent(gpu)
    memory = ""
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
        memory = f"{_of(gpu.memory_used_bytes, gpu.memory_total_bytes)} ({percent:.0f} %)"
    elif gpu.memory_used_bytes is not None:
        memory = f"{gpu.memory_used_bytes / GIB:.1f} GiB"
    power = _figure(gpu.power_w, " W")
    return [
        ("load", _figure(gpu.utilization_percent, " %")),
        ("memory", memory),
        ("temperature", _figure(gpu.temperature_c, " °C")),
        ("power", f"{power} of {gpu.power_limit_w:.0f} W" if power and gpu.power_limit_w is not None else power),
        ("fan", _figure(gpu.fan_percent, " %")),
        ("clock", _figure(gpu.clock_mhz, " MHz")),
        ("processes", str(len(gpu.processes)) if gpu.processes else ""),
    ]


def _standing(source: SourceStatus) -> str:
    return f"{source.state.value}: {source.detail}" if source.detail else source.state.value


def _of(used: int, total: int) -> str:
    return f"{used / GIB:.1f} of {total / GIB:.1f} GiB"


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f}{unit}"
