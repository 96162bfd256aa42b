"""nvidia-smi: its lines in several forms, and an imitation that dies, hangs, raves and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from monitors.child import ChildFailed
from monitors.nvidia_smi import FIELDS, NvidiaSmi, Ticks, header, parse, reading
from monitors.protocol import GpuReading, Unavailable
from tests.monitors.fake_programs import Puppet, eventually, is_alive
from tests.monitors.mangle import assert_sane, mangled, steady

FIXTURES = {path.stem: path.read_text() for path in (Path(__file__).parent / "fixtures/nvidia-smi").glob("*.csv")}
HEADER = FIXTURES["two-cards"].splitlines()[0]
MIB = 1 << 20

BARE = (
    *("index", "name", "uuid", "temperature.gpu", "utilization.gpu", "memory.used", "memory.total"),
    *("fan.speed", "power.draw"),
)

KNOWS = """
query = next(argument.partition("=")[2] for argument in argv if argument.startswith("--query-gpu="))
unknown = [field for field in query.split(",") if field not in {known!r}]
if unknown:
    print(f'Field "{{unknown[0]}}" is not a valid field to query.\\n', flush=True)
    sys.exit(2)
print({says!r}, flush=True)
"""


def card(index: int, used: int = 1000, name: str = "NVIDIA T4") -> str:
    return f"{index}, GPU-{index}, 00000000:0{index}:00.0, {name}, 40, 5, {used}, 15360, [N/A], 27.3, N/A, 70.00, 585, 5000"


def puppet(folder: Path, says: str = HEADER, known: tuple[str, ...] = FIELDS) -> Puppet:
    return Puppet(folder, "nvidia-smi", KNOWS.format(known=known, says=says))


@contextmanager
def opened(path: str, every_s: int = 5) -> Iterator[NvidiaSmi]:
    source = NvidiaSmi(path, every_s)
    try:
        source.open()
        yield source
    finally:
        source.close()


def test_two_cards_of_the_last_tick() -> None:
    assert parse(FIXTURES["two-cards"]) == (
        GpuReading(
            uuid="GPU-1f0c5a3e-5b7e-4a59-9d0c-0d8f1a2b3c4d",
            name="NVIDIA GeForce RTX 4090",
            index=0,
            vendor="nvidia",
            utilization_percent=99.0,
            memory_total_bytes=24564 * MIB,
            memory_used_bytes=17790 * MIB,
            temperature_c=62.0,
            power_w=401.02,
            power_limit_w=450.0,
            fan_percent=45.0,
            clock_mhz=2750.0,
            memory_clock_mhz=10501.0,
            pci="0000:01:00.0",
        ),
        GpuReading(
            uuid="GPU-9b2d7c11-0000-4c1e-8f3a-5e6d7c8b9a01",
            name="NVIDIA A100-SXM4-80GB",
            index=1,
            vendor="nvidia",
            utilization_percent=3.0,
            memory_total_bytes=81920 * MIB,
            memory_used_bytes=459 * MIB,
            temperature_c=34.0,
            memory_temperature_c=41.0,
            power_w=63.2,
            power_limit_w=400.0,
            fan_percent=None,
            clock_mhz=210.0,
            memory_clock_mhz=1593.0,
            pci="000a:c1:00.0",
        ),
    )


def test_figures_that_a_chip_with_shared_memory_does_not_have() -> None:
    (chip,) = parse(FIXTURES["shared-memory"])

    assert (chip.name, chip.memory_total_bytes, chip.memory_used_bytes, chip.power_w) == (
        "NVIDIA GB10",
        None,
        None,
        10.8,
    )


def test_columns_of_an_old_driver() -> None:
    first, second = parse(FIXTURES["old-driver"])

    assert (first.name, first.memory_total_bytes, first.fan_percent, first.power_w) == (
        "Tesla K20m",
        4742 * MIB,
        None,
        26.14,
    )
    assert (second.utilization_percent, second.temperature_c, second.clock_mhz) == (None, 57.0, None)


def test_commas_in_names_and_in_numbers() -> None:
    first, second = parse(FIXTURES["commas"])

    assert (first.name, first.power_w, first.memory_used_bytes) == (
        "NVIDIA RTX 6000 Ada, Workstation, Rev. B",
        71.25,
        1024 * MIB,
    )
    assert (second.name, second.power_w, second.memory_used_bytes) == ("Foo,Bar", 72.5, 2048 * MIB)


def test_output_without_a_header() -> None:
    cards = parse(FIXTURES["bare"], BARE)

    assert [(each.uuid[:8], each.temperature_c, each.power_w) for each in cards] == [
        ("GPU-1111", 55.0, 310.5),
        ("GPU-6666", 50.0, 110.5),
    ]


def test_output_with_units() -> None:
    (only,) = parse(FIXTURES["units"])

    assert (only.utilization_percent, only.memory_used_bytes, only.power_w, only.pci) == (7.0, 1024 * MIB, 27.31, "")


def test_lost_card_does_not_cost_the_others() -> None:
    assert [each.index for each in parse(FIXTURES["off-the-bus"])] == [0]


@pytest.mark.parametrize(
    "line", ["", "index, name", "0", "x, GPU-0, a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10", card(0)[:40]]
)
def test_line_that_is_no_card(line: str) -> None:
    assert reading(line) is None


def test_header_names_columns_without_units() -> None:
    assert header("index, name, power.draw [W]") == ("index", "name", "power.draw")
    assert header(card(0)) is None


def test_tick_is_shown_when_it_is_whole() -> None:
    ticks = Ticks()
    ticks.feed([card(0, 1), card(1, 1)])
    half = ticks.feed([card(0, 2)])
    whole = ticks.feed([card(1, 2)])

    assert [each.memory_used_bytes for each in half] == [MIB, MIB]
    assert [each.memory_used_bytes for each in whole] == [2 * MIB, 2 * MIB]


def test_card_that_is_gone_leaves_with_the_next_tick() -> None:
    ticks = Ticks()
    ticks.feed([card(0), card(1)])
    ticks.feed([card(0)])

    assert [each.index for each in ticks.feed([card(0)])] == [0]


def test_several_ticks_at_once_show_the_last() -> None:
    cards = Ticks().feed([card(number % 3, number) for number in range(9)])

    assert [each.memory_used_bytes for each in cards] == [6 * MIB, 7 * MIB, 8 * MIB]


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_recorded_readings_are_sane(name: str) -> None:
    cards = parse(FIXTURES[name], BARE if name == "bare" else FIELDS)

    assert cards
    assert_sane(cards)


@steady
@given(mangled(sorted(FIXTURES.values())), st.permutations(FIELDS), st.integers(2, len(FIELDS)))
@example("index,name\n0,\n0,a", FIELDS, 2)
def test_garbage_is_read_without_complaint(text: str, order: list[str], count: int) -> None:
    assert_sane(parse(text))
    fields = [*order[:count], *({"index", "name"} - set(order[:count]))]
    assert_sane(parse(text, fields))


def test_program_says_how_its_cards_are(tmp_path: Path) -> None:
    smi = puppet(tmp_path)
    with opened(smi.path) as source:
        before = source.sample().gpus
        smi.say(f"{card(0, 1)}\n{card(1, 1)}")
        eventually(lambda: len(source.sample().gpus) == 2)
        again = source.sample().gpus
        smi.say(f"{card(0, 2)}\n{card(1, 2)}")
        eventually(lambda: source.sample().gpus[0].memory_used_bytes == 2 * MIB)

    assert before == ()
    assert [each.index for each in again] == [0, 1]
    assert "--loop=5" in smi.runs[0][1]
    assert len(smi.runs) == 1


def test_old_program_is_asked_without_what_it_does_not_know(tmp_path: Path) -> None:
    known = tuple(field for field in FIELDS if field not in {"temperature.memory", "enforced.power.limit"})
    says = "0, GPU-0, 0000:04:00.0, Tesla K20m, 33, 0, 10, 4742, [Not Supported], 26.14, 705, 2600"
    smi = puppet(tmp_path, says, known)
    with opened(smi.path) as source:
        (only,) = source.sample().gpus

    assert (only.name, only.power_w, only.clock_mhz, only.memory_clock_mhz) == ("Tesla K20m", 26.14, 705.0, 2600.0)
    assert len(smi.runs) == 3


def test_without_a_driver_it_is_unavailable_in_its_own_words(tmp_path: Path) -> None:
    words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    smi = Puppet(tmp_path, "nvidia-smi", f"print({words!r}); sys.exit(9)")
    source = NvidiaSmi(smi.path)
    with pytest.raises(Unavailable, match="couldn't communicate"):
        source.open()
    source.close()


def test_without_the_program_it_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="not on PATH"):
        NvidiaSmi("no-such-nvidia-smi").open()


def test_program_that_fails_in_silence_is_unavailable(tmp_path: Path) -> None:
    source = NvidiaSmi(Puppet(tmp_path, "nvidia-smi", "sys.exit(12)").path)
    with pytest.raises(Unavailable, match="exited with 12"):
        source.open()
    source.close()


def test_program_that_dies_is_told_and_runs_again_when_opened(tmp_path: Path) -> None:
    smi = puppet(tmp_path)
    source = NvidiaSmi(smi.path)
    for number in range(3):
        source.open()
        smi.say(card(0, number))
        eventually(lambda: bool(source.sample().gpus))
        smi.end(1)
        with pytest.raises(ChildFailed, match="exited with 1"):
            eventually(lambda: source.sample() is None)
        source.close()

    assert len(smi.runs) == 3
    assert not any(is_alive(pid) for pid, _ in smi.runs)


def test_program_that_raves_is_told(tmp_path: Path) -> None:
    smi = puppet(tmp_path)
    with opened(smi.path) as source:
        smi.say(card(0))
        eventually(lambda: bool(source.sample().gpus))
        smi.say("Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.")
        with pytest.raises(ChildFailed, match="GPU is lost"):
            eventually(lambda: source.sample() is None)


def test_program_that_hangs_is_told(tmp_path: Path) -> None:
    smi = puppet(tmp_path)
    with opened(smi.path, every_s=0) as source, pytest.raises(ChildFailed, match="has said nothing for"):
        eventually(lambda: source.sample() is None)


def test_close_ends_the_program(tmp_path: Path) -> None:
    smi = puppet(tmp_path)
    with opened(smi.path):
        pass

    assert not is_alive(smi.runs[0][0])


def test_close_in_the_middle_of_an_opening_ends_it(tmp_path: Path) -> None:
    smi = Puppet(tmp_path, "nvidia-smi")
    source = NvidiaSmi(smi.path)
    told = threading.Event()

    def open_it() -> None:
        with pytest.raises(Unavailable):
            source.open()
        told.set()

    thread = threading.Thread(target=open_it)
    thread.start()
    eventually(lambda: bool(smi.runs))
    source.close()

    assert told.wait(20)
    thread.join(20)
