"""What macOS tells of the machine, mostly by `system_profiler -json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from monitors.inventory_programs import Programs
from monitors.inventory_shape import Accelerator, Cpu, Environment, known, whole

UNITS = {"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def profile(programs: Programs) -> tuple[Cpu, int | None, list[Accelerator]]:
    """Returns processors, memory and accelerators. Raises as Programs.run does."""
    return parse(programs.run("system_profiler", "-json", "SPHardwareDataType", "SPDisplaysDataType"))


def environment(programs: Programs) -> Environment:
    """Returns whether the system runs in a virtual machine. Raises as Programs.run does."""
    return parse_vmm(programs.run("sysctl", "-n", "kern.hv_vmm_present"))


def parse_vmm(text: str) -> Environment:
    """Returns what `kern.hv_vmm_present` means."""
    match text.strip():
        case "1":
            return Environment("virtual_machine")
        case "0":
            return Environment("native")
        case _:
            return Environment()


def parse(text: str) -> tuple[Cpu, int | None, list[Accelerator]]:
    """Returns processors, memory and accelerators of a profile."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    machine = next(_members(document, "SPHardwareDataType"), {})
    memory = size(machine.get("physical_memory"))
    cards = [_card(card, memory) for card in _members(document, "SPDisplaysDataType")]
    return _cpu(machine), memory, [card for card in cards if card is not None]


def _members(document: object, name: str) -> Iterator[Mapping[str, object]]:
    members = document.get(name) if isinstance(document, dict) else None
    yield from (member for member in members if isinstance(member, dict)) if isinstance(members, list) else ()


def _cpu(machine: Mapping[str, object]) -> Cpu:
    chip = known(machine.get("chip_type"))
    model = chip or known(machine.get("cpu_type"))
    vendor = next((vendor for vendor in ("Apple", "Intel") if model and vendor in model), None)
    told = machine.get("number_processors")
    # `proc 12:8:4` is all cores, then the fast and the slow ones; Intel's machines have a plain number.
    match = re.match(r"(?:proc\s+)?(\d{1,5})", told) if isinstance(told, str) else None
    cores = int(match[1]) if match else whole(told)
    sockets = whole(machine.get("packages")) or (1 if chip else None)
    # Apple's own have one thread in each core; for others, the caller asks the system.
    return Cpu(vendor, model, sockets, cores or None, (cores or None) if chip else None)


def _card(card: Mapping[str, object], memory: int | None) -> Accelerator | None:
    model = known(card.get("sppci_model")) or known(card.get("_name"))
    if model is None or card.get("sppci_device_type", "spdisplays_gpu") != "spdisplays_gpu":
        return None
    told = str(card.get("spdisplays_vendor", ""))
    vendor = next((name for name in ("Apple", "AMD", "ATI", "Intel", "NVIDIA") if name.lower() in told.lower()), None)
    vendor = {"ATI": "AMD"}.get(vendor or "", vendor)
    if vendor == "Apple":
        return Accelerator(vendor=vendor, model=model, memory_kind="unified", memory_bytes=memory)
    shared = size(card.get("spdisplays_vram_shared"))
    own = size(card.get("spdisplays_vram"))
    return Accelerator(
        vendor=vendor,
        model=model,
        memory_kind="shared_system" if shared else "dedicated" if own else None,
        memory_bytes=shared or own,
    )


def size(text: object) -> int | None:
    """Returns `64 GB` in bytes; None for what is no size."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*([MGT]B)\s*", text, re.ASCII) if isinstance(text, str) else None
    return int(match[1]) * UNITS[match[2]] or None if match else None
