"""Makes one picture of what several sources say; and tells a reading from nonsense.

The rule: sources are given in the order of `SOURCES`. Readings of two sources are of one device if they have the same UUID, or the same
PCI address. Of such a device each figure is the first source's that has it. A source that tells of several devices at one address (one
card cut into instances) is right about them; what a later source says of that address as a whole fits none of them and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from monitors.protocol import GpuReading, HostReading, Reading

_T = TypeVar("_T", HostReading, GpuReading)

GPU_FIELDS = tuple(field.name for field in fields(GpuReading))

HOST_FIELDS = tuple(field.name for field in fields(HostReading))

NUMBERS = {name for name, kind in GpuReading.__annotations__.items() if kind in {"int", "int | None", "float | None"}}
"""Figures of a GPU."""

TEMPERATURES = {"temperature_c", "memory_temperature_c"}
"""Those that may be below zero."""


def merged_host(readings: Iterable[Reading]) -> HostReading | None:
    """Returns the host as all *readings* together tell of it; None if the main things are in none of them."""
    host: HostReading | None = None
    for reading in readings:
        if reading.host is not None:
            host = reading.host if host is None else _filled(host, reading.host, HOST_FIELDS)
    return host if host is not None and host.memory_total_bytes else None


def merged_gpus(readings: Iterable[Reading]) -> tuple[GpuReading, ...]:
    """Returns every device once, in the order in which they are first told of."""
    found: list[GpuReading] = []
    for reading in readings:
        known = len(found)
        for gpu in reading.gpus:
            # Only among those of earlier sources: two readings of one source are of two devices.
            places = _places(gpu, found[:known])
            if not places:
                found.append(gpu)
            elif len(places) == 1:
                found[places[0]] = _filled(found[places[0]], gpu, GPU_FIELDS)
    return tuple(found)


def objection(reading: object) -> str | None:
    """Says why *reading* is nonsense; None if it is not. Sources are checked, for one wrong number spoils a whole answer."""
    if not isinstance(reading, Reading):
        return f"it gave {type(reading).__name__} instead of a reading"
    if reading.host is not None:
        if not isinstance(reading.host, HostReading):
            return f"it gave {type(reading.host).__name__} for the host"
        if not all(_is_figure(value) for value in reading.host.cpu_percent):
            return "a load of a processor that is no number"
    for gpu in reading.gpus:
        if not isinstance(gpu, GpuReading):
            return f"it gave {type(gpu).__name__} for a GPU"
        if not gpu.uuid:
            return "a GPU without a name to tell it by"
        for name in NUMBERS:
            value = getattr(gpu, name)
            if value is not None and not (_is_figure(value) and (value >= 0 or name in TEMPERATURES)):
                return f"{name} of {gpu.uuid} is {value!r}"
    return None


def attributed(gpus: Sequence[GpuReading], pids: Mapping[int, str]) -> Mapping[str, Mapping[str, int]]:
    """Returns how much memory of which GPU belongs to whom: name -> UUID -> bytes. pids: whose a process is."""
    found: dict[str, dict[str, int]] = {}
    for gpu in gpus:
        for process in gpu.processes:
            owner = pids.get(process.pid)
            if owner is not None:
                of_owner = found.setdefault(owner, {})
                of_owner[gpu.uuid] = of_owner.get(gpu.uuid, 0) + process.used_bytes
    return found


def _places(gpu: GpuReading, found: Sequence[GpuReading]) -> list[int]:
    same = [place for place, other in enumerate(found) if other.uuid == gpu.uuid]
    return same or [place for place, other in enumerate(found) if gpu.pci and other.pci == gpu.pci]


def _filled(first: _T, then: _T, names: Iterable[str]) -> _T:
    """Returns *first*, with what it does not say as *then* says it."""
    missing = {
        name: value
        for name in names
        if _is_unsaid(getattr(first, name)) and not _is_unsaid(value := getattr(then, name))
    }
    return replace(first, **missing) if missing else first


def _is_unsaid(value: object) -> bool:
    return value is None or value is False or value in ("", ())


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
