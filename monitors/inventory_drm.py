"""Accelerators as the kernel's graphics subsystem shows them: the last word, for want of a tool of the vendor's."""

from __future__ import annotations

import os
import re
from pathlib import Path

from monitors.inventory_files import first_line, read
from monitors.inventory_shape import VENDORS, Accelerator, MemoryKind, known, pci_address, whole

MICRO = 1_000_000

_INTEL_INTEGRATED = "0000:00:02.0"
"""Where graphics within Intel's processors have always been."""


def accelerators(root: Path) -> list[Accelerator]:
    """Returns the cards that somebody may compute on: of a vendor of accelerators, with a render node open to us.

    root: where the file system begins.
    """
    found = []
    for card in sorted((root / "sys/class/drm").glob("card*")):
        if re.fullmatch(r"card[0-9]+", card.name, re.ASCII) and _is_open(root, card):
            record = from_device(root, card / "device")
            if record is not None:
                found.append(record)
    return found


def _is_open(root: Path, card: Path) -> bool:
    nodes = (root / "dev/dri" / node.name for node in card.glob("device/drm/renderD*"))
    return any(os.access(node, os.R_OK | os.W_OK) for node in nodes)


def from_device(root: Path, device: Path) -> Accelerator | None:
    """Returns the record of a device; None if it is none of a vendor that we know."""
    vendor = VENDORS.get(hexadecimal(first_line(device / "vendor")))
    if vendor is None:
        return None
    event = dict(line.split("=", 1) for line in read(device / "uevent").splitlines() if "=" in line)
    address = pci_address(event.get("PCI_SLOT_NAME"))
    driver = known(event.get("DRIVER"))
    version = None
    if driver is not None and re.fullmatch(r"\w{1,40}", driver, re.ASCII):
        version = known(first_line(root / "sys/module" / driver / "version"))
    size = vram(device)
    return Accelerator(
        pci=address,
        vendor=vendor,
        model=known(first_line(device / "product_name")),
        memory_kind=_kind(vendor, address, size),
        memory_bytes=size,
        driver=driver,
        driver_version=version,
        power_limit_w=power_limit(device),
    )


def _kind(vendor: str, address: str | None, size: int | None) -> MemoryKind | None:
    if vendor == "Apple":
        return "unified"
    if vendor == "Intel":
        if address == _INTEL_INTEGRATED:
            return "shared_system"
        return "dedicated" if size else None
    # AMD's tell of video memory, too, where it is a part of the machine's that is set aside.
    return None


def vram(device: Path) -> int | None:
    """Returns the bytes of memory of its own, as amdgpu or xe tell them."""
    for name in ("mem_info_vram_total", "tile0/physical_vram_size_bytes"):
        line = first_line(device / name)
        size = whole(line) or whole(hexadecimal(line))
        if size:
            return size
    return None


def power_limit(device: Path) -> float | None:
    """Returns the watts the device may take now."""
    for monitor in sorted(device.glob("hwmon/hwmon*")):
        for name in ("power1_cap", "power1_max"):
            cap = whole(first_line(monitor / name))
            if cap:
                return cap / MICRO
    return None


def hexadecimal(text: str) -> int:
    """Returns `0x10de` as a number; 0 for anything else."""
    return int(text, 16) if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text) else 0
