"""Any vendor's cards on Windows, by the performance counters that the Task Manager shows, too.

Instances are named `pid_4711_luid_0x00000000_0x0000E1F2_phys_0_eng_3_engtype_3D`: the adapter is its LUID, which changes with each
start of the machine. Who the adapter is, and how much memory it has, DXGI says. The reader is `windows_pdh`.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from monitors import figures
from monitors.protocol import GpuReading, ProcessMemory, Reading, Unavailable

UTILIZATION = r"\GPU Engine(*)\Utilization Percentage"
DEDICATED = r"\GPU Adapter Memory(*)\Dedicated Usage"
SHARED = r"\GPU Adapter Memory(*)\Shared Usage"
PROCESS_DEDICATED = r"\GPU Process Memory(*)\Dedicated Usage"
PROCESS_SHARED = r"\GPU Process Memory(*)\Shared Usage"
COUNTERS = (UTILIZATION, DEDICATED, SHARED, PROCESS_DEDICATED, PROCESS_SHARED)

Counters = Mapping[str, Iterable[tuple[str, float]]]
"""Counter -> what each instance of it stands at."""

VENDORS = {0x10DE: "nvidia", 0x1002: "amd", 0x1022: "amd", 0x8086: "intel"}

OWN_MEMORY_BYTES = 1 << 30
"""An adapter with less of its own is a processor's graphics, and lives on the host's memory."""

_INSTANCE = re.compile(
    r"(?:pid_(?P<pid>\d{1,10})_)?luid_(?P<luid>0x[0-9a-f]{8}_0x[0-9a-f]{8})_phys_\d+(?:_eng_(?P<engine>\d+))?(?:_|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What DXGI knows of an adapter."""

    name: str
    vendor_id: int = 0
    device_id: int = 0
    dedicated_bytes: int = 0
    shared_bytes: int = 0


Adapters = Mapping[str, Adapter]
"""LUID, as in the names of instances, in lower case -> who that is. Adapters made of software are not among them."""


def parse(counters: Counters, adapters: Adapters) -> tuple[GpuReading, ...]:
    """Returns the adapters that *counters* tell of: all of them if DXGI knows none, else those it knows."""
    engines: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for luid, _, engine, value in _instances(counters.get(UTILIZATION, ())):
        # Each process has an instance for each engine.
        engines[luid][engine] += figures.percent(value) or 0.0
    own, borrowed = _per_adapter(counters.get(DEDICATED, ())), _per_adapter(counters.get(SHARED, ()))
    seen = sorted({*engines, *own, *borrowed})
    found: list[GpuReading] = []
    twins: dict[tuple[int, int], int] = defaultdict(int)
    for luid in [luid for luid in seen if luid in adapters] if adapters else seen:
        adapter = adapters.get(luid, Adapter(f"GPU {len(found)}", dedicated_bytes=OWN_MEMORY_BYTES))
        is_unified = adapter.dedicated_bytes < OWN_MEMORY_BYTES
        total = adapter.dedicated_bytes + (adapter.shared_bytes if is_unified else 0) if luid in adapters else None
        kind = (adapter.vendor_id, adapter.device_id)
        used = figures.byte_count(own.get(luid, 0) + (borrowed.get(luid, 0) if is_unified else 0))
        found.append(
            GpuReading(
                uuid=f"{kind[0]:04x}:{kind[1]:04x}:{twins[kind]}" if any(kind) else f"luid-{luid}",
                name=figures.words(adapter.name) or f"GPU {len(found)}",
                index=len(found),
                vendor=VENDORS.get(adapter.vendor_id, ""),
                # The busiest engine, as the Task Manager has it: copying beside computing is no 200 %.
                utilization_percent=min(max(engines[luid].values()), 100.0) if luid in engines else None,
                memory_total_bytes=figures.byte_count(total),
                memory_used_bytes=used if luid in own or luid in borrowed else None,
                is_unified=is_unified,
                processes=_processes(counters, luid, is_unified=is_unified),
            )
        )
        twins[kind] += 1
    return tuple(found)


def _instances(values: Iterable[tuple[str, float]]) -> Iterable[tuple[str, int, str, float]]:
    """Yields the LUID, process, engine and value of each instance whose name can be understood."""
    for name, value in values:
        match = _INSTANCE.match(name)
        if match is not None and figures.number(value) is not None:
            yield match["luid"].lower(), int(match["pid"] or 0), match["engine"] or "", value


def _per_adapter(values: Iterable[tuple[str, float]]) -> dict[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for luid, _, _, value in _instances(values):
        sums[luid] += figures.byte_count(value) or 0
    return dict(sums)


def _processes(counters: Counters, adapter: str, *, is_unified: bool) -> tuple[ProcessMemory, ...]:
    used: dict[int, int] = defaultdict(int)
    for counter in (PROCESS_DEDICATED, PROCESS_SHARED) if is_unified else (PROCESS_DEDICATED,):
        for luid, pid, _, value in _instances(counters.get(counter, ())):
            if luid == adapter and pid:
                used[pid] += figures.byte_count(value) or 0
    return tuple(ProcessMemory(pid, used[pid]) for pid in sorted(used) if used[pid])


class Query(Protocol):
    """The counters as they can be read; `windows_pdh.PdhQuery` on a real machine."""

    def read(self) -> Counters:
        """Returns what the counters stand at. Raises OSError."""

    def adapters(self) -> Adapters:
        """Returns who the adapters are."""

    def close(self) -> None:
        """Lets go of the counters."""


def _query() -> Query:
    if sys.platform == "win32":  # pragma: win32
        from monitors.windows_pdh import PdhQuery

        return PdhQuery(COUNTERS)
    raise Unavailable("these counters are on Windows only")


class WindowsCounters:
    """The performance counters, as a source."""

    name = "pdh"

    def __init__(self, query: Callable[[], Query] = _query) -> None:
        self._open_query = query
        self._query: Query | None = None
        self._adapters: Adapters = {}

    def open(self) -> None:
        """Opens the counters. Raises Unavailable where there are none of a GPU."""
        try:
            self._query = self._open_query()
            self._adapters = self._query.adapters()
            gpus = self.sample().gpus
        except OSError as error:
            raise Unavailable(f"no GPU counters: {error}") from error
        if not gpus:
            raise Unavailable("the counters tell of no GPU")

    def sample(self) -> Reading:
        """Reads them. Utilization is since the last sample, so that the first has none."""
        if self._query is None:
            raise Unavailable("not open")
        return Reading(gpus=parse(self._query.read(), self._adapters))

    def close(self) -> None:
        """Lets go of the counters."""
        query, self._query = self._query, None
        if query is not None:
            query.close()
