"""rocm-smi: its CSV in several versions, and an imitation that fails, hangs and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given

from monitors.child import ChildFailed
from monitors.protocol import GpuReading, Unavailable
from monitors.rocm_smi import RocmSmi, parse
from tests.monitors.fake_programs import is_alive, program
from tests.monitors.mangle import assert_sane, mangled, steady

FIXTURES = {path.stem: path.read_text() for path in (Path(__file__).parent / "fixtures/rocm-smi").glob("*.csv")}

OBEYS = """
with open(folder + "/pids", "a") as pids:
    pids.write(f"{os.getpid()}\\n")
print(open(folder + "/says").read(), flush=True)
order = open(folder + "/order").read()
if order == "hang":
    time.sleep(600)
sys.exit(int(order))
"""


def obeying(folder: Path, says: str, order: str = "0") -> str:
    """Returns an imitation that prints the file `says` and then does as the file `order` has it."""
    (folder / "says").write_text(says)
    (folder / "order").write_text(order)
    return program(folder, "rocm-smi", OBEYS)


def test_columns_of_an_old_version() -> None:
    first, second = parse(FIXTURES["old"])

    assert first == GpuReading(
        uuid="0x2490210172fc1a88",
        name="Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB] card0",
        index=0,
        vendor="amd",
        utilization_percent=0.0,
        memory_total_bytes=17163091968,
        memory_used_bytes=10854400,
        temperature_c=33.0,
        memory_temperature_c=32.0,
        power_w=19.0,
        power_limit_w=225.0,
        fan_percent=22.0,
        clock_mhz=925.0,
        memory_clock_mhz=350.0,
        pci="0000:43:00.0",
    )
    assert (second.index, second.utilization_percent, second.power_w, second.clock_mhz) == (1, 98.0, 201.0, 1725.0)


def test_columns_of_a_new_version_after_a_warning() -> None:
    card, processor = parse(FIXTURES["new"])

    assert (card.name, card.uuid) == ("AMD Radeon RX 7900 XTX card0 (gfx1100)", "0x1f2e3d4c5b6a7988")
    assert (card.power_w, card.fan_percent, card.temperature_c) == (80.0, 29.8, 54.0)
    assert (processor.name, processor.uuid) == ("AMD Radeon 8060S Graphics card1 (gfx1151)", "0000:c4:00.0")
    assert (processor.power_w, processor.fan_percent, processor.memory_temperature_c) == (20.358, None, None)


def test_columns_that_are_missing_are_not_known() -> None:
    first, last = parse(FIXTURES["few"])

    assert first == GpuReading(
        uuid="amd-0",
        name="card0",
        vendor="amd",
        utilization_percent=0.0,
        memory_total_bytes=21458059264,
        memory_used_bytes=27856896,
    )
    assert (last.index, last.uuid) == (10, "amd-10")


def test_commas_in_quotes() -> None:
    (card,) = parse(FIXTURES["commas"])

    assert card.name == "AMD INSTINCT MI200 (MCM) OAM, HPE C2 card0"
    assert card.temperature_c == 41.5


def test_stray_quote_does_not_cost_the_next_card() -> None:
    assert [card.index for card in parse('device,Card series\ncard0,"AMD\ncard1,AMD\n')] == [0, 1]


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_recorded_readings_are_sane(name: str) -> None:
    cards = parse(FIXTURES[name])

    assert cards
    assert_sane(cards)


@steady
@given(mangled(sorted(FIXTURES.values())))
@example("device,x\ncard0," + "9" * 200_000)
@example('device,a\ncard0,"\0')
def test_garbage_is_read_without_complaint(text: str) -> None:
    assert_sane(parse(text))


def test_program_is_run_for_each_sample(tmp_path: Path) -> None:
    source = RocmSmi(obeying(tmp_path, FIXTURES["new"]))
    source.open()
    before = source.sample().gpus
    (tmp_path / "says").write_text(FIXTURES["few"])
    after = source.sample().gpus
    source.close()

    assert tuple(before) == parse(FIXTURES["new"])
    assert tuple(after) == parse(FIXTURES["few"])


@pytest.mark.parametrize(
    ("says", "order", "words"),
    [
        ("ERROR:root:Driver not initialized (amdgpu not found in modules)", "1", "exited with 1: ERROR:root:Driver"),
        ("========= ROCm System Management Interface =========", "0", "knows no card"),
    ],
)
def test_why_there_is_nothing_to_read(tmp_path: Path, says: str, order: str, words: str) -> None:
    source = RocmSmi(obeying(tmp_path, says, order))
    with pytest.raises(Unavailable, match=words):
        source.open()
    source.close()


def test_without_the_program_it_is_unavailable() -> None:
    source = RocmSmi("no-such-rocm-smi")
    with pytest.raises(Unavailable, match="not on PATH"):
        source.open()
    with pytest.raises(Unavailable):
        source.sample()
    source.close()


def test_program_that_fails_is_told_and_asked_again(tmp_path: Path) -> None:
    source = RocmSmi(obeying(tmp_path, FIXTURES["few"]))
    source.open()
    (tmp_path / "order").write_text("2")
    with pytest.raises(ChildFailed, match="exited with 2"):
        source.sample()
    (tmp_path / "order").write_text("0")

    assert len(source.sample().gpus) == 2


def test_program_that_hangs_is_killed(tmp_path: Path) -> None:
    source = RocmSmi(obeying(tmp_path, FIXTURES["few"]), limit_s=1)
    source.open()
    (tmp_path / "order").write_text("hang")
    with pytest.raises(ChildFailed, match="has not finished within 1 s"):
        source.sample()

    assert not any(is_alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())
