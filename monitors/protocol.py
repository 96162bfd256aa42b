"""What a source of hardware figures is: the contract between the sampler and whoever reads a machine.

Every source is two parts: a *reader*, which blocks (a library call, a socket, a child process), and a pure *parser*, which makes
readings of what was read and is tested with recorded output. A parser takes whatever it is given: what cannot be understood
is left out, never raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Unavailable(Exception):
    """A source has nothing to read on this machine; the words say why, for the operator."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Traffic of one network interface since the machine was started."""

    name: str
    bytes_received: int
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system."""

    mount: str
    total_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class HostReading:
    """The machine itself, at one moment."""

    cpu_percent: tuple[float, ...]
    """Of each core, 0 to 100, since the last reading."""
    memory_total_bytes: int
    memory_used_bytes: int
    memory_free_bytes: int
    """What programs could get, not what lies idle."""
    swap_total_bytes: int = 0
    swap_used_bytes: int = 0
    load_average: tuple[float, float, float] | None = None
    """Of 1, 5 and 15 minutes; None where the system has none."""
    interfaces: tuple[Interface, ...] = ()
    disks: tuple[Disk, ...] = ()
    disk_read_bytes: int | None = None
    """Since the machine was started, of all disks; None: not known."""
    disk_written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Device memory of one process."""

    pid: int
    used_bytes: int


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One accelerator, at one moment. None: the source does not say."""

    uuid: str
    """Tells devices apart across sources and restarts; the source's best: NVML's UUID, else a PCI address, else a made-up one."""
    name: str
    index: int = 0
    """As the vendor's tools count it."""
    vendor: str = ""
    """`nvidia`, `amd`, `intel`, `apple`, or empty."""
    utilization_percent: float | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    """Of memory of its own, or of that shared with the host (`is_unified`)."""
    is_unified: bool = False
    temperature_c: float | None = None
    memory_temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    fan_percent: float | None = None
    clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    processes: tuple[ProcessMemory, ...] = ()
    pci: str = ""
    """Address as `0000:01:00.0`, lower case; empty: not known. Readings of several sources with the same one are of one device."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source has read at one moment."""

    host: HostReading | None = None
    gpus: Sequence[GpuReading] = field(default=())


class Source(Protocol):
    """One way of reading a machine.

    The sampler calls `open` once in a worker thread, then `sample` time and again, never two calls of one source at the same time,
    then `close` in a worker thread, too. All of them may block. A `sample` that raises, or that takes longer than the
    sampler's patience, has the source closed and opened anew after a pause that grows.
    """

    @property
    def name(self) -> str:
        """What the operator calls it, as `nvml`, `lact` or `psutil`."""

    def open(self) -> None:
        """Gets ready. Raises Unavailable where there is nothing for it to read."""

    def sample(self) -> Reading:
        """Returns how things stand now."""

    def close(self) -> None:
        """Lets go of everything.

        May be called after `open` has failed, and again; may be called from another thread while `sample` hangs, and then ends
        it if it can.
        """
