"""What Linux tells of the machine: processors, memory, release, and what it runs in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from monitors.inventory_files import first_line, integers, read
from monitors.inventory_programs import Absent, Failed, Programs
from monitors.inventory_shape import Cpu, Environment, OperatingSystem, known, whole

_ARM_VENDORS = {0x41: "ARM", 0x42: "Broadcom", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x4E: "NVIDIA"} | {
    0x50: "Applied Micro", 0x51: "Qualcomm", 0x53: "Samsung", 0x56: "Marvell", 0x61: "Apple", 0x6D: "Microsoft", 0xC0: "Ampere",
}  # fmt: skip
"""Source: the implementer codes of ARM's main ID register, as the kernel's `cputype.h` has them."""

_ARM_PARTS = {0xD03: "Cortex-A53", 0xD05: "Cortex-A55", 0xD08: "Cortex-A72", 0xD0B: "Cortex-A76", 0xD0C: "Neoverse-N1"} | {
    0xD40: "Neoverse-V1", 0xD41: "Cortex-A78", 0xD42: "Cortex-A78AE", 0xD49: "Neoverse-N2", 0xD4F: "Neoverse-V2",
    0xD80: "Cortex-A520", 0xD81: "Cortex-A720", 0xD85: "Cortex-X925", 0xD87: "Cortex-A725",
}  # fmt: skip
"""Of those that ARM itself has made."""

_CONTAINERS = frozenset(("docker", "podman", "lxc", "lxc-libvirt", "systemd-nspawn", "openvz", "rkt", "proot", "pouch"))
_MACHINES = frozenset(("kvm", "qemu", "vmware", "microsoft", "oracle", "xen", "bochs", "uml", "parallels", "bhyve", "qnx")) | {
    "acrn", "amazon", "zvm", "powervm", "apple", "sre", "google", "vm-other",
}  # fmt: skip
"""Words of `systemd-detect-virt`. Source: its manual page."""

_VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon", "CentaurHauls": "Centaur"}


def operating_system(root: Path, release: str) -> OperatingSystem:
    """Returns the distribution and *release*, the kernel's."""
    text = read(root / "etc/os-release") or read(root / "usr/lib/os-release")
    told = parse_release(text)
    return OperatingSystem("linux", known(told.get("NAME")) or "Linux", known(told.get("VERSION_ID")), known(release))


def parse_release(text: str) -> dict[str, str]:
    """Returns the assignments of an `os-release`, without their quotes."""
    found = {}
    for name, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE):
        quoted = re.fullmatch(r"""(["'])(.*)\1""", value.strip())
        found[name] = re.sub(r"\\(.)", r"\1", quoted[2] if quoted else value.strip())
    return found


def environment(root: Path, programs: Programs, release: str) -> Environment:
    """Returns what the system runs in: the innermost of it, a container before the virtual machine around it."""
    if "microsoft" in release.lower():
        return Environment("wsl", "WSL", "2" if "wsl2" in release.lower() else None)
    if (root / ".dockerenv").exists():
        return Environment("container", "docker")
    marker = read(root / "run/.containerenv")
    if marker or (root / "run/.containerenv").exists():
        engine = re.search(r'^engine="(?:podman)-([\w.]+)"', marker, re.MULTILINE)
        return Environment("container", "podman", engine[1] if engine else None)
    if name := known(first_line(root / "run/systemd/container")):
        return named(name)
    try:
        told = programs.run("systemd-detect-virt")
    except Failed as exc:
        told = exc.output  # "none" comes with a failure
    except Absent:
        told = ""
    if (word := told.strip()) and re.fullmatch(r"[a-z0-9-]{1,40}", word):
        return Environment("native") if word == "none" else named(word)
    return _by_signs(root)


def named(word: str) -> Environment:
    """Returns the environment that `systemd-detect-virt` has a word for."""
    if word == "wsl":
        return Environment("wsl", "WSL")
    if word in _CONTAINERS:
        return Environment("container", word)
    if word in _MACHINES:
        return Environment("virtual_machine", word)
    return Environment("other", word, raw_kind=word)


def _by_signs(root: Path) -> Environment:
    if re.search(r"kubepods|/(docker|lxc|libpod)[-/]", read(root / "proc/1/cgroup")):
        return Environment("container")
    cpu = read(root / "proc/cpuinfo")
    maker = known(first_line(root / "sys/class/dmi/id/sys_vendor"))
    product = known(first_line(root / "sys/class/dmi/id/product_name"))
    if re.search(r"^flags\s*:.*\bhypervisor\b", cpu, re.MULTILINE):
        return Environment("virtual_machine", product or maker)
    # Only x86 has the flag, so that its absence says nothing elsewhere; and a sandbox may show neither.
    return Environment("native") if maker and re.search(r"^flags\s*:", cpu, re.MULTILINE) else Environment()


def cpu(root: Path) -> Cpu:
    """Returns the processors of `/proc/cpuinfo`, counted by the topology where that does not tell them apart."""
    found = parse_cpuinfo(read(root / "proc/cpuinfo"))
    if found.sockets is not None and found.cores is not None:
        return found
    packages: set[str] = set()
    cores: set[tuple[str, str]] = set()
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology"):
        package, core = first_line(folder / "physical_package_id"), first_line(folder / "core_id")
        if package.removeprefix("-").isdecimal() and core.isdecimal():
            packages.add(package)
            # Cores of one package may carry the same number in several clusters.
            cores.add((package, first_line(folder / "core_cpus_list") or core))
    return Cpu(found.vendor, found.model, len(packages) or None, len(cores) or None, found.threads)


def parse_cpuinfo(text: str) -> Cpu:
    """Returns what `/proc/cpuinfo` says; sockets and cores only of a kind of processor that numbers them there."""
    blocks = [dict(_pairs(block)) for block in re.split(r"\n[ \t]*\n", text)]
    threads = [block for block in blocks if block.get("processor", "").isdecimal()]
    first = threads[0] if threads else {}
    rest = blocks[-1] if blocks else {}  # of the board, on ARM and POWER
    packages = {block["physical id"] for block in threads if "physical id" in block}
    cores = {
        (block["physical id"], block["core id"]) for block in threads if {"physical id", "core id"} <= block.keys()
    }
    vendor = known(first.get("vendor_id")) or known(rest.get("vendor_id"))
    model = known(first.get("model name")) or known(first.get("cpu")) or known(first.get("cpu model"))
    arm = _hexadecimal(first.get("CPU implementer", ""))
    if arm:
        vendor = vendor or _ARM_VENDORS.get(arm)
        if arm == 0x41:
            model = _ARM_PARTS.get(_hexadecimal(first.get("CPU part", ""))) or model
    model = model or known(rest.get("Hardware"))
    return Cpu(
        _VENDORS.get(vendor or "", vendor), model, len(packages) or None, len(cores) or None, len(threads) or None
    )


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _hexadecimal(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", text) else 0


def memory_bytes(root: Path, page_bytes: int) -> int | None:
    """Returns the memory there is: what is built in, or what our control group may have of it.

    The kernel's total leaves out what it has kept for itself at the start; the zones' pages do not.
    """
    total = integers(read(root / "proc/meminfo")).get("MemTotal", 0) * 1024
    present = present_pages(read(root / "proc/zoneinfo")) * page_bytes
    built_in = max(total, present)
    limits = [limit for limit in cgroup_limits(root) if limit > 0]
    return min([built_in, *limits]) if built_in else None


def present_pages(zoneinfo: str) -> int:
    """Returns the pages of all zones but `Device`, which is accelerators' memory mapped into the address space."""
    zone = ""
    pages = 0
    for line in zoneinfo.splitlines():
        if match := re.match(r"Node\s+\d+,\s+zone\s+(\S+)", line):
            zone = match[1]
        elif zone not in {"", "Device"} and (match := re.fullmatch(r"\s+present\s+([0-9]{1,15})\s*", line, re.ASCII)):
            pages += int(match[1])
    return pages


def cgroup_limits(root: Path) -> Iterator[int]:
    """Yields the limits of our control group and of all those it is in, of either version."""
    for group in read(root / "proc/self/cgroup").splitlines():
        number, _, rest = group.partition(":")
        controllers, _, path = rest.partition(":")
        # Within a container the path may be the host's, of which only the root can be seen here.
        inner = [part for part in path.split("/") if part not in {"", ".", ".."}]
        if number == "0" and not controllers:
            tops, name = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"], "memory.max"
        elif "memory" in controllers.split(","):
            tops, name = [root / "sys/fs/cgroup/memory"], "memory.limit_in_bytes"
        else:
            continue
        for top in tops:
            for depth in range(len(inner) + 1):
                yield whole(first_line(top.joinpath(*inner[:depth], name))) or 0
