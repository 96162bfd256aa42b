"""The inventory of a machine, taken once: what it is and has, not how it fares.

Each question is asked by a probe of its own, all of them at the same time (`Probes`), so that one that hangs costs its own answer
alone. What several probes know of one accelerator is put together; the tools of the vendors come before the kernel.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from monitors import (
    inventory_amd as amd,
    inventory_drm as drm,
    inventory_linux as linux,
    inventory_macos as macos,
    inventory_nvidia as nvidia,
    inventory_windows as windows,
)
from monitors.inventory_programs import Probes, Programs
from monitors.inventory_shape import Accelerator, Cpu, Environment, Inventory, OperatingSystem, known, merged

logger = logging.getLogger(__name__)

LIMIT_S = 10.0
"""Seconds for everything. Source: compatibility specification 7.6."""

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64", "ppc64le": "ppc64le"} | {
    "armv7l": "armv7",
    "armv7": "armv7",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine to look at: this one, if nothing else is said."""

    system: str = sys.platform
    machine: str = field(default_factory=platform.machine)
    release: str = field(default_factory=platform.release)
    """The kernel's version."""
    root: Path = Path("/")
    """Where its file system begins."""
    page_bytes: int = field(default_factory=_page_bytes)


def take(machine: Machine, programs: Programs, limit_s: float = LIMIT_S) -> Inventory:
    """Returns what *machine* is and has. Blocks, *limit_s* seconds at most; raises nothing.

    programs: by which tools are asked; closing them ends the wait.
    """
    probes = Probes(limit_s)
    nothing: tuple[Cpu, int | None] = (Cpu(), None)
    library = probes.start("the process library", _library, nothing)
    if machine.system == "linux":
        found = _linux(machine, programs, probes)
    elif machine.system == "darwin":
        found = _macos(machine, programs, probes)
    elif machine.system == "win32":
        found = _windows(machine, programs, probes)
    else:
        found = Inventory(system=_other(machine))
    cpu, memory_bytes = library()
    return replace(
        found,
        machine=known(machine.machine),
        cpu=_filled(found.cpu, cpu),
        memory_bytes=found.memory_bytes or memory_bytes,
        problems=tuple(probes.problems),
    )


def describe(version: str, machine: Machine, programs: Programs, limit_s: float = LIMIT_S) -> dict[str, object]:
    """Takes the inventory, and returns it as `document` does. What did not answer is told to the log, in one line."""
    inventory = take(machine, programs, limit_s)
    if inventory.problems:
        logger.warning("not all of the hardware is known: %s", "; ".join(inventory.problems))
    return document(inventory, datetime.now(UTC), version)


def _linux(machine: Machine, programs: Programs, probes: Probes) -> Inventory:
    root, release = machine.root, machine.release
    nothing: list[Accelerator] = []
    records = [
        probes.start("nvidia-smi", partial(nvidia.accelerators, programs), nothing),
        probes.start("rocm-smi", partial(amd.accelerators, programs), nothing),
        probes.start("the topology of KFD", partial(amd.from_topology, root), nothing),
        probes.start("the graphics subsystem", partial(drm.accelerators, root), nothing),
    ]
    system = probes.start(
        "the release", partial(linux.operating_system, root, release), OperatingSystem("linux", kernel=known(release))
    )
    environment = probes.start("the environment", partial(linux.environment, root, programs, release), Environment())
    cpu = probes.start("the processors", partial(linux.cpu, root), Cpu())
    memory = probes.start("the memory", partial(linux.memory_bytes, root, machine.page_bytes), None)
    return Inventory(
        system=system(),
        environment=environment(),
        cpu=cpu(),
        memory_bytes=memory(),
        accelerators=merged(*(answer() for answer in records)),
    )


def _macos(machine: Machine, programs: Programs, probes: Probes) -> Inventory:
    environment = probes.start("sysctl", partial(macos.environment, programs), Environment())
    nothing: tuple[Cpu, int | None, list[Accelerator]] = (Cpu(), None, [])
    cpu, memory, accelerators = probes.start("system_profiler", partial(macos.profile, programs), nothing)()
    return Inventory(
        system=OperatingSystem("macos", "macOS", known(platform.mac_ver()[0]), known(machine.release)),
        environment=environment(),
        cpu=cpu,
        memory_bytes=memory,
        accelerators=merged(accelerators),
    )


def _windows(machine: Machine, programs: Programs, probes: Probes) -> Inventory:
    nothing: list[Accelerator] = []
    cards = probes.start("nvidia-smi", partial(nvidia.accelerators, programs), nothing)
    answer = probes.start("WMI", partial(windows.ask, programs), windows.Answer())()
    listed = cards()
    # WMI has no addresses to put two records together by: NVIDIA's own tool has the only word on NVIDIA's cards.
    others = [card for card in answer.accelerators if not (listed and card.vendor == "NVIDIA")]
    return Inventory(
        system=OperatingSystem("windows", "Windows", known(machine.release), known(platform.version())),
        environment=answer.environment,
        cpu=answer.cpu,
        memory_bytes=answer.memory_bytes,
        accelerators=merged(listed, others),
    )


def _other(machine: Machine) -> OperatingSystem:
    kernel = known(machine.release)
    if machine.system.startswith("freebsd"):
        return OperatingSystem("freebsd", "FreeBSD", kernel, kernel)
    return OperatingSystem("other", kernel=kernel, raw_family=known(machine.system))


def _library() -> tuple[Cpu, int | None]:
    """Returns what psutil knows of this machine, whatever it is, for want of better."""
    return (
        Cpu(cores=psutil.cpu_count(logical=False), threads=psutil.cpu_count()),
        psutil.virtual_memory().total or None,
    )


def _filled(cpu: Cpu, other: Cpu) -> Cpu:
    return replace(cpu, cores=cpu.cores or other.cores, threads=cpu.threads or other.threads)


def document(inventory: Inventory, taken_at: datetime, version: str) -> dict[str, object]:
    """Returns *inventory* as `GET /api/hardware` tells it. Source: compatibility specification 7.6.

    version: of the program that has taken it.
    """
    system, environment, cpu = inventory.system, inventory.environment, inventory.cpu
    return {
        "schema_version": 1,
        "captured_at": taken_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "capture": {
            "scope": "inference_host",
            "method": "detected",
            "detector": {"name": "llama-swap", "version": version},
        },
        "architecture": {
            "name": _ARCHITECTURES.get((inventory.machine or "").lower(), "other"),
            "raw_name": inventory.machine,
        },
        "operating_system": {
            "family": system.family,
            "name": system.name,
            "version": system.version,
            "kernel": system.kernel,
            **_raw("raw_family", system.raw_family),
        },
        "environment": {
            "kind": environment.kind,
            "name": environment.name,
            "version": environment.version,
            **_raw("raw_kind", environment.raw_kind),
        },
        "cpu": {
            "vendor": cpu.vendor,
            "model": cpu.model,
            "socket_count": cpu.sockets,
            "physical_core_count": cpu.cores,
            "logical_thread_count": cpu.threads,
        },
        "memory": {"capacity_bytes": inventory.memory_bytes},
        "accelerators": [_accelerator(index, each) for index, each in enumerate(inventory.accelerators)],
    }


def _raw(name: str, value: str | None) -> Mapping[str, str]:
    return {} if value is None else {name: value}


def _accelerator(index: int, record: Accelerator) -> dict[str, object]:
    has_driver = record.driver is not None or record.driver_version is not None
    return {
        "index": index,
        "kind": "gpu",  # the only kind that any of the probes finds
        "vendor": record.vendor,
        "model": record.model,
        "architecture": record.architecture,
        "memory": {"kind": record.memory_kind or "unknown", "capacity_bytes": record.memory_bytes},
        "driver": {"name": record.driver, "version": record.driver_version} if has_driver else None,
        "power_limit_watts": record.power_limit_w,
    }
