"""The monitor of the machine: what its sampler sees, kept for an hour, as `/api/performance`, events and `/metrics` tell it.

A sample is made into JSON once, when it comes: an hour of them is then joined, not worked out, for everybody who asks.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from app.config.catalog import Monitoring
from monitors.protocol import GpuReading, HostReading, Interface
from monitors.ring import Ring, capacity
from monitors.sampler import Sample, Sampler, TreeMemory, without_processes

if TYPE_CHECKING:
    from app.telemetry.bus import Bus

logger = logging.getLogger(__name__)

TOPIC = "performance"

MIB = 1 << 20

REVIVAL_S = 60.0
"""Seconds until the monitor, which has failed as a whole, is begun anew."""


@dataclass(frozen=True, slots=True)
class Frames:
    """One sample as JSON: elements of lists, joined by commas; b'' where there are none."""

    sys: bytes
    gpus: bytes
    models: bytes


class Performance:
    """The monitor; `run` is its life."""

    def __init__(self, settings: Monitoring, make: Callable[[float], Sampler], bus: Bus | None = None) -> None:
        """Prepares. make: returns a sampler that looks every so many seconds."""
        self._settings = settings
        self._make = make
        self._bus = bus
        self._sampler: Sampler | None = None
        self._switched = anyio.Event()
        self._ring = Ring[Frames](capacity(settings.every_s))
        self._latest: Sample | None = None

    @property
    def is_on(self) -> bool:
        """Whether the machine is being looked at."""
        return self._settings.is_on

    @property
    def latest(self) -> Sample | None:
        """The newest sample, if there is one; for any thread."""
        return self._latest

    def memory_of(self, name: str, pid: int) -> dict[str, object] | None:
        """Returns what the tree of this process used when it was seen last; None: it has not been seen yet."""
        sample = self._latest
        tree = sample and next((each for each in sample.trees if (each.name, each.pid) == (name, pid)), None)
        if not sample or not tree:
            return None
        names = {gpu.uuid: gpu.name for gpu in sample.gpus}
        gpus = [{"uuid": uuid, "name": names.get(uuid, ""), "used_mb": used // MIB} for uuid, used in tree.gpus.items()]
        return {"at": told_at(sample), "ram_mb": tree.resident_bytes // MIB, "gpus": gpus}

    def reconfigure(self, settings: Monitoring) -> None:
        """Takes over new settings. What has been seen stays, unless it is switched off."""
        before, self._settings = self._settings, settings
        if before.every_s != settings.every_s:
            self._ring.resize(capacity(settings.every_s))
            if self._sampler is not None:
                self._sampler.retime(settings.every_s)
        if before.is_on != settings.is_on:
            self._forget()
            self._switched.set()

    async def run(self) -> None:
        """Looks, while it is on, until cancelled. A failure of the monitor is nobody else's."""
        while True:
            self._switched = anyio.Event()
            if not self.is_on:
                await self._switched.wait()
                continue
            async with anyio.create_task_group() as group:
                group.start_soon(self._sample, name="sampler")
                await self._switched.wait()
                group.cancel_scope.cancel()
            self._forget()

    def document(self, after: datetime | None = None) -> bytes:
        """Returns the answer of `/api/performance`: what is later than *after*; from any thread.

        Source: compatibility specification 7.3, 7.4.
        """
        return self._document(list(self._ring.after(after)))

    def _document(self, frames: Sequence[Frames]) -> bytes:
        sampler = self._sampler
        gpus = b",".join(each.gpus for each in frames if each.gpus)
        sys = b",".join(each.sys for each in frames if each.sys)
        models = b",".join(each.models for each in frames if each.models)
        # null says that there has been nothing, [] that there is nothing new.
        had_gpus = bool(gpus) or any(each.gpus for each in self._ring.after(None))
        had_sys = bool(sys) or any(each.sys for each in self._ring.after(None))
        return b'{"enabled":true,"gpu_stats":%s,"sys_stats":%s,"models":[%s],"sources":%s,"every_s":%s}' % (
            b"[%s]" % gpus if had_gpus else b"null",
            b"[%s]" % sys if had_sys else b"null",
            models,
            _json([] if sampler is None else [each.document() for each in sampler.status]),
            _json(self._settings.every_s),
        )

    async def _sample(self) -> None:
        while True:
            self._sampler = self._make(self._settings.every_s)
            try:
                await self._sampler.run(self._take)
            except Exception:
                logger.exception("the hardware monitor failed; it is begun anew in %g s", REVIVAL_S)
                self._latest = None
            finally:
                self._sampler = None
            await anyio.sleep(REVIVAL_S)

    def _take(self, sample: Sample) -> None:
        frames = frames_of(sample)
        self._latest = without_processes(sample)
        self._ring.add(sample.at, frames)
        if self._bus is not None and self._bus.is_read(TOPIC):
            # Who is slow gets the newest; the history is a request away.
            self._bus.publish(TOPIC, json.loads(self._document([frames])), key="")

    def _forget(self) -> None:
        self._ring.clear()
        self._latest = None


def frames_of(sample: Sample) -> Frames:
    """Returns *sample* as it is told. Fields and their order: compatibility specification 7.3; ours come after them."""
    at = told_at(sample)
    return Frames(
        b"" if sample.host is None else _json(host_stats(at, sample.host)),
        b",".join(_json(gpu_stats(at, number, gpu)) for number, gpu in enumerate(sample.gpus)),
        b",".join(_json(model_stats(at, tree)) for tree in sample.trees),
    )


def told_at(sample: Sample) -> str:
    """Returns the moment of *sample* as it is told."""
    return sample.at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def host_stats(at: str, host: HostReading) -> dict[str, object]:
    """Returns one element of `sys_stats`."""
    load = host.load_average or (0.0, 0.0, 0.0)
    return {
        "timestamp": at,
        "cpu_util_per_core": [round(each, 2) for each in host.cpu_percent],
        "mem_total_mb": host.memory_total_bytes // MIB,
        "mem_used_mb": host.memory_used_bytes // MIB,
        "mem_free_mb": host.memory_free_bytes // MIB,
        "swap_total_mb": host.swap_total_bytes // MIB,
        "swap_used_mb": host.swap_used_bytes // MIB,
        "load_avg_1": round(load[0], 2),
        "load_avg_5": round(load[1], 2),
        "load_avg_15": round(load[2], 2),
        "net_io": [traffic(each) for each in host.interfaces],
        "disks": [
            {"mount": each.mount, "total_mb": each.total_bytes // MIB, "used_mb": each.used_bytes // MIB}
            for each in host.disks
        ],
        "disk_read_bytes": host.disk_read_bytes,
        "disk_written_bytes": host.disk_written_bytes,
    }


def traffic(interface: Interface) -> dict[str, object]:
    """Returns one element of `net_io`."""
    return {
        "name": interface.name,
        "bytes_recv": interface.bytes_received,
        "bytes_sent": interface.bytes_sent,
    }


def gpu_stats(at: str, number: int, gpu: GpuReading) -> dict[str, object]:
    """Returns one element of `gpu_stats`. What is not known is 0, as existing clients know it, and named in `unknown`."""
    figures = {
        "temp_c": _whole(gpu.temperature_c),
        "vram_temp_c": _whole(gpu.memory_temperature_c),
        "gpu_util_pct": _rounded(gpu.utilization_percent),
        "mem_util_pct": _rounded(memory_percent(gpu)),
        "mem_used_mb": _mib(gpu.memory_used_bytes),
        "mem_total_mb": _mib(gpu.memory_total_bytes),
        "fan_speed_pct": _rounded(gpu.fan_percent),
        "power_draw_w": _rounded(gpu.power_w),
    }
    return {
        "timestamp": at,
        "id": number,
        "name": gpu.name,
        "uuid": gpu.uuid,
        **{name: value or 0 for name, value in figures.items()},
        "unknown": [name for name, value in figures.items() if value is None],
        "vendor": gpu.vendor,
        "pci": gpu.pci,
        "unified": gpu.is_unified,
        "power_limit_w": _rounded(gpu.power_limit_w),
        "clock_mhz": _whole(gpu.clock_mhz),
        "mem_clock_mhz": _whole(gpu.memory_clock_mhz),
    }


def model_stats(at: str, tree: TreeMemory) -> dict[str, object]:
    """Returns one element of `models`."""
    return {
        "timestamp": at,
        "model": tree.name,
        "pid": tree.pid,
        "ram_mb": tree.resident_bytes // MIB,
        "gpus": [{"uuid": uuid, "used_mb": used // MIB} for uuid, used in tree.gpus.items()],
    }


def memory_percent(gpu: GpuReading) -> float | None:
    """Returns how full a GPU's memory is; None: not known."""
    if not gpu.memory_total_bytes or gpu.memory_used_bytes is None:
        return None
    return 100.0 * gpu.memory_used_bytes / gpu.memory_total_bytes


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="backslashreplace")


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _mib(value: int | None) -> int | None:
    return None if value is None else value // MIB
