"""What is known, what is not, and how records of one accelerator become one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from monitors.inventory_shape import Accelerator, known, merged, number, pci_address, whole


@pytest.mark.parametrize(
    "text",
    ["", " ", "n/a", "N/A", "[N/A]", "Unknown", "[Unknown Error]", "[Not Supported]", "Not Specified", "\x00", None, 7],
)
def test_placeholder_is_not_known(text: object) -> None:
    assert known(text) is None


def test_text_loses_what_surrounds_it() -> None:
    assert known("  AMD Ryzen  9\t7950X \n") == "AMD Ryzen 9 7950X"


@pytest.mark.parametrize(
    ("text", "value"),
    [("700.00", 700.0), (" 12 ", 12.0), (3, 3.0), ("0", None), ("-1", None), ("1,5", None), ("[N/A]", None), ("nan", None), (float("inf"), None), (None, None), ("1e3", None), ("٣", None)],
)  # fmt: skip
def test_number_is_a_figure_above_zero(text: object, value: float | None) -> None:
    assert number(text) == value


def test_whole_number_keeps_every_digit() -> None:
    assert whole("9223372036854771713") == 9223372036854771713


def test_part_of_a_unit_counts() -> None:
    assert whole("1.5", 1 << 20) == 3 << 19


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:01:00.0", "0000:01:00.0"),
        ("0000000F:01:00.0", "000f:01:00.0"),
        ("0000:C3:00.0", "0000:c3:00.0"),
        ("03:00.1", "0000:03:00.1"),
        ("pci:0000:03:00.0", "0000:03:00.0"),
        ("10000:e1:00.0", "10000:e1:00.0"),
        ("0000:01:3f.0", None),
        ("[N/A]", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_of_all_tools_are_one(text: object, address: str | None) -> None:
    assert pci_address(text) == address


@given(st.text())
def test_normal_address_is_its_own(text: str) -> None:
    address = pci_address(text)

    assert pci_address(address) == address


def test_first_record_that_knows_something_counts() -> None:
    told = merged(
        [
            Accelerator(pci="0000:01:00.0", model="from the tool", memory_bytes=5),
        ],
        [
            Accelerator(pci="0000:01:00.0", model="from the kernel", architecture="gfx1100", memory_bytes=6),
        ],
    )

    assert told == (Accelerator(pci="0000:01:00.0", model="from the tool", architecture="gfx1100", memory_bytes=5),)


def test_version_of_another_driver_is_not_put_beside_the_name_of_the_first() -> None:
    told = merged(
        [
            Accelerator(pci="0000:01:00.0", driver="amdgpu"),
        ],
        [
            Accelerator(pci="0000:01:00.0", driver="vfio", driver_version="9"),
        ],
    )

    assert [(each.driver, each.driver_version) for each in told] == [("amdgpu", None)]


def test_devices_are_in_the_order_of_their_addresses_and_those_without_come_last() -> None:
    told = merged(
        [
            Accelerator(pci=pci, model=model)
            for pci, model in ((None, "e"), ("10000:01:00.0", "d"), ("0000:c1:00.0", "b"), ("0001:01:00.0", "c"))
        ]
    )

    assert [each.model for each in told] == ["b", "c", "d", "e"]


@given(st.lists(st.sampled_from(["0000:01:00.0", "0000:02:00.0", None])))
def test_there_is_one_record_for_each_address_and_all_without(addresses: list[str | None]) -> None:
    told = merged([Accelerator(pci=address) for address in addresses])

    assert len(told) == len({address for address in addresses if address}) + addresses.count(None)


def test_record_without_an_address_is_of_the_one_device_that_its_probe_lacks() -> None:
    told = merged(
        [Accelerator(vendor="AMD", model="MI100")],
        [Accelerator(pci="0000:01:00.0", vendor="AMD", architecture="gfx908"), Accelerator("0000:02:00.0", "NVIDIA")],
    )

    assert told == (
        Accelerator("0000:01:00.0", "AMD", "MI100", "gfx908"),
        Accelerator("0000:02:00.0", "NVIDIA"),
    )


def test_record_without_an_address_may_be_of_any_device_that_its_probe_lacks() -> None:
    kernel = [Accelerator(f"0000:0{number}:00.0", "NVIDIA") for number in (1, 2, 3)]

    told = merged([Accelerator("0000:01:00.0", "NVIDIA", "A"), Accelerator(None, "NVIDIA", "lost")], kernel)

    assert told == (Accelerator("0000:01:00.0", "NVIDIA", "A"), *kernel[1:])


def test_record_without_an_address_is_a_device_where_nobody_else_has_one() -> None:
    told = merged([Accelerator("0000:01:00.0", "AMD"), Accelerator(None, "AMD")], [Accelerator("0000:01:00.0", "AMD")])

    assert told == (Accelerator("0000:01:00.0", "AMD"), Accelerator(None, "AMD"))
