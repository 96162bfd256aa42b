"""NVIDIA cards by the `nvidia-smi` program, for where its library cannot be had: one child that prints every few seconds.

The output looks like CSV and is none: nothing is quoted, a name may hold commas, and some locales write `12,34`. So a line is
taken apart from both ends, at a comma with a space after it: the index, UUID and address stand first, the numbers last, and
what is left between is the name. Which columns there are, the header says; without one it is those of `FIELDS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from monitors import figures
from monitors.child import ChildFailed, Stream, located
from monitors.protocol import GpuReading, Reading, Unavailable

FIELDS = (
    "index",
    "uuid",
    "pci.bus_id",
    "name",
    "temperature.gpu",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "fan.speed",
    "power.draw",
    "temperature.memory",
    "enforced.power.limit",
    "clocks.gr",
    "clocks.mem",
)
"""What we ask for, in this order. An old driver that does not know one of them is asked again without it."""

SETTLE_S = 0.25
"""A tick prints its lines at once, so that a pause this long ends it."""

_ALIASES = {"clocks.current.graphics": "clocks.gr", "clocks.current.memory": "clocks.mem"}
"""What headers call the columns that have been asked for by a shorter name."""

_UNKNOWN_FIELD = re.compile(r'Field "([\w.]+)" is not a valid field')
_UNIT = re.compile(r"\s*\[[^]]*\]\s*$")


def header(line: str) -> tuple[str, ...] | None:
    """Returns the columns that *line* names, `memory.used [MiB]` as `memory.used`; None if it is no header."""
    columns = tuple(_UNIT.sub("", part).strip().lower() for part in line.split(","))
    columns = tuple(_ALIASES.get(column, column) for column in columns)
    return columns if columns[0] == "index" and "name" in columns else None


def reading(line: str, fields: Sequence[str] = FIELDS) -> GpuReading | None:
    """Returns the card that *line* tells of, or None if it tells of none: a warning, a header, half a line."""
    for separator in (", ", ","):
        parts = [part.strip() for part in line.split(separator)]
        if len(parts) >= len(fields):
            break
    else:
        return None
    after = len(fields) - 1 - fields.index("name")
    before = fields.index("name")
    name = _known(", ".join(parts[before : len(parts) - after]))
    values = dict(zip(fields[:before], parts[:before], strict=True)) | dict(
        zip(fields[before + 1 :], parts[len(parts) - after :], strict=True)
    )
    index = figures.whole(values.get("index")) if re.fullmatch(r"\d{1,4}", values.get("index", "")) else None
    if index is None or not name:
        return None
    pci = figures.pci_address(values.get("pci.bus_id", ""))
    used = figures.byte_count(values.get("memory.used"), figures.MEBIBYTE)
    total = figures.byte_count(values.get("memory.total"), figures.MEBIBYTE)
    return GpuReading(
        uuid=_known(values.get("uuid", "")) or pci or f"nvidia-{index}",
        name=name,
        index=index,
        vendor="nvidia",
        utilization_percent=figures.percent(values.get("utilization.gpu")),
        memory_total_bytes=total,
        memory_used_bytes=used,
        temperature_c=figures.celsius(values.get("temperature.gpu")),
        memory_temperature_c=figures.celsius(values.get("temperature.memory")),
        power_w=figures.watts(values.get("power.draw")),
        power_limit_w=figures.watts(values.get("enforced.power.limit")),
        fan_percent=figures.percent(values.get("fan.speed")),
        clock_mhz=figures.megahertz(values.get("clocks.gr")),
        memory_clock_mhz=figures.megahertz(values.get("clocks.mem")),
        pci=pci,
    )


def _known(text: str) -> str:
    """Returns *text*, or nothing if it is an excuse: `[GPU is lost]`, `[Insufficient Permissions]`."""
    return "" if text.startswith("[") and text.endswith("]") else figures.words(text)


class Ticks:
    """The lines of a running `nvidia-smi`, put together to ticks: a line of a card already seen begins the next."""

    def __init__(self, fields: Sequence[str] = FIELDS) -> None:
        self._fields = tuple(fields)
        self._done: dict[int, GpuReading] = {}
        self._growing: dict[int, GpuReading] = {}
        self.complaint = ""
        """What it said instead of figures, when last fed; empty: there were figures, or nothing."""

    def feed(self, lines: Iterable[str]) -> tuple[GpuReading, ...]:
        """Takes *lines* and returns the cards of the newest tick that is whole, as far as one can tell."""
        strays = ""
        heard = False
        for line in lines:
            if (columns := header(line)) is not None:
                self._fields = columns
            elif (card := reading(line, self._fields)) is not None:
                heard = True
                if card.index in self._growing:
                    self._done, self._growing = self._growing, {}
                self._growing[card.index] = card
            else:
                strays = figures.words(line) or strays
        self.complaint = "" if heard else strays
        # Shorter than the one before: the rest is yet to come, or, as the next tick will tell, a card is gone.
        newest = self._growing if len(self._growing) >= len(self._done) else self._done
        return tuple(newest[index] for index in sorted(newest))


def parse(text: str, fields: Sequence[str] = FIELDS) -> tuple[GpuReading, ...]:
    """Returns the cards of the last tick in *text*, with or without a header."""
    return Ticks(fields).feed(text.splitlines())


class NvidiaSmi:
    """`nvidia-smi --loop`, as a source."""

    name = "nvidia-smi"

    def __init__(self, program: str = "nvidia-smi", every_s: int = 5) -> None:
        self._program = program
        self._every_s = every_s
        self._stream = Stream(every_s)
        self._ticks = Ticks()
        self._first: list[str] = []

    def open(self) -> None:
        """Starts the child and waits for its first line. Raises Unavailable if that tells of no card."""
        program = located(self._program)
        fields = list(FIELDS)
        while True:
            # One field it does not know less with each turn.
            query = ",".join(fields)
            argv = [program, f"--query-gpu={query}", "--format=csv,nounits", f"--loop={self._every_s}"]
            try:
                first = self._stream.open(argv)
            except (ChildFailed, OSError) as error:
                raise Unavailable(str(error)) from error
            unknown = _UNKNOWN_FIELD.search(first)
            if unknown is None or unknown[1] not in fields or unknown[1] in {"index", "name"}:
                break
            fields.remove(unknown[1])
        self._ticks = Ticks(fields)
        self._first = [first]
        if header(first) is None and reading(first, fields) is None:
            self.close()
            # "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "No devices were found"
            raise Unavailable(f"{self._program}: {figures.words(first) or 'printed nothing of use'}")

    def sample(self) -> Reading:
        """Returns the newest tick, without waiting for the next. Raises ChildFailed if the child is gone, hangs or complains."""
        lines = self._first + self._stream.lines(SETTLE_S)
        self._first = []
        gpus = self._ticks.feed(lines)
        if self._ticks.complaint:
            raise ChildFailed(f"{self._program}: {self._ticks.complaint}")
        return Reading(gpus=gpus)

    def close(self) -> None:
        """Ends the child."""
        self._stream.close()
