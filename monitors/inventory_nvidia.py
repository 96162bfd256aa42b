"""NVIDIA's accelerators, as `nvidia-smi` lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitors.inventory_programs import Absent, Failed, Programs
from monitors.inventory_shape import Accelerator, known, number, pci_address, whole

QUERY = "index,name,uuid,pci.bus_id,memory.total,driver_version,power.limit"
FORMAT = "--format=csv,noheader,nounits"

_INTEGRATED = re.compile(r"\b(GB10|Thor|Orin|Xavier|Tegra)\b", re.IGNORECASE)
"""Chips whose processors share their memory with the accelerator. The driver then says nothing of memory."""

_FAMILIES = (
    (10, "Blackwell"),
    (9, "Hopper"),
    (8.9, "Ada Lovelace"),
    (8, "Ampere"),
    (7.5, "Turing"),
    (7, "Volta"),
    (6, "Pascal"),
    (5, "Maxwell"),
    (3, "Kepler"),
    (2, "Fermi"),
    (1, "Tesla"),
)
"""The lowest compute capability of each architecture, falling. Source: the CUDA programming guide."""

_NEWEST = 13
"""The first capability that has no name yet."""


def accelerators(programs: Programs) -> list[Accelerator]:
    """Returns what `nvidia-smi` lists. Raises as Programs.run does, if that is nothing."""
    try:
        text = programs.run("nvidia-smi", f"--query-gpu={QUERY}", FORMAT)
    except Failed as exc:
        # One broken card makes it exit with a failure, after it has listed the others.
        if not parse(exc.output):
            raise
        text = exc.output
    return parse(text, _architectures(programs))


def _architectures(programs: Programs) -> Mapping[str, str]:
    """Asks separately, for a driver that does not know one of the columns answers with nothing but that."""
    for column in ("architecture", "compute_cap"):
        try:
            found = parse_architectures(programs.run("nvidia-smi", f"--query-gpu=pci.bus_id,{column}", FORMAT))
        except (Absent, Failed):
            continue
        if found:
            return found
    return {}


def parse(text: str, architectures: Mapping[str, str] | None = None) -> list[Accelerator]:
    """Returns the records of a listing of QUERY. architectures: as of `parse_architectures`."""
    found = []
    for line in text.splitlines():
        row = [part.strip() for part in line.split(",")]
        if len(row) < 7 or not row[0].isdecimal():
            continue
        # Names are not quoted, and may hold commas; the other columns cannot.
        name = known(", ".join(row[1:-5]))
        _uuid, bus, memory, driver, power = row[-5:]
        size = whole(memory, 1 << 20)
        is_integrated = name is not None and _INTEGRATED.search(name) is not None
        address = pci_address(bus)
        version = known(driver)
        found.append(
            Accelerator(
                pci=address,
                vendor="NVIDIA",
                model=name,
                architecture=(architectures or {}).get(address or ""),
                memory_kind="unified" if is_integrated else "dedicated" if size else None,
                memory_bytes=size,
                driver="nvidia" if version else None,
                driver_version=version,
                power_limit_w=number(power),
            )
        )
    return found


def parse_architectures(text: str) -> dict[str, str]:
    """Returns the name of each architecture by address ("" for want of one), from names or compute capabilities."""
    found = {}
    for line in text.splitlines():
        bus, comma, value = line.partition(",")
        name = known(value)
        if not comma or name is None:
            continue
        if re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", name, re.ASCII):
            name = family(float(name))
        elif not re.fullmatch(r"[A-Za-z][\w .-]{0,40}", name):
            name = None
        if name is not None:
            found[pci_address(bus) or ""] = name
    return found


def family(capability: float) -> str | None:
    """Returns the architecture with a compute capability; None for those that came later than this list."""
    if capability >= _NEWEST:
        return None
    return next((name for lowest, name in _FAMILIES if capability >= lowest), None)
