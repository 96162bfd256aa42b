"""AMD and Intel cards as the kernel's drivers show them under /sys/class/drm: amdgpu, xe and i915.

Costs nothing but reading some small files. The reader collects them by name; the parsers see a mapping of name -> text, names
relative to the card's device, its sensors under `hwmon/`. What the drivers count instead of measuring (energy, idle time)
becomes power and utilization by the difference between two samples.

A card that sleeps is not read, because reading wakes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from monitors import figures, kfd
from monitors.protocol import GpuReading, Reading, Unavailable

Files = Mapping[str, str]

VENDORS = {"0x1002": "amd", "0x8086": "intel"}

INTEGRATED_INTEL = "0000:00:02.0"
"""Where Intel's processors have their own graphics, always."""

_CARD = re.compile(r"card(\d{1,3})")
_ACTIVE = re.compile(r"(\d+)\s*mhz\s*\*", re.IGNORECASE)

_AMD = (
    "gpu_busy_percent",
    "mem_info_vram_total",
    "mem_info_vram_used",
    "mem_info_gtt_total",
    "mem_info_gtt_used",
    "pp_dpm_sclk",
    "pp_dpm_mclk",
    "product_name",
)
_INTEL = (
    "lmem_total_bytes",
    "lmem_avail_bytes",
    "tile0/physical_vram_size_bytes",
    "tile0/gt0/freq0/act_freq",
    "tile0/gt0/gtidle/idle_residency_ms",
    # i915 has these at the card, not at its device
    "card/gt_act_freq_mhz",
    "card/gt/gt0/rps_act_freq_mhz",
    "card/gt/gt0/rc6_residency_ms",
    "card/power/rc6_residency_ms",
    "card/lmem_total_bytes",
    "card/lmem_avail_bytes",
)
_HWMON = re.compile(r"(temp|fan|power|energy|freq|pwm)\d+(_(input|label|max|average|cap))?")


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a card before it is asked how it is."""

    index: int
    vendor: str
    pci: str
    name: str
    is_unified: bool = False

    @property
    def uuid(self) -> str:
        """Its address: amdgpu's own unique id is not there for each card, and not while it sleeps."""
        return self.pci or f"{self.vendor}-{self.index}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a driver counts, at one moment. None: it does not."""

    at_s: float
    energy_uj: float | None = None
    idle_ms: float | None = None


def sensor(files: Files, kind: str, *labels: str) -> str | None:
    """Returns the number *n* of the first sensor *kind*`n` that goes by one of *labels*, in their order; None: none does."""
    named = {
        text.strip().lower(): name.removeprefix(f"hwmon/{kind}").removesuffix("_label")
        for name, text in files.items()
        if name.startswith(f"hwmon/{kind}") and name.endswith("_label")
    }
    return next((named[label] for label in labels if label in named), None)


def _temperature(files: Files, *labels: str, unlabelled: str | None = None) -> float | None:
    number = sensor(files, "temp", *labels) or unlabelled
    return figures.celsius(files.get(f"hwmon/temp{number}_input"), 1e-3)


def _fan(files: Files) -> float | None:
    speed, most = figures.number(files.get("hwmon/fan1_input")), figures.number(files.get("hwmon/fan1_max"))
    if speed is not None and most:
        return figures.percent(100 * speed / most)
    return figures.percent(files.get("hwmon/pwm1"), 100 / 255)


def _active_mhz(table: str) -> float | None:
    """Returns the clock that a table like `1: 1800Mhz *` marks as the one in use."""
    match = _ACTIVE.search(table)
    return figures.megahertz(match[1]) if match else None


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def amd(card: Card, files: Files) -> GpuReading:
    """Returns *card* as amdgpu shows it. Of a processor's graphics, memory is what is set apart and what may be borrowed."""
    total, used = (
        figures.byte_count(files.get("mem_info_vram_total")),
        figures.byte_count(files.get("mem_info_vram_used")),
    )
    if card.is_unified:
        total = _sum(total, figures.byte_count(files.get("mem_info_gtt_total")))
        used = _sum(used, figures.byte_count(files.get("mem_info_gtt_used")))
    has_labels = any(name.startswith("hwmon/temp") and name.endswith("_label") for name in files)
    clock = figures.megahertz(files.get(f"hwmon/freq{sensor(files, 'freq', 'sclk') or 1}_input"), 1e-6)
    memory_clock = figures.megahertz(files.get(f"hwmon/freq{sensor(files, 'freq', 'mclk') or 2}_input"), 1e-6)
    power = figures.watts(files.get("hwmon/power1_average"), 1e-6)
    return GpuReading(
        uuid=card.uuid,
        name=figures.words(files.get("product_name", "")) or card.name,
        index=card.index,
        vendor="amd",
        utilization_percent=figures.percent(files.get("gpu_busy_percent")),
        memory_total_bytes=total,
        memory_used_bytes=used,
        is_unified=card.is_unified,
        temperature_c=_temperature(files, "edge", "junction", unlabelled=None if has_labels else "1"),
        memory_temperature_c=_temperature(files, "mem"),
        power_w=figures.watts(files.get("hwmon/power1_input"), 1e-6) if power is None else power,
        power_limit_w=figures.watts(files.get("hwmon/power1_cap"), 1e-6) or None,
        fan_percent=_fan(files),
        clock_mhz=_active_mhz(files.get("pp_dpm_sclk", "")) if clock is None else clock,
        memory_clock_mhz=_active_mhz(files.get("pp_dpm_mclk", "")) if memory_clock is None else memory_clock,
        pci=card.pci,
    )


def counted(files: Files, at_s: float) -> Counted:
    """Returns what an Intel driver counts, as read at *at_s*."""
    number = sensor(files, "energy", "card", "pkg") or "1"
    idle = (
        files.get(name)
        for name in (
            "tile0/gt0/gtidle/idle_residency_ms",
            "card/gt/gt0/rc6_residency_ms",
            "card/power/rc6_residency_ms",
        )
    )
    return Counted(
        at_s,
        energy_uj=figures.number(files.get(f"hwmon/energy{number}_input")),
        idle_ms=next((value for text in idle if (value := figures.number(text)) is not None), None),
    )


def intel(card: Card, files: Files, before: Counted | None, now: Counted) -> GpuReading:
    """Returns *card* as xe or i915 show it; *before* and *now* give power and utilization."""
    power = utilization = None
    elapsed = now.at_s - before.at_s if before is not None else 0.0
    if before is not None and elapsed > 0:
        if before.energy_uj is not None and now.energy_uj is not None:
            power = figures.watts((now.energy_uj - before.energy_uj) / elapsed, 1e-6)
        if before.idle_ms is not None and now.idle_ms is not None and now.idle_ms >= before.idle_ms:
            # Idle time may be booked late, and then exceeds the time that has passed.
            utilization = figures.percent(max(0.0, 100 - (now.idle_ms - before.idle_ms) / elapsed / 10))
    total = _first_bytes(files, "lmem_total_bytes", "card/lmem_total_bytes", "tile0/physical_vram_size_bytes")
    free = _first_bytes(files, "lmem_avail_bytes", "card/lmem_avail_bytes")
    clock = next(
        (
            value
            for name in ("tile0/gt0/freq0/act_freq", "card/gt/gt0/rps_act_freq_mhz", "card/gt_act_freq_mhz")
            if (value := figures.megahertz(files.get(name))) is not None
        ),
        None,
    )
    return GpuReading(
        uuid=card.uuid,
        name=card.name,
        index=card.index,
        vendor="intel",
        utilization_percent=utilization,
        memory_total_bytes=total,
        memory_used_bytes=max(0, total - free) if total is not None and free is not None else None,
        is_unified=card.is_unified,
        temperature_c=_temperature(files, "pkg", unlabelled="1"),
        memory_temperature_c=_temperature(files, "vram"),
        power_w=power,
        power_limit_w=figures.watts(files.get("hwmon/power1_max"), 1e-6) or None,
        fan_percent=_fan(files),
        clock_mhz=clock,
        pci=card.pci,
    )


def _first_bytes(files: Files, *names: str) -> int | None:
    return next((size for name in names if (size := figures.byte_count(files.get(name))) is not None), None)


def pci_name(database: str, vendor: str, device: str) -> str:
    """Returns what pci.ids calls a device, ids as in sysfs (`0x8086`, `0x56a0`); empty: it does not know."""
    is_vendor = False
    for line in database.splitlines():
        if not line.startswith(("\t", "#")):
            is_vendor = line.startswith(f"{vendor.removeprefix('0x').lower()}  ")
        elif is_vendor and line.startswith(f"\t{device.removeprefix('0x').lower()}  "):
            return figures.words(line[7:])
    return ""


def marketing_name(database: str, device: str, revision: str) -> str:
    """Returns what libdrm's amdgpu.ids calls a device, ids as in sysfs; empty: it does not know."""
    for line in database.splitlines():
        parts = [part.strip() for part in line.split(",", 2)]
        key = [device.removeprefix("0x").lower(), revision.removeprefix("0x").lower()]
        if [part.lower() for part in parts[:2]] == key and len(parts) == 3:
            return figures.words(parts[2])
    return ""


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None


class Sysfs:
    """The kernel's drivers, as a source. root: of the file system."""

    name = "sysfs"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._cards: dict[Path, Card] = {}
        self._before: dict[Path, Counted] = {}
        self._computing: dict[str, str] = {}

    def open(self) -> None:
        """Finds the cards. Raises Unavailable if there is none that amdgpu, xe or i915 drive."""
        self._cards, self._before = {}, {}
        folder = self._root / "sys/class/drm"
        try:
            entries = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))
        except OSError as error:
            raise Unavailable(f"{folder}: {error.strerror}") from error
        for path in entries:
            match = _CARD.fullmatch(path.name)
            vendor = _text(path / "device/vendor") if match else None
            if match and vendor in VENDORS:
                self._cards[path] = self._card(int(match[1]), path / "device", vendor)
        self._computing = kfd.cards(self._root)
        if not self._cards:
            raise Unavailable(f"no AMD or Intel card in {folder}")

    def _card(self, index: int, device: Path, vendor_id: str) -> Card:
        vendor = VENDORS[vendor_id]
        pci = figures.pci_address(device.resolve().name)
        device_id, revision = _text(device / "device") or "", _text(device / "revision") or ""
        share = self._root / "usr/share"
        name = ""
        if vendor == "amd":
            name = marketing_name(_text(share / "libdrm/amdgpu.ids") or "", device_id, revision)
        for database in ("hwdata/pci.ids", "misc/pci.ids"):
            name = name or pci_name(_text(share / database) or "", vendor_id, device_id)
        title = {"amd": "AMD", "intel": "Intel"}[vendor]
        if not name.lower().startswith((title.lower(), "radeon")):
            name = f"{title} {name or f'GPU {device_id}'}"
        is_unified = _is_apu(device) if vendor == "amd" else pci == INTEGRATED_INTEL
        return Card(index, vendor, pci, name, is_unified)

    def sample(self) -> Reading:
        """Reads all cards. Raises FileNotFoundError if one has gone, so that they are looked for anew."""
        gpus: list[GpuReading] = []
        processes = kfd.processes(self._root, self._computing)
        for path, card in self._cards.items():
            if not (path / "device/vendor").exists():
                raise FileNotFoundError(f"{path} has gone")
            if _text(path / "device/power/runtime_status") == "suspended":
                gpus.append(
                    GpuReading(
                        uuid=card.uuid,
                        name=card.name,
                        index=card.index,
                        vendor=card.vendor,
                        utilization_percent=0.0,
                        is_unified=card.is_unified,
                        pci=card.pci,
                    )
                )
                self._before.pop(path, None)
            elif card.vendor == "amd":
                reading = amd(card, collected(path, _AMD))
                gpus.append(replace(reading, processes=processes.get(card.pci, ())))
            else:
                files = collected(path, _INTEL)
                now = counted(files, time.monotonic())
                gpus.append(intel(card, files, self._before.get(path), now))
                self._before[path] = now
        return Reading(gpus=tuple(gpus))

    def close(self) -> None:
        """Holds nothing open."""


def collected(card: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Returns the texts of those of *names* that there are, and of the sensors."""
    device = card / "device"
    found: dict[str, str] = {}
    for name in names:
        text = _text(card / name.removeprefix("card/") if name.startswith("card/") else device / name)
        if text is not None:
            found[name] = text
    for monitor in sorted(device.glob("hwmon/hwmon*")):
        for path in monitor.iterdir():
            if _HWMON.fullmatch(path.name) and (text := _text(path)) is not None:
                # Of several monitors, the first is the card's.
                found.setdefault(f"hwmon/{path.name}", text)
    return found


def _is_apu(device: Path) -> bool:
    """Tells graphics that are part of a processor by their table of metrics: formats 2 and 3 are for them."""
    try:
        with (device / "gpu_metrics").open("rb") as file:
            head = file.read(4)
    except OSError:
        return False
    return len(head) == 4 and head[2] in {2, 3}
