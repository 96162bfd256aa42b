"""Which process uses how much memory of which AMD card, as the kernel's compute driver (amdkfd) tells anybody in sysfs.

Only what goes by ROCm is told there. Vulkan's use stands in /proc/PID/fdinfo, and to look through that of all processes every few
seconds would cost more than all other sources together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monitors import figures
from monitors.protocol import ProcessMemory

KFD = "sys/class/kfd/kfd"


def pci_of(properties: str) -> str:
    """Returns the PCI address in the `properties` of a node of the topology; empty: it is none of a card."""
    values = dict(line.split(None, 1) for line in properties.splitlines() if len(line.split(None, 1)) == 2)
    place, domain = figures.whole(values.get("location_id")), figures.whole(values.get("domain", "0"))
    if not place or domain is None or place > 0xFFFF or domain > 0xFFFF:
        return ""
    return f"{domain:04x}:{place >> 8:02x}:{(place >> 3) & 0x1F:02x}.{place & 7}"


def cards(root: Path) -> dict[str, str]:
    """Returns the PCI address of each card by the driver's own number for it; none where there is no such driver."""
    found: dict[str, str] = {}
    for node in sorted((root / KFD / "topology/nodes").glob("*")):
        number, properties = _text(node / "gpu_id"), _text(node / "properties")
        if number not in {"", "0"} and (pci := pci_of(properties)):
            found[number] = pci
    return found


def processes(root: Path, known: Mapping[str, str]) -> dict[str, tuple[ProcessMemory, ...]]:
    """Returns the processes that hold memory of each card, by its PCI address. known: what `cards` has found."""
    found: dict[str, list[ProcessMemory]] = {}
    for process in sorted((root / KFD / "proc").glob("*")) if known else ():
        pid = figures.whole(process.name)
        for number, pci in known.items():
            used = figures.byte_count(_text(process / f"vram_{number}"))
            if pid and used:
                found.setdefault(pci, []).append(ProcessMemory(pid, used))
    return {pci: tuple(sorted(entries, key=lambda entry: entry.pid)) for pci, entries in found.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
