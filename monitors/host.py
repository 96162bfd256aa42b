"""The machine itself, by psutil: processors, memory, swap, load, network, disks.

Two sources, for asking a file system how full it is may hang as long as its disk does, and the figures of the processors should
not hang with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import psutil

from monitors.protocol import Disk, HostReading, Interface, Reading

LOOPBACK = ("lo", "lo0", "Loopback")
"""Names, or beginnings of names with a blank after them, of interfaces that lead nowhere."""

DISKS_S = 60.0
"""Seconds between two looks at how full the disks are: they fill slowly, and sleeping ones should sleep."""


class HostSource:
    """Processors, memory, swap, load, network, and the traffic of all disks."""

    name = "psutil"

    def __init__(self) -> None:
        self._before: Sequence[tuple[float, float]] = ()
        """Of each core, the busy seconds and all of them, when last read."""

    def open(self) -> None:
        """Takes the state from which the first reading counts."""
        self._before = core_times()

    def sample(self) -> Reading:
        """Returns how things stand; the processors' load is that since the last reading, or since `open`."""
        before, self._before = self._before, core_times()
        memory = psutil.virtual_memory()
        swap = psutil.swap_memory()
        disks = psutil.disk_io_counters()
        return Reading(
            HostReading(
                cpu_percent=busy(before, self._before),
                memory_total_bytes=memory.total,
                memory_used_bytes=memory.total - memory.available,
                memory_free_bytes=memory.available,
                swap_total_bytes=swap.total,
                swap_used_bytes=swap.used,
                # psutil's imitation on Windows takes a thread of its own.
                load_average=None if psutil.WINDOWS else psutil.getloadavg(),
                interfaces=interfaces(
                    {
                        name: (its.bytes_recv, its.bytes_sent)
                        for name, its in psutil.net_io_counters(pernic=True).items()
                    }
                ),
                disk_read_bytes=None if disks is None else disks.read_bytes,
                disk_written_bytes=None if disks is None else disks.write_bytes,
            )
        )

    def close(self) -> None:
        """Has nothing to let go of."""


class DiskSource:
    """How full the disks are: a reading of the host that says nothing else."""

    name = "disks"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._disks: tuple[Disk, ...] = ()
        self._seen_at = float("-inf")

    def open(self) -> None:
        """Has nothing to get ready."""

    def sample(self) -> Reading:
        """Returns the disks, as they were a minute ago at most."""
        now = self._clock()
        if now - self._seen_at >= DISKS_S:
            self._disks = disks()
            self._seen_at = now
        return Reading(HostReading((), 0, 0, 0, disks=self._disks))

    def close(self) -> None:
        """Has nothing to let go of."""


def core_times() -> Sequence[tuple[float, float]]:
    """Returns the busy seconds and all seconds of each core.

    Not by `psutil.cpu_percent`, which remembers the last state for each thread, and our threads change.
    """
    found = []
    for core in psutil.cpu_times(percpu=True):
        times = core._asdict()
        # On Linux a guest's time is in `user` and `nice` already.
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        found.append((total - times["idle"] - times.get("iowait", 0.0), total))
    return found


def busy(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Returns the load of each core between two states, 0 to 100; 0 where no time has passed or cores have come or gone."""
    if len(before) != len(after):
        return (0.0,) * len(after)
    return tuple(
        min(max(100.0 * (busy_then - busy_at_first) / (then - at_first), 0.0), 100.0) if then > at_first else 0.0
        for (busy_at_first, at_first), (busy_then, then) in zip(before, after, strict=True)
    )


def interfaces(traffic: Mapping[str, tuple[int, int]]) -> tuple[Interface, ...]:
    """Returns the interfaces that lead somewhere. traffic: bytes received and sent of each."""
    return tuple(
        Interface(name, received, sent)
        for name, (received, sent) in sorted(traffic.items())
        if name.split(" ")[0] not in LOOPBACK
    )


def disks() -> tuple[Disk, ...]:
    """Returns the file systems on disks, each device once, by the shortest path it is mounted at. Those in trouble are left out."""
    mounts: dict[str, str] = {}
    for partition in sorted(psutil.disk_partitions(all=False), key=lambda each: len(each.mountpoint)):
        mounts.setdefault(partition.device, partition.mountpoint)
    found = []
    for mount in sorted(mounts.values()):
        try:
            usage = psutil.disk_usage(mount)
        except OSError:
            continue  # gone since, an empty drive, or not ours to see
        found.append(Disk(mount, usage.total, usage.used))
    return tuple(found)
