"""The performance counters of Windows, as far as one can tell without one: the parser, the source, and what lies in memory."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from monitors import windows_pdh
from monitors.protocol import GpuReading, ProcessMemory, Unavailable
from monitors.windows import (
    COUNTERS,
    DEDICATED,
    UTILIZATION,
    Adapter,
    Adapters,
    Counters,
    Query,
    WindowsCounters,
    parse,
)
from tests.monitors.mangle import assert_sane, mangled, steady

RECORDED = json.loads((Path(__file__).parent / "fixtures/windows/two-adapters.json").read_text())
VALUES: Counters = {path: [(name, value) for name, value in values] for path, values in RECORDED["counters"].items()}
ADAPTERS: Adapters = {luid: Adapter(*about) for luid, about in RECORDED["adapters"].items()}


class Recorded:
    """Counters that stand still, as `windows.Query`."""

    def __init__(self, counters: Counters = VALUES) -> None:
        self.counters = counters
        self.is_open = True
        self.failure: OSError | None = None

    def read(self) -> Counters:
        if self.failure is not None:
            raise self.failure
        return self.counters

    def adapters(self) -> Adapters:
        return ADAPTERS

    def close(self) -> None:
        self.is_open = False


def test_a_card_and_a_processors_graphics() -> None:
    intel, nvidia = parse(VALUES, ADAPTERS)

    assert nvidia == GpuReading(
        uuid="10de:2684:0",
        name="NVIDIA GeForce RTX 4090",
        index=1,
        vendor="nvidia",
        utilization_percent=91.75,
        memory_total_bytes=25378684928,
        memory_used_bytes=18649448448,
        processes=(ProcessMemory(1204, 313524224), ProcessMemory(4711, 17896046592)),
    )
    assert intel == GpuReading(
        uuid="8086:4680:0",
        name="Intel(R) UHD Graphics 770",
        index=0,
        vendor="intel",
        utilization_percent=4.75,
        memory_total_bytes=134217728 + 34225000000,
        memory_used_bytes=67108864 + 734003200,
        is_unified=True,
        processes=(ProcessMemory(1204, 1048576 + 209715200),),
    )


def test_without_dxgi_adapters_go_by_their_number() -> None:
    cards = parse(VALUES, {})

    assert [card.name for card in cards] == ["GPU 0", "GPU 1", "GPU 2"]
    assert cards[2].uuid == "luid-0x00000000_0x0000e1f2"
    assert (cards[2].memory_used_bytes, cards[2].memory_total_bytes) == (18649448448, None)


def test_adapter_made_of_software_is_left_out() -> None:
    assert len(parse(VALUES, {})) == 3
    assert len(parse(VALUES, ADAPTERS)) == 2


def test_twins_have_names_of_their_own() -> None:
    twins = dict.fromkeys(ADAPTERS, Adapter("NVIDIA RTX A6000", 0x10DE, 0x2230, 48 << 30))

    assert [card.uuid for card in parse(VALUES, twins)] == ["10de:2230:0", "10de:2230:1"]


def test_busy_engines_are_no_more_than_all() -> None:
    name = "luid_0x00000000_0x0000E1F2_phys_0_eng_5_engtype_Compute"
    counters = {UTILIZATION: [(f"pid_{pid}_{name}", 70.0) for pid in (1, 2, 3)]}

    assert parse(counters, {})[0].utilization_percent == 100.0


def test_first_look_has_no_utilization() -> None:
    (card,) = parse({DEDICATED: [("luid_0x00000000_0x0000E1F2_phys_0", 5.0)]}, {})

    assert (card.utilization_percent, card.memory_used_bytes) == (None, 5)


def test_source_reads_and_lets_go() -> None:
    query = Recorded()
    source = WindowsCounters(lambda: query)
    source.open()
    cards = source.sample().gpus
    source.close()
    source.close()

    assert len(cards) == 2
    assert not query.is_open
    with pytest.raises(Unavailable):
        source.sample()


def test_counters_that_fail_raise_and_are_opened_anew() -> None:
    queries = [Recorded(), Recorded()]
    queue = list(queries)
    source = WindowsCounters(lambda: queue.pop(0))
    source.open()
    queries[0].failure = OSError("PdhCollectQueryData failed with 0x800007d0")
    with pytest.raises(OSError, match="0x800007d0"):
        source.sample()
    source.close()
    source.open()

    assert len(source.sample().gpus) == 2
    assert [query.is_open for query in queries] == [False, True]


def test_without_counters_it_is_unavailable() -> None:
    def missing() -> Query:
        raise OSError("PdhAddEnglishCounter failed with 0xc0000bb8")

    with pytest.raises(Unavailable, match=r"no GPU counters: .*0xc0000bb8"):
        WindowsCounters(missing).open()
    with pytest.raises(Unavailable, match="tell of no GPU"):
        WindowsCounters(lambda: Recorded({})).open()


@pytest.mark.skipif(sys.platform == "win32", reason="there are counters on Windows")
def test_elsewhere_it_is_unavailable_and_costs_no_ctypes() -> None:
    with pytest.raises(Unavailable, match="Windows only"):
        WindowsCounters().open()
    code = "import sys, monitors.windows; print('monitors.windows_pdh' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "False"


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="sizes of 64 bits")
def test_structures_have_the_sizes_that_windows_expects() -> None:
    assert ctypes.sizeof(windows_pdh.CounterItem) == 24
    assert windows_pdh.CounterItem.value.offset == 16
    # wchar_t is twice as wide here as there.
    text = 128 * (ctypes.sizeof(ctypes.c_wchar) - 2)
    assert windows_pdh.AdapterDescription.vendor_id.offset - text == 256
    assert windows_pdh.AdapterDescription.dedicated_video.offset - text == 272
    assert windows_pdh.AdapterDescription.luid_low.offset - text == 296
    assert ctypes.sizeof(windows_pdh.AdapterDescription) - text == 312


def test_factory_is_asked_for_by_its_id() -> None:
    assert uuid.UUID("770aae78-f26f-4dba-a829-253c83d1b387").bytes_le == windows_pdh.FACTORY_IID


def test_description_of_an_adapter() -> None:
    about = windows_pdh.AdapterDescription(
        description="NVIDIA T4",
        vendor_id=0x10DE,
        device_id=0x1EB8,
        dedicated_video=15 << 30,
        shared_system=1 << 30,
        luid_low=0xE1F2,
        luid_high=-1,
    )

    assert windows_pdh.luid(about) == "0xffffffff_0x0000e1f2"
    assert windows_pdh.described(about) == Adapter("NVIDIA T4", 0x10DE, 0x1EB8, 15 << 30, 1 << 30)


NAMES = sorted({name for values in VALUES.values() for name, _ in values})


@steady
@given(
    st.dictionaries(st.sampled_from(COUNTERS), st.lists(st.tuples(mangled(NAMES), st.floats()), max_size=8)),
    st.booleans(),
)
def test_any_counters_are_read(counters: dict[str, list[tuple[str, float]]], is_known: bool) -> None:
    assert_sane(parse(counters, ADAPTERS if is_known else {}))
