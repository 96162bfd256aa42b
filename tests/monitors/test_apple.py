"""Apple's graphics: mactop and ioreg in several forms, and imitations that die, hang, rave and come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from monitors.apple import UUID, Ioreg, Mactop, newest, parse_ioreg, parse_mactop
from monitors.child import ChildFailed
from monitors.protocol import GpuReading, Unavailable
from tests.monitors.fake_programs import Puppet, eventually, is_alive, program
from tests.monitors.mangle import assert_sane, mangled, steady, warped

FIXTURES = {path.name: path.read_text() for path in (Path(__file__).parent / "fixtures/apple").iterdir()}
MACTOP = sorted(text for name, text in FIXTURES.items() if name.startswith("mactop"))
IOREG = sorted(text for name, text in FIXTURES.items() if name.startswith("ioreg"))
M1 = FIXTURES["mactop-m1-pro.jsonl"]
HOST = 32 << 30


def ioreg(folder: Path, says: str = FIXTURES["ioreg-m4.txt"]) -> str:
    """Returns an imitation that prints the file `ioreg.says`."""
    (folder / "ioreg.says").write_text(says)
    return program(folder, "ioreg", "says = open(folder + '/ioreg.says').read()\nprint(says)\nsys.exit(not says)")


def mactop(puppet: Puppet, registry: str = "no-such-ioreg", every_s: float = 5) -> Mactop:
    return Mactop(puppet.path, Ioreg(registry, host_memory=lambda: HOST), every_s, lambda: HOST)


def test_line_of_mactop() -> None:
    assert parse_mactop(M1) == GpuReading(
        uuid=UUID,
        name="Apple M1 Pro (14-core GPU)",
        vendor="apple",
        utilization_percent=37.98882452782923,
        memory_total_bytes=34359738368,
        is_unified=True,
        temperature_c=64.27033,
        memory_temperature_c=48.25,
        power_w=0.96485899,
        fan_percent=(100 * (2323 - 1200) / (5779 - 1200) + 100 * (2495 - 1200) / (6241 - 1200)) / 2,
        clock_mhz=601.0,
    )


def test_line_of_an_older_mactop() -> None:
    found = parse_mactop(FIXTURES["mactop-older.jsonl"])

    assert found is not None
    assert (found.name, found.utilization_percent, found.power_w) == ("Apple M4 (10-core GPU)", 2.5, 0.4)
    assert (found.fan_percent, found.memory_temperature_c, found.temperature_c) == (None, None, None)


def test_list_of_mactop_tells_its_last() -> None:
    found = parse_mactop(FIXTURES["mactop-list.json"])

    assert found is not None
    assert found.name == "Apple M1 Pro (14-core GPU)"


def test_fan_that_stands_still_is_no_negative_speed() -> None:
    line = json.dumps({"gpu_usage": 1, "fans": [{"rpm": 0, "min_rpm": 1200, "max_rpm": 5000}, {"rpm": 1}]})
    found = parse_mactop(line)

    assert found is not None
    assert found.fan_percent == 0.0


def test_newest_line_with_figures_counts() -> None:
    found = newest([FIXTURES["mactop-older.jsonl"], M1, "", "signal received"])

    assert found is not None
    assert found.name.startswith("Apple M1 Pro")
    assert newest(["", "x"]) is None


def test_ioreg_of_a_new_mac() -> None:
    assert parse_ioreg(FIXTURES["ioreg-m4.txt"], HOST) == (
        GpuReading(
            uuid=UUID,
            name="Apple M4 (10-core GPU)",
            vendor="apple",
            utilization_percent=21.0,
            memory_total_bytes=HOST,
            memory_used_bytes=351141888,
            is_unified=True,
        ),
    )


def test_ioreg_of_an_old_mac_with_a_card() -> None:
    own, extra = parse_ioreg(FIXTURES["ioreg-intel-mac.txt"], HOST)

    assert (own.name, own.utilization_percent, own.memory_used_bytes) == ("Intel(R) UHD Graphics 630", 7.0, 268435456)
    assert (extra.name, extra.utilization_percent, extra.memory_used_bytes) == ("AMD Radeon Pro 5500M", 64.0, None)
    assert own.uuid != extra.uuid


@pytest.mark.parametrize("name", sorted(FIXTURES))
def test_recorded_readings_are_sane(name: str) -> None:
    found = parse_ioreg(FIXTURES[name], HOST) if name.startswith("ioreg") else [parse_mactop(FIXTURES[name])]

    assert found
    assert_sane(each for each in found if each is not None)
    assert None not in found


@steady
@given(mangled(MACTOP))
@example("[" * 100_000)
@example('{"gpu_usage": 1' + "0" * 5000 + "}")
def test_garbage_of_mactop_is_read_without_complaint(text: str) -> None:
    found = parse_mactop(text)
    assert_sane([found] if found else [])


@pytest.mark.slow
@steady
@given(st.data())
def test_warped_lines_of_mactop_are_read_without_complaint(data: st.DataObject) -> None:
    found = parse_mactop(json.dumps(data.draw(warped(json.loads(M1)))))
    assert_sane([found] if found else [])


@steady
@given(mangled(IOREG), st.one_of(st.none(), st.integers()))
def test_garbage_of_ioreg_is_read_without_complaint(text: str, host: int | None) -> None:
    assert_sane(parse_ioreg(text, host))


def test_ioreg_is_run_for_each_sample(tmp_path: Path) -> None:
    source = Ioreg(ioreg(tmp_path), host_memory=lambda: HOST)
    source.open()
    before = source.sample().gpus
    (tmp_path / "ioreg.says").write_text("")
    with pytest.raises(ChildFailed):
        source.sample()
    (tmp_path / "ioreg.says").write_text(FIXTURES["ioreg-m4.txt"])
    after = source.sample().gpus
    source.close()

    assert before == after
    assert before[0].memory_used_bytes == 351141888


@pytest.mark.parametrize(("says", "words"), [("nothing of use", "no graphics"), ("", "exited with 1")])
def test_why_ioreg_has_nothing(tmp_path: Path, says: str, words: str) -> None:
    source = Ioreg(ioreg(tmp_path, says))
    with pytest.raises(Unavailable, match=words):
        source.open()


def test_without_the_programs_both_are_unavailable() -> None:
    for source in (Ioreg("no-such-ioreg"), Mactop("no-such-mactop")):
        with pytest.raises(Unavailable, match="not on PATH"):
            source.open()
        source.close()
    with pytest.raises(Unavailable):
        Ioreg("no-such-ioreg").sample()


def test_mactop_with_the_memory_that_ioreg_knows(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "mactop", f"print({M1!r}, flush=True)")
    source = mactop(puppet, ioreg(tmp_path))
    source.open()
    (first,) = source.sample().gpus
    puppet.say(FIXTURES["mactop-older.jsonl"])
    eventually(lambda: source.sample().gpus[0].name == "Apple M4 (10-core GPU)")
    source.close()

    assert (first.memory_used_bytes, first.memory_total_bytes) == (351141888, 34359738368)
    assert first.name == "Apple M1 Pro (14-core GPU)"
    assert "'--headless', '--format', 'json', '--interval', '5000'" in puppet.runs[0][1]
    assert not is_alive(puppet.runs[0][0])


def test_mactop_alone_does_not_know_how_much_memory_is_used(tmp_path: Path) -> None:
    source = mactop(Puppet(tmp_path, "mactop", """print('{"gpu_usage": 3}', flush=True)"""))
    source.open()
    (only,) = source.sample().gpus
    source.close()

    assert (only.memory_used_bytes, only.memory_total_bytes, only.name) == (None, HOST, "Apple GPU")


def test_ioreg_in_trouble_costs_only_the_memory(tmp_path: Path) -> None:
    source = mactop(Puppet(tmp_path, "mactop", f"print({M1!r}, flush=True)"), ioreg(tmp_path))
    source.open()
    (tmp_path / "ioreg.says").write_text("")
    (only,) = source.sample().gpus
    source.close()

    assert (only.memory_used_bytes, only.utilization_percent) == (None, 37.98882452782923)


def test_mactop_may_begin_with_other_words(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "mactop", "print('warming up', flush=True)")
    source = mactop(puppet)
    source.open()
    before = source.sample().gpus
    puppet.say(M1)
    eventually(lambda: bool(source.sample().gpus))
    source.close()

    assert before == ()


def test_mactop_that_dies_is_told_and_runs_again_when_opened(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "mactop", f"print({M1!r}, flush=True)")
    source = mactop(puppet)
    for _ in range(3):
        source.open()
        source.sample()
        puppet.end(2)
        with pytest.raises(ChildFailed, match="exited with 2"):
            eventually(lambda: source.sample() is None)
        source.close()

    assert len(puppet.runs) == 3


def test_mactop_that_raves_is_told(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "mactop", f"print({M1!r}, flush=True)")
    source = mactop(puppet)
    source.open()
    puppet.say("panic: runtime error: index out of range")
    with pytest.raises(ChildFailed, match="panic"):
        eventually(lambda: source.sample() is None)
    source.close()


def test_mactop_that_fails_at_once_is_unavailable(tmp_path: Path) -> None:
    source = mactop(Puppet(tmp_path, "mactop", "print('', flush=True)\nsys.exit('Failed to initialize metrics')"))
    source.open()  # it has said a line
    with pytest.raises(ChildFailed, match="Failed to initialize metrics"):
        eventually(lambda: source.sample() is None)
    source.close()
    silent = mactop(Puppet(tmp_path, "other", "sys.exit(4)"))
    with pytest.raises(Unavailable, match="exited with 4"):
        silent.open()
    silent.close()
