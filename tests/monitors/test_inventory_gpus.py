"""Accelerators, from recorded outputs and made-up kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors import inventory_amd as amd, inventory_drm as drm, inventory_nvidia as nvidia
from monitors.inventory_programs import Absent, Failed, Programs
from monitors.inventory_shape import Accelerator
from tests.monitors.machines import FIXTURES, drm_card, nvidia_smi, recorded, script, tree

MIB = 1 << 20


# NVIDIA


def test_cards_are_listed_with_their_architecture(tmp_path: Path) -> None:
    tool = nvidia_smi(tmp_path, "nvidia-two-h100.csv", "nvidia-two-h100.architecture.csv")

    found = nvidia.accelerators(Programs({"nvidia-smi": tool}))

    assert found == [
        Accelerator(
            pci,
            "NVIDIA",
            "NVIDIA H100 80GB HBM3",
            "Hopper",
            "dedicated",
            81559 * MIB,
            "nvidia",
            "570.86.15",
            700.0,
        )
        for pci in ("0000:19:00.0", "0000:3b:00.0")
    ]


def test_driver_without_architectures_is_asked_for_compute_capabilities(tmp_path: Path) -> None:
    tool = nvidia_smi(
        tmp_path, "nvidia-old-driver.csv", "nvidia-old-driver.architecture.csv", "nvidia-old-driver.compute_cap.csv"
    )

    found = nvidia.accelerators(Programs({"nvidia-smi": tool}))

    assert [(each.model, each.architecture, each.power_limit_w) for each in found] == [
        ("Tesla P40", "Pascal", 250.0),
        ("NVIDIA GeForce GTX 1080, Founders Edition", "Pascal", None),
    ]


def test_chip_that_shares_the_memory_of_the_machine_has_unified_memory() -> None:
    (found,) = nvidia.parse(recorded("nvidia-gb10.csv"))

    assert (found.memory_kind, found.memory_bytes, found.pci) == ("unified", None, "000f:01:00.0")


def test_cards_are_listed_though_one_is_lost(tmp_path: Path) -> None:
    tool = nvidia_smi(tmp_path, "nvidia-lost-card.csv", status=15)

    found = nvidia.accelerators(Programs({"nvidia-smi": tool}))

    assert [(each.model, each.pci, each.memory_bytes, each.driver_version) for each in found] == [
        ("NVIDIA RTX A6000", "0000:01:00.0", 49140 * MIB, "550.144.03"),
        ("NVIDIA RTX A6000", None, None, None),
    ]


def test_driver_that_cannot_be_reached_is_a_failure(tmp_path: Path) -> None:
    tool = nvidia_smi(tmp_path, "nvidia-no-driver.txt", status=9)

    with pytest.raises(Failed, match="exited with 9: NVIDIA-SMI has failed because"):
        nvidia.accelerators(Programs({"nvidia-smi": tool}))


@pytest.mark.parametrize(
    ("capability", "name"),
    [(12.1, "Blackwell"), (10.0, "Blackwell"), (9.0, "Hopper"), (8.9, "Ada Lovelace"), (8.7, "Ampere"),
     (7.5, "Turing"), (7.2, "Volta"), (6.1, "Pascal"), (5.3, "Maxwell"), (13.0, None), (0.5, None)],
)  # fmt: skip
def test_compute_capability_has_a_family(capability: float, name: str | None) -> None:
    assert nvidia.family(capability) == name


# AMD


def test_cards_of_rocm_6_are_listed_beneath_its_warnings() -> None:
    assert amd.parse(recorded("rocm-6.csv")) == [
        Accelerator(
            "0000:03:00.0",
            "AMD",
            "AMD Radeon RX 7900 XTX",
            "gfx1100",
            "dedicated",
            25753026560,
            "amdgpu",
            "6.8.5",
            327.0,
        ),
        Accelerator("0000:0e:00.0", "AMD", None, "gfx1036", "shared_system", 536870912, "amdgpu", "6.8.5", None),
    ]


def test_card_of_rocm_5_is_listed() -> None:
    assert amd.parse(recorded("rocm-5.csv")) == [
        Accelerator("0000:c3:00.0", "AMD", "Instinct MI100", None, None, 34342961152, "amdgpu", "5.13.11", 290.0)
    ]


def test_tool_that_stumbles_is_asked_for_less(tmp_path: Path) -> None:
    tool = script(
        tmp_path,
        f'case "$*" in *showmaxpower*) echo "Traceback (most recent call last):"; exit 1;; *) cat {FIXTURES}/rocm-5.csv;; esac',
    )

    assert [each.model for each in amd.accelerators(Programs({"rocm-smi": tool}))] == ["Instinct MI100"]


def test_tool_that_fails_twice_has_failed(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="exited with 2: no devices"):
        amd.accelerators(Programs({"rocm-smi": script(tmp_path, "echo no devices; exit 2")}))


def test_tool_that_lists_nothing_says_that_there_is_nothing(tmp_path: Path) -> None:
    assert amd.accelerators(Programs({"rocm-smi": script(tmp_path, "echo")})) == []


@pytest.mark.parametrize("probe", [nvidia.accelerators, amd.accelerators])
def test_tool_that_is_not_there_is_absent(probe: object) -> None:
    assert callable(probe)
    with pytest.raises(Absent):
        probe(Programs({"nvidia-smi": "/nonexistent/a", "rocm-smi": "/nonexistent/b"}))


NODE = "cpu_cores_count 0\nsimd_count 192\nvendor_id 4098\ndevice_id 29772\nlocation_id 768\ndomain 0\n"


def test_topology_tells_target_place_and_memory(tmp_path: Path) -> None:
    nodes = f"{amd.TOPOLOGY}"
    tree(
        tmp_path,
        {
            f"{nodes}/0/properties": "cpu_cores_count 32\ngfx_target_version 0\nvendor_id 4098\n",
            f"{nodes}/1/properties": f"{NODE}gfx_target_version 110000\n",
            f"{nodes}/1/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 25753026560\nflags 0\n",
            f"{nodes}/1/mem_banks/1/properties": "heap_type 4\nsize_in_bytes 4096\n",
        },
    )

    assert amd.from_topology(tmp_path) == [
        Accelerator("0000:03:00.0", "AMD", None, "gfx1100", "dedicated", 25753026560)
    ]


@pytest.mark.parametrize(
    ("version", "target"),
    [(90010, "gfx90a"), (90402, "gfx942"), (100302, "gfx1032"), (110501, "gfx1151"), (120001, "gfx1201"), (0, None)],
)
def test_target_is_written_as_compilers_do(version: int, target: str | None) -> None:
    assert amd.gfx_target(version) == target


# The kernel


def test_card_of_amdgpu_is_told_by_its_files(tmp_path: Path) -> None:
    drm_card(
        tmp_path,
        1,
        "0000:03:00.0",
        {
            "vendor": "0x1002\n",
            "device": "0x744c\n",
            "mem_info_vram_total": "25753026560\n",
            "product_name": "\n",
            "hwmon/hwmon4/power1_cap": "327000000\n",
        },
    )
    tree(tmp_path, {"sys/module/amdgpu/version": "6.8.5\n", "sys/class/drm/card1-DP-1/status": "connected\n"})

    assert drm.accelerators(tmp_path) == [
        Accelerator(
            "0000:03:00.0",
            "AMD",
            memory_bytes=25753026560,
            driver="amdgpu",
            driver_version="6.8.5",
            power_limit_w=327.0,
        )
    ]


def test_card_that_we_may_not_use_is_none_of_ours(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0000:03:00.0", {"vendor": "0x1002\n"}, is_open=False)

    assert drm.accelerators(tmp_path) == []


def test_display_adapter_of_a_board_is_no_accelerator(tmp_path: Path) -> None:
    drm_card(tmp_path, 0, "0000:04:00.0", {"vendor": "0x1a03\n", "driver_name": "ast"})

    assert drm.accelerators(tmp_path) == []


@pytest.mark.parametrize(
    ("address", "files", "told"),
    [
        ("0000:00:02.0", {"vendor": "0x8086", "driver_name": "i915"}, ("Intel", "shared_system", None)),
        (
            "0000:03:00.0",
            {"vendor": "0x8086", "driver_name": "xe", "tile0/physical_vram_size_bytes": "0x2f8000000\n"},
            ("Intel", "dedicated", 0x2F8000000),
        ),
        ("0000:05:00.0", {"vendor": "0x8086", "driver_name": "i915"}, ("Intel", None, None)),
        ("platform", {"vendor": "0x106b", "driver_name": "asahi"}, ("Apple", "unified", None)),
    ],
)
def test_kind_of_memory_is_told_by_what_the_card_is(
    tmp_path: Path, address: str, files: dict[str, str], told: tuple[str, str | None, int | None]
) -> None:
    drm_card(tmp_path, 0, address, files)

    (found,) = drm.accelerators(tmp_path)

    assert (found.vendor, found.memory_kind, found.memory_bytes) == told
