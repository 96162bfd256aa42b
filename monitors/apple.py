"""Apple's graphics: by `mactop` where it is installed, which knows power and temperatures, else by `ioreg`, which always is there.

There is one, it shares the host's memory, and both programs tell of the same, so that both give it the same made-up UUID.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import psutil

from monitors import figures
from monitors.child import ChildFailed, OneShot, Stream, located
from monitors.protocol import GpuReading, Reading, Unavailable

logger = logging.getLogger(__name__)

UUID = "apple-gpu-0"

IOREG_ARGUMENTS = ("-r", "-c", "IOGPU", "-d", "1", "-f", "-w", "0")

SETTLE_S = 0.05

_NODE = re.compile(r"^[ |]*\+-o ", re.MULTILINE)


def _property(text: str, key: str) -> str | None:
    """Returns the value of *key* in one node of `ioreg`, `"key" = value` on its own line or `"key"=value` inside of one."""
    match = re.search(rf'"{re.escape(key)}"\s*=\s*<?("[^"\n]*"|[\w.]+)', text)
    return match[1].strip('"') if match else None


def parse_ioreg(text: str, host_memory_bytes: int | None = None) -> tuple[GpuReading, ...]:
    """Returns the graphics that `ioreg -c IOGPU` tells of; several only on a Mac with cards."""
    found: list[GpuReading] = []
    for node in _NODE.split(text)[1:]:
        utilization = figures.percent(_property(node, "Device Utilization %"))
        used = figures.byte_count(_property(node, "In use system memory"))
        if utilization is None and used is None:
            continue
        cores = figures.whole(_property(node, "gpu-core-count"))
        found.append(
            GpuReading(
                uuid=UUID if not found else f"apple-gpu-{len(found)}",
                name=_name(_property(node, "model"), cores),
                index=len(found),
                vendor="apple",
                utilization_percent=utilization,
                memory_total_bytes=figures.byte_count(host_memory_bytes),
                memory_used_bytes=used,
                is_unified=True,
            )
        )
    return tuple(found)


def parse_mactop(line: str) -> GpuReading | None:
    """Returns the graphics as one line of `mactop --headless --format json` says, or None if it says nothing."""
    told = figures.from_json(line)
    if isinstance(told, list):
        # With a count, it prints a list.
        told = told[-1] if told else None
    soc = figures.at(told, "soc_metrics")
    first = (figures.at(told, "gpu_usage"), figures.at(told, "gpu_metrics", "active_percent"))
    utilization = _first(figures.percent, *first, figures.at(soc, "gpu_active"))
    if utilization is None and not isinstance(soc, dict):
        return None
    total = figures.byte_count(figures.at(told, "memory", "total"))
    temperature = _first(figures.celsius, figures.at(soc, "gpu_temp"), figures.at(told, "gpu_temp"))
    return GpuReading(
        uuid=UUID,
        name=_name(
            figures.at(told, "system_info", "name"), figures.whole(figures.at(told, "system_info", "gpu_core_count"))
        ),
        vendor="apple",
        utilization_percent=utilization,
        memory_total_bytes=total,
        is_unified=True,
        # It says 0 where it has no sensor.
        temperature_c=temperature or None,
        memory_temperature_c=_memory_temperature(figures.at(told, "temperatures")),
        power_w=figures.watts(figures.at(soc, "gpu_power")),
        fan_percent=_fan(figures.at(told, "fans")),
        clock_mhz=_first(
            figures.megahertz, figures.at(soc, "gpu_freq_mhz"), figures.at(told, "gpu_metrics", "freq_mhz")
        ),
    )


def _name(chip: object, cores: int | None) -> str:
    title = figures.words(chip) or "Apple GPU"
    return f"{title} ({cores}-core GPU)" if cores else title


def _first(quantity: Callable[[object], float | None], *values: object) -> float | None:
    return next((found for value in values if (found := quantity(value)) is not None), None)


def _memory_temperature(groups: object) -> float | None:
    for group in groups if isinstance(groups, list) else ():
        if figures.at(group, "group") == "Memory":
            return figures.celsius(figures.at(group, "avg_celsius"))
    return None


def _fan(fans: object) -> float | None:
    """Returns how fast the fans turn on average, of the range from their slowest to their fastest."""
    speeds: list[float] = []
    for fan in fans if isinstance(fans, list) else ():
        low, now, high = (figures.number(figures.at(fan, key)) for key in ("min_rpm", "rpm", "max_rpm"))
        if low is not None and now is not None and high is not None and high > low:
            # One that stands still turns slower than its slowest.
            speed = figures.percent(max(0.0, 100 * (now - low) / (high - low)))
            if speed is not None:
                speeds.append(speed)
    return sum(speeds) / len(speeds) if speeds else None


def newest(lines: Iterable[str]) -> GpuReading | None:
    """Returns what the last of *lines* says that says anything."""
    return next((found for line in reversed(list(lines)) if (found := parse_mactop(line)) is not None), None)


def _host_memory() -> int:
    return psutil.virtual_memory().total


class Ioreg:
    """`ioreg`, run anew for each sample, as a source."""

    name = "ioreg"

    def __init__(
        self, program: str = "ioreg", limit_s: float = 5.0, host_memory: Callable[[], int] = _host_memory
    ) -> None:
        self._program = program
        self._limit_s = limit_s
        self._host_memory = host_memory
        self._run: OneShot | None = None

    def open(self) -> None:
        """Runs it once. Raises Unavailable if it is missing, fails, or knows no graphics."""
        self._run = OneShot([located(self._program), *IOREG_ARGUMENTS], self._limit_s)
        try:
            gpus = self.sample().gpus
        except (ChildFailed, OSError) as error:
            raise Unavailable(str(error)) from error
        if not gpus:
            raise Unavailable(f"{self._program} tells of no graphics")

    def sample(self) -> Reading:
        """Runs it. Raises ChildFailed if it fails or takes too long."""
        if self._run is None:
            raise Unavailable("not open")
        return Reading(gpus=parse_ioreg(self._run.text(), self._host_memory()))

    def close(self) -> None:
        """Ends a run that is under way."""
        if self._run is not None:
            self._run.close()


class Mactop:
    """`mactop --headless`, one child that prints every few seconds, as a source.

    What it calls memory in use is the whole machine's, so that `ioreg` is asked for what the graphics use, if it is there.
    """

    name = "mactop"

    def __init__(
        self,
        program: str = "mactop",
        ioreg: Ioreg | None = None,
        every_s: float = 5.0,
        host_memory: Callable[[], int] = _host_memory,
    ) -> None:
        self._program = program
        self._every_s = max(1.0, every_s)
        self._stream = Stream(self._every_s)
        self._ioreg = ioreg or Ioreg(host_memory=host_memory)
        self._has_ioreg = False
        self._host_memory = host_memory
        self._latest: GpuReading | None = None

    def open(self) -> None:
        """Starts the child and waits for its first figures. Raises Unavailable if it is missing or fails."""
        argv = [located(self._program), "--headless", "--format", "json", "--interval", f"{self._every_s * 1000:.0f}"]
        try:
            first = self._stream.open(argv)
        except (ChildFailed, OSError) as error:
            raise Unavailable(str(error)) from error
        self._latest = parse_mactop(first)
        try:
            self._ioreg.open()
            self._has_ioreg = True
        except Unavailable:
            self._has_ioreg = False

    def sample(self) -> Reading:
        """Returns the newest figures, without waiting for the next. Raises ChildFailed if the child is gone, hangs or raves."""
        lines = [line for line in self._stream.lines(SETTLE_S) if line.strip()]
        found = newest(lines)
        if lines and found is None:
            raise ChildFailed(f"{self._program}: {figures.words(lines[-1])[:100]}")
        self._latest = found or self._latest
        if self._latest is None:
            return Reading()
        used = self._memory_used()
        total = self._latest.memory_total_bytes or figures.byte_count(self._host_memory())
        return Reading(gpus=(replace(self._latest, memory_used_bytes=used, memory_total_bytes=total),))

    def _memory_used(self) -> int | None:
        if not self._has_ioreg:
            return None
        try:
            measured = self._ioreg.sample().gpus
        except (ChildFailed, OSError) as error:
            # Memory is one figure of many; the others stand.
            logger.debug("%s has no figures: %s", self._ioreg.name, error)
            return None
        return measured[0].memory_used_bytes if measured else None

    def close(self) -> None:
        """Ends the child."""
        self._stream.close()
        self._ioreg.close()
