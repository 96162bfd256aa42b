"""Processors, memory and surroundings, from recorded outputs and made-up file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors import inventory_linux as linux, inventory_macos as macos, inventory_windows as windows
from monitors.inventory_programs import Programs
from monitors.inventory_shape import Accelerator, Cpu, Environment, OperatingSystem
from tests.monitors.machines import FIXTURES, recorded, script, tree

GIB = 1 << 30
NOTHING = Programs({"systemd-detect-virt": "/nonexistent/detect"})
KERNEL = "6.12.48+deb13-amd64"
DMI = "sys/class/dmi/id"


# Linux: the release


def test_release_is_told_by_the_distribution(tmp_path: Path) -> None:
    tree(tmp_path, {"etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nNAME="Ubuntu"\nVERSION_ID=\'24.04\'\n'})

    assert linux.operating_system(tmp_path, KERNEL) == OperatingSystem("linux", "Ubuntu", "24.04", KERNEL)


def test_distribution_without_a_version_has_none(tmp_path: Path) -> None:
    tree(tmp_path, {"usr/lib/os-release": 'NAME="Arch \\"Linux\\""\nBUILD_ID=rolling\n'})

    assert linux.operating_system(tmp_path, KERNEL) == OperatingSystem("linux", 'Arch "Linux"', None, KERNEL)


def test_system_without_a_release_is_linux_all_the_same(tmp_path: Path) -> None:
    assert linux.operating_system(tmp_path, "") == OperatingSystem("linux", "Linux")


# Linux: what it runs in


@pytest.mark.parametrize(
    ("release", "version"), [("5.15.167.4-microsoft-standard-WSL2", "2"), ("4.4.0-19041-Microsoft", None)]
)
def test_subsystem_of_windows_is_told_by_its_kernel(tmp_path: Path, release: str, version: str | None) -> None:
    assert linux.environment(tmp_path, NOTHING, release) == Environment("wsl", "WSL", version)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".dockerenv": ""}, Environment("container", "docker")),
        ({"run/.containerenv": 'engine="podman-5.4.2"\nname="x"\n'}, Environment("container", "podman", "5.4.2")),
        ({"run/.containerenv": ""}, Environment("container", "podman")),
        ({"run/systemd/container": "systemd-nspawn\n"}, Environment("container", "systemd-nspawn")),
        ({"run/systemd/container": "wsl\n"}, Environment("wsl", "WSL")),
        ({"proc/1/cgroup": "0::/kubepods.slice/pod1\n"}, Environment("container")),
        ({"proc/cpuinfo": "flags\t: fpu hypervisor\n"}, Environment("virtual_machine")),
        (
            {"proc/cpuinfo": "flags\t: fpu hypervisor\n", f"{DMI}/product_name": "KVM\n"},
            Environment("virtual_machine", "KVM"),
        ),
        ({"proc/cpuinfo": "flags\t: fpu\n", f"{DMI}/sys_vendor": "Dell Inc.\n"}, Environment("native")),
        ({"proc/cpuinfo": "Features\t: fp\n", f"{DMI}/sys_vendor": "Dell Inc.\n"}, Environment()),
        ({}, Environment()),
    ],
)
def test_environment_is_told_by_its_signs(tmp_path: Path, files: dict[str, str], expected: Environment) -> None:
    assert linux.environment(tree(tmp_path, files), NOTHING, KERNEL) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("kvm", Environment("virtual_machine", "kvm")),
        ("lxc", Environment("container", "lxc")),
        ("none", Environment("native")),
        ("container-other", Environment("other", "container-other", raw_kind="container-other")),
        ("", Environment()),
    ],
)
def test_environment_is_told_by_the_tool(tmp_path: Path, word: str, expected: Environment) -> None:
    """Which exits with a failure if there is nothing to tell."""
    tool = script(tmp_path, f"echo {word}; test {word or 'none'} != none")

    assert linux.environment(tmp_path, Programs({"systemd-detect-virt": tool}), KERNEL) == expected


# Linux: processors


def test_threads_of_a_core_and_cores_of_a_socket_are_told_apart(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/cpuinfo": recorded("cpuinfo-two-sockets.txt")})

    assert linux.cpu(tmp_path) == Cpu("Intel", "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", 2, 2, 4)


def test_processors_that_are_not_numbered_are_counted_by_the_topology(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/cpuinfo": recorded("cpuinfo-arm.txt")})
    for number in range(2):
        folder = f"sys/devices/system/cpu/cpu{number}/topology"
        tree(
            tmp_path,
            {
                f"{folder}/physical_package_id": "0\n",
                f"{folder}/core_id": f"{number}\n",
                f"{folder}/core_cpus_list": f"{number}\n",
            },
        )

    assert linux.cpu(tmp_path) == Cpu("ARM", "Neoverse-N1", 1, 2, 2)


def test_board_is_no_processor() -> None:
    assert linux.parse_cpuinfo(recorded("cpuinfo-power.txt")) == Cpu(None, "POWER9, altivec supported", None, None, 2)


def test_machine_without_processors_to_read_has_none_that_are_known(tmp_path: Path) -> None:
    assert linux.cpu(tmp_path) == Cpu()


# Linux: memory


def test_zones_count_what_the_total_leaves_out_and_not_what_devices_lend(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/meminfo": "MemTotal:       40000000 kB\n", "proc/zoneinfo": recorded("zoneinfo.txt")})

    assert linux.memory_bytes(tmp_path, 4096) == (3998 + 2 * 5242880) * 4096


def test_total_counts_where_zones_cannot_be_read(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/meminfo": "MemTotal:       41943040 kB\nMemFree:  1 kB\n"})

    assert linux.memory_bytes(tmp_path, 4096) == 40 * GIB


@pytest.mark.parametrize(
    ("group", "files", "limit"),
    [
        ("0::/\n", {"memory.max": str(8 * GIB)}, 8 * GIB),
        ("0::/a.slice/b\n", {"memory.max": "max", "a.slice/memory.max": str(4 * GIB)}, 4 * GIB),
        ("0::/a/b\n", {"a/memory.max": str(4 * GIB), "a/b/memory.max": str(2 * GIB)}, 2 * GIB),
        ("1:name=systemd:/\n0::/x\n", {"unified/memory.max": str(3 * GIB)}, 3 * GIB),
        ("9:cpu,memory:/docker/1\n", {"memory/memory.limit_in_bytes": str(GIB)}, GIB),
        ("9:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 40 * GIB),
        ("0::/../../x\n", {"memory.max": "max"}, 40 * GIB),
        ("", {"memory.max": str(GIB)}, 40 * GIB),
    ],
)
def test_control_group_limits_the_memory(tmp_path: Path, group: str, files: dict[str, str], limit: int) -> None:
    tree(tmp_path, {"proc/meminfo": "MemTotal:       41943040 kB\n", "proc/self/cgroup": group})
    tree(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})

    assert linux.memory_bytes(tmp_path, 4096) == limit


def test_limit_alone_is_no_memory(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n"})

    assert linux.memory_bytes(tmp_path, 4096) is None


# macOS


def test_apples_own_chip_shares_its_memory(tmp_path: Path) -> None:
    profiler = script(tmp_path, f"cat {FIXTURES}/macos-m2-max.json")

    assert macos.profile(Programs({"system_profiler": profiler})) == (
        Cpu("Apple", "Apple M2 Max", 1, 12, 12),
        64 * GIB,
        [Accelerator(vendor="Apple", model="Apple M2 Max", memory_kind="unified", memory_bytes=64 * GIB)],
    )


def test_macs_with_two_cards_list_both() -> None:
    assert macos.parse(recorded("macos-intel.json")) == (
        Cpu("Intel", "8-Core Intel Core i9", 1, 8, None),
        32 * GIB,
        [
            Accelerator(
                vendor="Intel",
                model="Intel UHD Graphics 630",
                memory_kind="shared_system",
                memory_bytes=1536 << 20,
            ),
            Accelerator(vendor="AMD", model="AMD Radeon Pro 5500M", memory_kind="dedicated", memory_bytes=8 * GIB),
        ],
    )


@pytest.mark.parametrize(("text", "kind"), [("1\n", "virtual_machine"), ("0\n", "native"), ("", "unknown")])
def test_virtual_mac_says_so(tmp_path: Path, text: str, kind: str) -> None:
    told = macos.environment(Programs({"sysctl": script(tmp_path, f"printf '{text}'")}))

    assert told.kind == kind


# Windows


def test_sizes_that_wmi_has_no_room_for_are_from_the_registry_or_not_known(tmp_path: Path) -> None:
    shell = script(tmp_path, f"cat {FIXTURES}/windows.json")

    assert windows.ask(Programs({"powershell": shell})) == windows.Answer(
        Cpu("AMD", "AMD Ryzen 9 7950X 16-Core Processor", 1, 16, 32),
        Environment("native"),
        67849052160,
        (
            Accelerator(
                vendor="AMD",
                model="AMD Radeon RX 7800 XT",
                memory_bytes=17163091968,
                driver_version="32.0.12033.1030",
            ),
            Accelerator(vendor="NVIDIA", model="NVIDIA GeForce RTX 3060", driver_version="32.0.15.6614"),
        ),
    )


def test_answer_may_begin_with_the_mark_of_its_encoding() -> None:
    assert windows.parse("\ufeff" + recorded("windows.json")).memory_bytes == 67849052160


def test_small_size_of_wmi_counts() -> None:
    card = '{"Name":"A","AdapterRAM":2147483648,"PNPDeviceID":"PCI\\\\VEN_8086&DEV_1"}'

    assert [each.memory_bytes for each in windows.parse(f'{{"video":{card}}}').accelerators] == [2 * GIB]


@pytest.mark.parametrize(
    ("maker", "model", "kind"),
    [
        ("Microsoft Corporation", "Virtual Machine", "virtual_machine"),
        ("VMware, Inc.", "VMware20,1", "virtual_machine"),
        ("LENOVO", "21HD", "native"),
        ("", "", "unknown"),
    ],
)
def test_virtual_windows_is_told_by_its_maker(maker: str, model: str, kind: str) -> None:
    answer = windows.parse(f'{{"system":{{"Manufacturer":"{maker}","Model":"{model}"}}}}')

    assert answer.environment.kind == kind


def test_processor_of_which_the_cores_are_missing_is_still_one() -> None:
    assert windows.parse('{"cpu":[{"Name":"X"},{"Name":"X","NumberOfCores":4}]}').cpu == Cpu(None, "X", 2, None, None)
