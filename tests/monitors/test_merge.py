from __future__ import annotations

from dataclasses import replace

from monitors.merge import attributed, merged_gpus, merged_host, objection
from monitors.protocol import Disk, HostReading, ProcessMemory, Reading
from tests.monitors.fakes import HOST, gpu

PCI = "0000:01:00.0"
OTHER_PCI = "0000:02:00.0"
DISKS = (Disk("/", 10, 5),)


def test_first_source_that_has_a_figure_is_right() -> None:
    first = Reading(gpus=[gpu(power_w=10.0)])
    then = Reading(gpus=[gpu(power_w=99.0, fan_percent=30.0)])
    last = Reading(gpus=[gpu(fan_percent=99.0, clock_mhz=1.0)])

    assert merged_gpus([first, then, last]) == (gpu(power_w=10.0, fan_percent=30.0, clock_mhz=1.0),)


def test_zero_is_a_figure() -> None:
    found = merged_gpus([Reading(gpus=[gpu(power_w=0.0)]), Reading(gpus=[gpu(power_w=99.0)])])

    assert found == (gpu(power_w=0.0),)


def test_same_address_is_the_same_device_by_the_first_ones_name() -> None:
    found = merged_gpus(
        [Reading(gpus=[gpu("GPU-1", pci=PCI)]), Reading(gpus=[gpu(PCI, pci=PCI, vendor="amd", fan_percent=1.0)])]
    )

    assert found == (gpu("GPU-1", pci=PCI, vendor="amd", fan_percent=1.0),)


def test_same_uuid_is_the_same_device_though_an_address_is_missing() -> None:
    assert merged_gpus([Reading(gpus=[gpu()]), Reading(gpus=[gpu(pci=PCI)])]) == (gpu(pci=PCI),)


def test_devices_without_address_are_not_one() -> None:
    assert len(merged_gpus([Reading(gpus=[gpu("a")]), Reading(gpus=[gpu("b")])])) == 2


def test_devices_of_several_sources_stand_in_the_order_of_the_sources() -> None:
    found = merged_gpus([Reading(gpus=[gpu("b"), gpu("a")]), Reading(gpus=[gpu("c"), gpu("a")])])

    assert [each.uuid for each in found] == ["b", "a", "c"]


def test_instances_of_one_card_stay_apart_and_the_card_as_a_whole_is_left_out() -> None:
    cut = [gpu("MIG-1", pci=PCI), gpu("MIG-2", pci=PCI)]
    whole = [gpu(PCI, pci=PCI, power_w=300.0), gpu(OTHER_PCI, pci=OTHER_PCI)]

    assert merged_gpus([Reading(gpus=cut), Reading(gpus=whole)]) == (*cut, whole[1])


def test_host_is_told_by_two_sources() -> None:
    disks = HostReading((), 0, 0, 0, disks=DISKS)

    assert merged_host([Reading(), Reading(HOST), Reading(disks)]) == replace(HOST, disks=DISKS)


def test_host_of_which_the_main_things_are_missing_is_not_told() -> None:
    assert merged_host([Reading(HostReading((), 0, 0, 0, disks=DISKS))]) is None
    assert merged_host([Reading(gpus=[gpu()])]) is None


def test_memory_belongs_to_the_owner_of_the_process() -> None:
    cards = [
        gpu("GPU-1", processes=(ProcessMemory(1, 10), ProcessMemory(2, 5), ProcessMemory(9, 1))),
        gpu("GPU-2", processes=(ProcessMemory(3, 7),)),
    ]

    assert attributed(cards, {1: "a", 2: "a", 3: "b"}) == {"a": {"GPU-1": 15}, "b": {"GPU-2": 7}}


def test_cold_card_is_no_nonsense() -> None:
    reading = Reading(HOST, [gpu(temperature_c=-12.0, memory_temperature_c=-1.0, power_w=0, memory_used_bytes=0)])

    assert objection(reading) is None


def test_load_that_is_no_number_is_nonsense() -> None:
    assert (
        objection(Reading(replace(HOST, cpu_percent=(1.0, float("inf"))))) == "a load of a processor that is no number"
    )


def test_truth_is_no_figure() -> None:
    assert objection(Reading(gpus=[gpu(power_w=True)])) == "power_w of GPU-1 is True"
