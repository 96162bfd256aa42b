"""Which process uses how much of which AMD card, in made-up trees of files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, strategies as st

from monitors.kfd import KFD, cards, pci_of, processes
from monitors.protocol import ProcessMemory
from monitors.sysfs import Sysfs
from tests.monitors.machines import tree
from tests.monitors.mangle import mangled, steady
from tests.monitors.test_sysfs import RADEON, card

PROCESSOR = {"gpu_id": "0", "properties": "cpu_cores_count 16\nlocation_id 0\ndomain 0\n"}
FIRST = {"gpu_id": "45560", "properties": "cpu_cores_count 0\nsimd_count 192\nlocation_id 768\ndomain 0\n"}
SECOND = {"gpu_id": "64042", "properties": "simd_count 80\nlocation_id 50176\ndomain 1\nunique_id 123\n"}


def machine(root: Path) -> Path:
    for number, files in enumerate((PROCESSOR, FIRST, SECOND)):
        tree(root / KFD / f"topology/nodes/{number}", files)
    tree(
        root / KFD / "proc/4711", {"pasid": "32770", "vram_45560": "17896046592", "vram_64042": "0", "sdma_45560": "7"}
    )
    tree(root / KFD / "proc/815", {"vram_45560": "1048576", "vram_64042": "2097152"})
    tree(root / KFD / "proc/99", {"pasid": "1"})
    return root


def test_cards_by_the_drivers_number(tmp_path: Path) -> None:
    assert cards(machine(tmp_path)) == {"45560": "0000:03:00.0", "64042": "0001:c4:00.0"}


def test_memory_of_each_process_on_each_card(tmp_path: Path) -> None:
    assert processes(machine(tmp_path), cards(tmp_path)) == {
        "0000:03:00.0": (ProcessMemory(815, 1048576), ProcessMemory(4711, 17896046592)),
        "0001:c4:00.0": (ProcessMemory(815, 2097152),),
    }


def test_without_the_driver_there_is_nothing(tmp_path: Path) -> None:
    assert cards(tmp_path) == {}
    assert processes(tmp_path, {}) == {}


def test_processes_stand_at_their_card(tmp_path: Path) -> None:
    card(machine(tmp_path), 0, "0000:03:00.0", RADEON)
    source = Sysfs(tmp_path)
    source.open()
    (gpu,) = source.sample().gpus

    assert gpu.processes == (ProcessMemory(815, 1048576), ProcessMemory(4711, 17896046592))


@steady
@given(st.one_of(mangled([FIRST["properties"], SECOND["properties"]]), st.text()))
def test_any_properties_are_an_address_or_none(text: str) -> None:
    assert len(pci_of(text)) in {0, 12}
