"""AMD's accelerators, as `rocm-smi` and the kernel's compute driver (KFD) list them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from monitors.inventory_files import integers, read
from monitors.inventory_programs import Failed, Programs
from monitors.inventory_shape import VENDORS, Accelerator, MemoryKind, known, number, pci_address, whole

ALL = (
    "-i",
    "--showmeminfo",
    "vram",
    "--showproductname",
    "--showdriverversion",
    "--showmaxpower",
    "--showbus",
    "--csv",
)
LESS = ("-i", "--showmeminfo", "vram", "--showproductname", "--showbus", "--csv")
"""What versions and cards answer that stumble over the rest."""

INTEGRATED = frozenset(("gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1037", "gfx1103")) | {
    "gfx1150", "gfx1151", "gfx1152", "gfx1153",
}  # fmt: skip
"""Targets that are only in processors with graphics. Source: the list of targets in LLVM's AMDGPU usage guide."""

TOPOLOGY = "sys/class/kfd/kfd/topology/nodes"


def accelerators(programs: Programs) -> list[Accelerator]:
    """Returns what `rocm-smi` lists. Raises as Programs.run does, if that is nothing."""
    failed: Failed | None = None
    for arguments in (ALL, LESS):
        try:
            text = programs.run("rocm-smi", *arguments)
        except Failed as exc:
            failed = failed or exc
            text = exc.output
        if found := parse(text):
            return found
    if failed is not None:
        raise failed
    return []


def parse(text: str) -> list[Accelerator]:
    """Returns the records of `rocm-smi --csv`: a table of cards and, if asked for, one of the system."""
    version: str | None = None
    cards: list[Mapping[str, str]] = []
    for row in _rows(text):
        version = version or known(row.get("driver version"))
        if re.fullmatch(r"card\d+", row.get("device", "")):
            cards.append(row)
    found = []
    for row in cards:
        target = known(row.get("gfx version"))
        names = (known(row.get(column)) for column in ("card series", "device name", "card model"))
        found.append(
            Accelerator(
                pci=pci_address(row.get("pci bus")),
                vendor="AMD",
                model=next((name for name in names if name and not re.fullmatch(r"0x[0-9a-fA-F]+", name)), None),
                architecture=target,
                memory_kind=_kind(target),
                memory_bytes=whole(row.get("vram total memory (b)")),
                driver="amdgpu" if version else None,
                driver_version=version,
                power_limit_w=number(row.get("max graphics package power (w)")),
            )
        )
    return found


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    """Yields the rows of all tables, by column in lower case. Warnings may stand before, between and behind them."""
    columns: list[str] = []
    for line in text.splitlines():
        try:
            row = next(csv.reader([line.replace("\x00", "")]), [])
        except csv.Error:
            continue
        row = [cell.strip() for cell in row]
        if row and row[0].lower() in {"device", "system"} and len(row) > 1:
            if row[0].lower() == "system" and columns[:1] == ["system"]:
                yield dict(zip(columns, row, strict=False))
            else:
                columns = [cell.lower() for cell in row]
        elif columns and len(row) > 1:
            yield dict(zip(columns, row, strict=False))


def _kind(target: str | None) -> MemoryKind | None:
    if target is None:
        return None
    return "shared_system" if target in INTEGRATED else "dedicated"


def from_topology(root: Path) -> list[Accelerator]:
    """Returns the nodes of KFD's topology that are accelerators. root: where the file system begins."""
    found = []
    for node in sorted((root / TOPOLOGY).glob("*")):
        banks = [integers(read(bank)) for bank in sorted(node.glob("mem_banks/*/properties"))]
        record = parse_node(integers(read(node / "properties")), banks)
        if record is not None:
            found.append(record)
    return found


def parse_node(node: Mapping[str, int], banks: list[dict[str, int]]) -> Accelerator | None:
    """Returns the record of one node; None for a processor. banks: the properties of its memories."""
    target = gfx_target(node.get("gfx_target_version", 0))
    if target is None:
        return None
    place = node.get("location_id", -1)
    address = None
    if 0 <= place < 1 << 16:
        address = f"{node.get('domain', 0):x}:{place >> 8:x}:{place >> 3 & 31:x}.{place & 7}"
    # Heaps 1 and 2 are frame buffer, visible to the processor or not; the others are windows.
    size = sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in {1, 2})
    return Accelerator(
        pci=pci_address(address),
        vendor=VENDORS.get(node.get("vendor_id", 0)),
        architecture=target,
        memory_kind=_kind(target),
        memory_bytes=whole(size),
    )


def gfx_target(version: int) -> str | None:
    """Returns `gfx90a` for 90010: two decimal digits each for minor and step, written as one hexadecimal each."""
    major, minor, step = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{step:x}" if 0 < major < 100 and minor < 16 and step < 16 else None
