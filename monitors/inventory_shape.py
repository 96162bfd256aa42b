"""What a machine has: the parts of an inventory, and how several probes' records of one accelerator become one.

Everything that is not known is None. What tools print for want of a figure (`N/A`, `Unknown`) is not known, either (`known`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import Literal

Family = Literal["linux", "macos", "windows", "freebsd", "other"]
Setting = Literal["native", "container", "virtual_machine", "wsl", "other", "unknown"]
MemoryKind = Literal["dedicated", "unified", "shared_system", "unknown"]

_FILLERS = frozenset(
    (
        "",
        "-",
        "n/a",
        "na",
        "unknown",
        "unknown error",
        "not supported",
        "not available",
        "not specified",
        "none",
        "null",
    )
) | {"no data", "requested functionality has been deprecated", "insufficient permissions", "gpu requires reset"}
"""What stands for nothing, in lower case and without brackets."""

VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x1022: "AMD", 0x8086: "Intel", 0x106B: "Apple"}
"""Of accelerators, by their PCI number. Others make display adapters that nothing runs on."""


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """What runs on the machine."""

    family: Family = "other"
    name: str | None = None
    version: str | None = None
    kernel: str | None = None
    raw_family: str | None = None
    """As the system calls itself, where `family` is `other`."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the system runs in."""

    kind: Setting = "unknown"
    name: str | None = None
    version: str | None = None
    raw_kind: str | None = None
    """As the probe calls it, where `kind` is `other`."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processors, all of them together."""

    vendor: str | None = None
    model: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What one probe says of one accelerator, or several together."""

    pci: str | None = None
    """Normalised (`pci_address`); what tells devices apart."""
    vendor: str | None = None
    model: str | None = None
    architecture: str | None = None
    memory_kind: MemoryKind | None = None
    memory_bytes: int | None = None
    driver: str | None = None
    driver_version: str | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """A machine, as far as it is known."""

    machine: str | None = None
    """Its architecture, as it says itself."""
    system: OperatingSystem = field(default_factory=OperatingSystem)
    environment: Environment = field(default_factory=Environment)
    cpu: Cpu = field(default_factory=Cpu)
    memory_bytes: int | None = None
    accelerators: tuple[Accelerator, ...] = ()
    problems: tuple[str, ...] = ()
    """What should have answered and did not, for the log. A tool that is not there is none."""


def known(text: object) -> str | None:
    """Returns *text* without what surrounds it; None if that says nothing."""
    if not isinstance(text, str):
        return None
    words = " ".join(text.replace("\x00", " ").split())
    return None if words.strip("[]<>()").strip().lower() in _FILLERS else words


def number(text: object) -> float | None:
    """Returns a figure that is above zero; None for anything else, such as zero, which tools print for what they do not know."""
    if isinstance(text, str):
        match = re.fullmatch(r"\s*([0-9]{1,20}(?:\.[0-9]{1,9})?)\s*", text, re.ASCII)
        value = float(match[1]) if match else 0.0
    else:
        value = float(text) if isinstance(text, int | float) and abs(text) < 2**63 else 0.0
    return value if value > 0 and math.isfinite(value) else None


def whole(text: object, unit: int = 1) -> int | None:
    """Returns a figure above zero times *unit*, as a whole number; None for anything else."""
    value = number(text)
    if value is None:
        return None
    if isinstance(text, str) and "." not in text:
        return int(text) * unit  # a float has no room for every count of bytes
    return int(value * unit) or None


def pci_address(text: object) -> str | None:
    """Returns an address as `0000:01:00.0` from any way tools write it; None if it is none."""
    if not isinstance(text, str):
        return None
    match = re.fullmatch(
        r"\s*(?:pci:)?(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?\s*", text.lower(), re.ASCII
    )
    if match is None:
        return None
    domain, bus, device, function = (int(part or "0", 16) for part in match.groups())
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function}" if device < 32 else None


def merged(*listings: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """Returns one record for each device of all *listings*, each of which is one probe's: by address, those without one last.

    Of two records that know something, the first one's word counts. A record without an address is taken for a device of its vendor
    that other probes have and its own has not, if there is one, or the device would be told twice.
    """
    devices: dict[str, Accelerator] = {}
    for record in chain(*listings):
        if record.pci is not None:
            devices[record.pci] = _both(devices.get(record.pci, record), record)
    others: list[Accelerator] = []
    for listing in listings:
        lacking = devices.keys() - {record.pci for record in listing}
        for record in listing:
            if record.pci is None:
                same = sorted(address for address in lacking if devices[address].vendor == record.vendor)
                if len(same) == 1:
                    devices[same[0]] = _both(replace(record, pci=same[0]), devices[same[0]])
                if same:
                    lacking.discard(same[0])
                else:
                    others.append(record)
    return (*sorted(devices.values(), key=_place), *others)


def _both(first: Accelerator, second: Accelerator) -> Accelerator:
    """Returns what the *first* says, and the *second* where that says nothing. Name and version of the driver go together."""
    told = {
        each.name: getattr(second if getattr(first, each.name) is None else first, each.name) for each in fields(first)
    }
    if first.driver is not None and first.driver_version is None and first.driver != second.driver:
        told["driver_version"] = None
    return Accelerator(**told)


def _place(record: Accelerator) -> tuple[int, str]:
    domain, _, rest = (record.pci or "").partition(":")
    return int(domain, 16), rest
