"""Numbers as programs print them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from monitors import figures
from tests.monitors.mangle import json_values, steady


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("45", 45.0),
        (" 45 % ", 45.0),
        ("12,5 W", 12.5),
        ("(800Mhz)", 800.0),
        ("-1", -1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        (7, 7.0),
        ("[N/A]", None),
        ("", None),
        ("nan", None),
        ("1e999", None),
        (10**400, None),
        (math.inf, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_number(printed: object, meant: float | None) -> None:
    assert figures.number(printed) == meant


@pytest.mark.parametrize(("printed", "meant"), [("0", 0.0), (103, 100.0), ("4294967295", None), ("-1", None)])
def test_percent(printed: object, meant: float | None) -> None:
    assert figures.percent(printed) == meant


def test_quantities_have_scales_and_bounds() -> None:
    assert figures.byte_count("24564", figures.MEBIBYTE) == 24564 << 20
    assert figures.byte_count("18446744073709551615") is None
    assert figures.celsius("58000", 1e-3) == 58.0
    assert figures.celsius("4294967295") is None
    assert figures.watts(287431, 1e-3) == pytest.approx(287.431)
    assert figures.watts(-1) is None
    assert figures.megahertz("4294967295") is None
    assert figures.whole("3") == 3
    assert figures.whole(1.5) is None
    assert figures.whole(1 << 31) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:01:00.0", "0000:01:00.0"),
        ("0000000A:C1:00.0", "000a:c1:00.0"),
        ("0000:C4:00.0", "0000:c4:00.0"),
        ("1002:744C-1043:0506-0000:03:00.0", "0000:03:00.0"),
        ("01:00.0", ""),
        ("", ""),
    ],
)
def test_pci_address(text: str, address: str) -> None:
    assert figures.pci_address(text) == address


@pytest.mark.parametrize("text", ["N/A", "[N/A]", "<unknown>", " ", "[Not Supported]", "\0"])
def test_text_that_stands_for_nothing(text: str) -> None:
    assert figures.words(text) == ""


def test_text_is_one_line_that_can_be_shown() -> None:
    assert figures.words(" NVIDIA\tRTX\n4090\x1b[31m ") == "NVIDIA RTX 4090 [31m"
    assert len(figures.words("x" * 1000)) == 200
    assert figures.words(5) == ""


@steady
@given(st.one_of(json_values(), st.text()))
def test_anything_is_a_figure_or_none(value: object) -> None:
    quantities = (figures.percent, figures.byte_count, figures.watts, figures.megahertz, figures.whole)
    found = [quantity(value) for quantity in quantities]

    assert all(each is None or (math.isfinite(each) and each >= 0) for each in found)
    assert figures.words(value).isprintable()


@steady
@given(json_values(), st.lists(st.text(max_size=3), max_size=3))
def test_any_path_leads_somewhere_or_nowhere(value: object, path: list[str]) -> None:
    figures.at(value, *path)
