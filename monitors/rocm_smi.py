"""AMD cards by the `rocm-smi` program, run anew for each sample. Columns go by name: they differ by version and by card."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from monitors import figures
from monitors.child import ChildFailed, OneShot, located
from monitors.protocol import GpuReading, Reading, Unavailable

ARGUMENTS = (
    *("-i", "-P", "-t", "-f", "-u", "-c", "--showmemuse", "--showmeminfo", "vram"),
    *("--showproductname", "--showuniqueid", "--showbus", "--showmaxpower", "--csv"),
)

_CARD = re.compile(r"card(\d{1,3})")

_POWER = (
    "current socket graphics package power (w)",
    "average socket graphics package power (w)",
    "average graphics package power (w)",
    "current graphics package power (w)",
)
_NAME = ("card series", "device name", "card model")
_EDGE = ("temperature (sensor edge) (c)", "temperature (sensor junction) (c)")
_LIMIT = ("max graphics package power (w)",)


def parse(text: str) -> tuple[GpuReading, ...]:
    """Returns the cards in the CSV of `rocm-smi --csv`; warnings before, between and after it are passed over."""
    columns: list[str] = []
    found: dict[int, GpuReading] = {}
    for line in text.splitlines():
        # One line at a time: a stray quote must not swallow the cards after it.
        try:
            parts = next(csv.reader([line.strip()]), [])
        except csv.Error:
            continue
        if parts and parts[0].strip().lower() == "device":
            columns = [part.strip().lower() for part in parts]
        elif columns and parts and (card := _CARD.fullmatch(parts[0].strip())):
            # A card may know more than the header says, or the line may be cut: what has both a name and a value counts.
            index = int(card[1])
            found[index] = _reading(index, dict(zip(columns, parts, strict=False)))
    return tuple(found[index] for index in sorted(found))


def _reading(index: int, values: Mapping[str, str]) -> GpuReading:
    def first(*names: str) -> str:
        return next((value for name in names if (value := figures.words(values.get(name, "")))), "")

    pci = figures.pci_address(values.get("pci bus", ""))
    title, gfx = first(*_NAME), first("gfx version")
    name = f"{title} card{index}" if title else f"card{index}"
    unique = first("unique id")
    guid = first("guid")
    return GpuReading(
        # All cards of a kind have the same unique id of zero in some versions; the GUID is the driver's, until the next start.
        uuid=unique if unique.strip("0x") else pci or guid or f"amd-{index}",
        name=f"{name} ({gfx})" if title and gfx else name,
        index=index,
        vendor="amd",
        utilization_percent=figures.percent(first("gpu use (%)")),
        memory_total_bytes=figures.byte_count(first("vram total memory (b)")),
        memory_used_bytes=figures.byte_count(first("vram total used memory (b)")),
        temperature_c=figures.celsius(first(*_EDGE)),
        memory_temperature_c=figures.celsius(first("temperature (sensor memory) (c)")),
        power_w=figures.watts(first(*_POWER)),
        power_limit_w=figures.watts(first(*_LIMIT)),
        fan_percent=figures.percent(first("fan speed (%)", "fan level (%)")),
        clock_mhz=figures.megahertz(first("sclk clock speed:")),
        memory_clock_mhz=figures.megahertz(first("mclk clock speed:")),
        pci=pci,
    )


class RocmSmi:
    """`rocm-smi`, as a source."""

    name = "rocm-smi"

    def __init__(self, program: str = "rocm-smi", limit_s: float = 5.0) -> None:
        self._program = program
        self._limit_s = limit_s
        self._run: OneShot | None = None

    def open(self) -> None:
        """Runs it once. Raises Unavailable if it is missing, fails, or knows no card."""
        self._run = OneShot([located(self._program), *ARGUMENTS], self._limit_s)
        try:
            gpus = self.sample().gpus
        except (ChildFailed, OSError) as error:
            raise Unavailable(str(error)) from error
        if not gpus:
            raise Unavailable(f"{self._program} knows no card")

    def sample(self) -> Reading:
        """Runs it. Raises ChildFailed if it fails or takes too long."""
        if self._run is None:
            raise Unavailable("not open")
        return Reading(gpus=parse(self._run.text()))

    def close(self) -> None:
        """Ends a run that is under way."""
        if self._run is not None:
            self._run.close()
