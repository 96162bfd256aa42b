"""What Windows tells of the machine: WMI, asked by PowerShell, answering in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from monitors.inventory_programs import Programs
from monitors.inventory_shape import VENDORS, Accelerator, Cpu, Environment, known, whole

SCRIPT = r"""
$ErrorActionPreference = 'SilentlyContinue'
$class = 'HKLM:\SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}\0*'
@{
  cpu = @(Get-CimInstance Win32_Processor | Select-Object Manufacturer, Name, NumberOfCores, NumberOfLogicalProcessors)
  system = @(Get-CimInstance Win32_ComputerSystem | Select-Object Manufacturer, Model, HypervisorPresent, TotalPhysicalMemory)
  video = @(Get-CimInstance Win32_VideoController | Select-Object Name, AdapterRAM, DriverVersion, PNPDeviceID)
  memory = @(Get-ItemProperty $class | Select-Object DriverDesc, HardwareInformation.qwMemorySize)
} | ConvertTo-Json -Depth 3 -Compress
"""
"""What is asked. The registry has what WMI has no room for: sizes of 4 GiB and more."""

_FULL = 0xFFF00000
"""From here on `AdapterRAM`, of 32 bits, says no more than that it is full."""

_VIRTUAL = ("virtual", "vmware", "kvm", "qemu", "hvm domu", "bochs", "parallels", "google compute engine", "amazon ec2")
"""In the model or the maker of a machine that is none. `HypervisorPresent` is set on a host of Hyper-V, too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What WMI knows."""

    cpu: Cpu = field(default_factory=Cpu)
    environment: Environment = field(default_factory=Environment)
    memory_bytes: int | None = None
    accelerators: tuple[Accelerator, ...] = ()


def ask(programs: Programs) -> Answer:
    """Returns what WMI knows. Raises as Programs.run does."""
    return parse(programs.run("powershell", "-NoProfile", "-NonInteractive", "-Command", SCRIPT))


def parse(text: str) -> Answer:
    """Returns what an answer to SCRIPT says."""
    try:
        document = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return Answer()
    machine = next(_members(document, "system"), {})
    sizes = {
        str(each.get("DriverDesc")): whole(each.get("HardwareInformation.qwMemorySize"))
        for each in _members(document, "memory")
    }
    cards = (_card(card, sizes) for card in _members(document, "video"))
    return Answer(
        _cpu(list(_members(document, "cpu"))),
        _environment(machine),
        whole(machine.get("TotalPhysicalMemory")),
        tuple(card for card in cards if card is not None),
    )


def _members(document: object, name: str) -> Iterator[Mapping[str, object]]:
    members = document.get(name) if isinstance(document, dict) else None
    # PowerShell writes a list of one as the one.
    for member in members if isinstance(members, list) else [members]:
        if isinstance(member, dict):
            yield member


def _cpu(processors: list[Mapping[str, object]]) -> Cpu:
    if not processors:
        return Cpu()
    first = processors[0]
    vendor = known(first.get("Manufacturer"))
    cores = [whole(each.get("NumberOfCores")) for each in processors]
    threads = [whole(each.get("NumberOfLogicalProcessors")) for each in processors]
    return Cpu(
        {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}.get(vendor or "", vendor),
        known(first.get("Name")),
        len(processors),
        None if None in cores else sum(each or 0 for each in cores),
        None if None in threads else sum(each or 0 for each in threads),
    )


def _environment(machine: Mapping[str, object]) -> Environment:
    maker, model = known(machine.get("Manufacturer")), known(machine.get("Model"))
    if maker is None and model is None:
        return Environment()
    if any(word in f"{maker} {model}".lower() for word in _VIRTUAL):
        return Environment("virtual_machine", model)
    return Environment("native")


def _card(card: Mapping[str, object], sizes: Mapping[str, int | None]) -> Accelerator | None:
    """Returns the record of a controller; None for those that are not on the bus, as of remote desktops and virtual screens."""
    match = re.match(r"PCI\\VEN_([0-9A-F]{4})&", str(card.get("PNPDeviceID")), re.IGNORECASE)
    vendor = VENDORS.get(int(match[1], 16)) if match else None
    if vendor is None:
        return None
    told = whole(card.get("AdapterRAM"))
    size = sizes.get(str(card.get("Name"))) or (told if told and told < _FULL else None)
    return Accelerator(
        vendor=vendor,
        model=known(card.get("Name")),
        memory_bytes=size,
        driver_version=known(card.get("DriverVersion")),
    )
