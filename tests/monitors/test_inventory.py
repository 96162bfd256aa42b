"""The whole inventory of made-up machines, and of this one."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest
from hypothesis import given, strategies as st

from monitors import (
    inventory_amd as amd,
    inventory_files as files,
    inventory_linux as linux,
    inventory_macos as macos,
    inventory_nvidia as nvidia,
    inventory_windows as windows,
)
from monitors.inventory import Machine, describe, document, take
from monitors.inventory_programs import Programs
from monitors.inventory_shape import Inventory
from tests.monitors.machines import FIXTURES, drm_card, nvidia_smi, recorded, script, tree

NONE = {name: f"/nonexistent/{name}" for name in ("nvidia-smi", "rocm-smi", "systemd-detect-virt")} | {
    name: f"/nonexistent/{name}" for name in ("system_profiler", "sysctl", "powershell")
}
AT = datetime(2026, 11, 22, 12, 0, 0, 987654, tzinfo=timezone(timedelta(hours=1)))

PARSERS: tuple[Callable[[str], object], ...] = (
    nvidia.parse,
    nvidia.parse_architectures,
    amd.parse,
    linux.parse_cpuinfo,
    linux.parse_release,
    linux.present_pages,
    macos.parse,
    macos.parse_vmm,
    windows.parse,
    lambda text: amd.parse_node(files.integers(text), [files.integers(text)]),
)
RECORDED = [path.read_text() for path in sorted(FIXTURES.iterdir())]

MEMBERS = st.text(max_size=3) | st.sampled_from(
    [
        "SPHardwareDataType",
        "SPDisplaysDataType",
        "chip_type",
        "number_processors",
        "physical_memory",
        "sppci_model",
        "spdisplays_vendor",
        "packages",
        "sppci_device_type",
        "cpu",
        "system",
        "video",
        "memory",
        "AdapterRAM",
        "PNPDeviceID",
        "Name",
        "NumberOfCores",
        "Manufacturer",
        "Model",
        "DriverDesc",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.sampled_from(["64 GB", "proc 8", "spdisplays_gpu"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


def linux_machine(root: Path) -> Machine:
    """Returns a machine whose file system begins at *root*."""
    return Machine("linux", "x86_64", "6.12.48", root, 4096)


# What nobody meant


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text() | st.sampled_from(RECORDED))
def test_garbage_is_left_out_and_never_raised(parse: Callable[[str], object], text: str) -> None:
    parse(text)


@given(recording=st.sampled_from(RECORDED), start=st.integers(0, 200), length=st.integers(0, 600), junk=st.text())
def test_recording_that_is_cut_or_damaged_never_raises(recording: str, start: int, length: int, junk: str) -> None:
    for parse in PARSERS:
        parse(recording[start : start + length])
        parse(recording[:start] + junk + recording[start + len(junk) :])


@given(JSON)
def test_json_of_another_form_never_raises(value: object) -> None:
    told = json.dumps(value)

    macos.parse(told)
    windows.parse(told)


def test_json_too_deep_never_raises() -> None:
    assert windows.parse("[" * 100_000) == windows.Answer()


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)))
def test_garbage_of_a_tool_makes_records_that_can_be_told(lines: list[str]) -> None:
    found = nvidia.parse("\n".join(f"0, {line}" for line in lines))

    json.dumps(document(Inventory(accelerators=tuple(found)), AT, "1"), allow_nan=False)


# Whole machines


def test_what_several_probes_know_of_one_card_is_one_record(tmp_path: Path) -> None:
    root = tmp_path / "root"
    drm_card(root, 0, "0000:03:00.0", {"vendor": "0x1002\n", "hwmon/hwmon0/power1_cap": "303000000\n"})
    drm_card(root, 1, "0000:19:00.0", {"vendor": "0x10de\n", "driver_name": "nouveau"})
    tree(
        root,
        {
            f"{amd.TOPOLOGY}/1/properties": "vendor_id 4098\nlocation_id 768\ngfx_target_version 110000\n",
            f"{amd.TOPOLOGY}/1/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 25753026560\n",
            "proc/meminfo": "MemTotal:       41943040 kB\n",
            "proc/cpuinfo": recorded("cpuinfo-two-sockets.txt"),
            "etc/os-release": 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\n',
            "run/systemd/container": "lxc\n",
        },
    )
    listing = "0, NVIDIA H100 PCIe, GPU-1, 00000000:19:00.0, 81559, 570.86.15, 350.00"
    programs = Programs(
        NONE | {"nvidia-smi": script(tmp_path, f'case "$1" in *index*) echo "{listing}";; *) exit 2;; esac')}
    )

    told = document(take(linux_machine(root), programs), AT, "1.2.3")

    assert told == {
        "schema_version": 1,
        "captured_at": "2026-11-22T11:00:00Z",
        "capture": {
            "scope": "inference_host",
            "method": "detected",
            "detector": {"name": "llama-swap", "version": "1.2.3"},
        },
        "architecture": {"name": "x86_64", "raw_name": "x86_64"},
        "operating_system": {"family": "linux", "name": "Debian GNU/Linux", "version": "13", "kernel": "6.12.48"},
        "environment": {"kind": "container", "name": "lxc", "version": None},
        "cpu": {
            "vendor": "Intel",
            "model": "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz",
            "socket_count": 2,
            "physical_core_count": 2,
            "logical_thread_count": 4,
        },
        "memory": {"capacity_bytes": 40 << 30},
        "accelerators": [
            {
                "index": 0,
                "kind": "gpu",
                "vendor": "AMD",
                "model": None,
                "architecture": "gfx1100",
                "memory": {"kind": "dedicated", "capacity_bytes": 25753026560},
                "driver": {"name": "amdgpu", "version": None},
                "power_limit_watts": 303.0,
            },
            {
                "index": 1,
                "kind": "gpu",
                "vendor": "NVIDIA",
                "model": "NVIDIA H100 PCIe",
                "architecture": None,
                "memory": {"kind": "dedicated", "capacity_bytes": 81559 << 20},
                "driver": {"name": "nvidia", "version": "570.86.15"},
                "power_limit_watts": 350.0,
            },
        ],
    }


def test_nothing_that_is_known_is_null_and_not_made_up() -> None:
    told = document(Inventory(), AT, "1")

    assert told["architecture"] == {"name": "other", "raw_name": None}
    assert told["environment"] == {"kind": "unknown", "name": None, "version": None}
    assert told["memory"] == {"capacity_bytes": None}
    assert told["accelerators"] == []


def test_tool_that_hangs_leaves_the_rest_known_and_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, {"root/proc/meminfo": "MemTotal:       41943040 kB\n"})
    programs = Programs(
        NONE
        | {
            "rocm-smi": script(tmp_path, "echo; exit 3", "rocm"),
            "nvidia-smi": script(tmp_path, "sleep 1000", "nvidia"),
        },
        limit_s=0.3,
    )

    with caplog.at_level(logging.INFO, "monitors.inventory"):
        told = describe("1", linux_machine(tmp_path / "root"), programs)

    assert told["memory"] == {"capacity_bytes": 40 << 30}
    assert [record.getMessage() for record in caplog.records] == [
        "not all of the hardware is known: nvidia-smi was not done within 0.3 s; rocm-smi exited with 3"
    ]


def test_limit_for_all_ends_the_wait_for_a_tool(tmp_path: Path) -> None:
    programs = Programs(NONE | {"nvidia-smi": script(tmp_path, "sleep 1000")}, limit_s=60)

    found = take(linux_machine(tmp_path), programs, limit_s=0.2)
    programs.close()

    assert found.problems == ("nvidia-smi took too long",)


def test_mac_is_told_by_its_profiler(tmp_path: Path) -> None:
    programs = Programs(
        NONE
        | {
            "system_profiler": script(tmp_path, f"cat {FIXTURES}/macos-m2-max.json", "profiler"),
            "sysctl": script(tmp_path, "echo 0", "sysctl"),
        }
    )

    found = take(Machine("darwin", "arm64", "24.1.0", tmp_path, 16384), programs)

    assert (found.system.family, found.environment.kind, found.memory_bytes) == ("macos", "native", 64 << 30)
    assert [(each.model, each.memory_kind) for each in found.accelerators] == [("Apple M2 Max", "unified")]


def test_cards_of_nvidia_on_windows_are_told_by_their_own_tool(tmp_path: Path) -> None:
    programs = Programs(
        NONE
        | {
            "powershell": script(tmp_path, f"cat {FIXTURES}/windows.json", "powershell"),
            "nvidia-smi": nvidia_smi(tmp_path, "nvidia-two-h100.csv", "nvidia-two-h100.architecture.csv"),
        }
    )

    found = take(Machine("win32", "AMD64", "11", tmp_path, 4096), programs)

    assert [each.model for each in found.accelerators] == ["NVIDIA H100 80GB HBM3"] * 2 + ["AMD Radeon RX 7800 XT"]
    assert document(found, AT, "1")["architecture"] == {"name": "x86_64", "raw_name": "AMD64"}


def test_windows_without_the_tool_is_told_of_nvidias_cards_by_wmi(tmp_path: Path) -> None:
    programs = Programs(NONE | {"powershell": script(tmp_path, f"cat {FIXTURES}/windows.json", "powershell")})

    found = take(Machine("win32", "AMD64", "11", tmp_path, 4096), programs)

    assert [each.vendor for each in found.accelerators] == ["AMD", "NVIDIA"]


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("freebsd14", {"family": "freebsd", "name": "FreeBSD", "version": "14.2", "kernel": "14.2"}),
        ("sunos5", {"family": "other", "name": None, "version": None, "kernel": "14.2", "raw_family": "sunos5"}),
    ],
)
def test_other_systems_are_told_by_their_name(tmp_path: Path, system: str, told: dict[str, object]) -> None:
    found = take(Machine(system, "sparc64", "14.2", tmp_path, 8192), Programs(NONE))

    assert document(found, AT, "1")["operating_system"] == told
    assert document(found, AT, "1")["architecture"] == {"name": "other", "raw_name": "sparc64"}


def test_this_machine_is_what_python_says_it_is() -> None:
    found = take(Machine(), Programs())

    assert found.machine == platform.machine()
    assert found.system.kernel == platform.release()
    assert found.cpu.threads is not None
    assert found.cpu.threads >= 1
    assert found.memory_bytes is not None
    assert found.memory_bytes <= psutil.virtual_memory().total * 1.2


def test_time_is_told_in_utc() -> None:
    assert (
        document(Inventory(), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "1")["captured_at"] == "2026-01-02T03:04:05Z"
    )
