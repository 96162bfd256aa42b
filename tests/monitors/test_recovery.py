"""Programs that die, hang and come back, under the real sampler: its figures are back, and the log has heard of it once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from monitors.apple import Ioreg, Mactop
from monitors.nvidia_smi import NvidiaSmi
from monitors.protocol import Source
from monitors.rocm_smi import RocmSmi
from monitors.sampler import LONGEST_PAUSE_S, Sample, Sampler, State
from tests.monitors.fake_programs import Puppet, is_alive
from tests.monitors.test_apple import FIXTURES as APPLE, ioreg
from tests.monitors.test_nvidia_smi import card, puppet
from tests.monitors.test_rocm_smi import FIXTURES as ROCM, obeying

pytestmark = pytest.mark.anyio

TURNS = 10


class Clock:
    """Time that moves by more than the longest pause with each turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def turned(sampler: Sampler, clock: Clock) -> Sample:
    clock.now += LONGEST_PAUSE_S + 1
    return await sampler.turn()


async def until_stale(sampler: Sampler, clock: Clock) -> Sample:
    """Takes turns until what has happened to the program has reached us."""
    with anyio.fail_after(20):
        while (sample := await turned(sampler, clock)).sources[0].state is State.OK:
            pass
        return sample


def watching(make: Callable[[], Source], clock: Clock) -> Sampler:
    return Sampler({make().name: make}, clock=clock, gather_s=20, limit_s=20)


def heard(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("monitors")]


async def test_nvidia_smi_dies_and_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    smi, clock = puppet(tmp_path, card(0)), Clock()
    sampler = watching(lambda: NvidiaSmi(smi.path), clock)
    with caplog.at_level(logging.INFO, "monitors"):
        async with sampler.opened():
            before = [await turned(sampler, clock) for _ in range(TURNS)]
            smi.end(1)
            dead = await until_stale(sampler, clock)
            after = [await turned(sampler, clock) for _ in range(TURNS)]

    assert {len(sample.gpus) for sample in (*before, *after)} == {1}
    assert (dead.gpus, dead.sources[0].state) == ((), State.STALE)
    assert "exited with 1" in dead.sources[0].detail
    assert len(smi.runs) == 2
    assert not any(is_alive(pid) for pid, _ in smi.runs)
    assert len(heard(caplog)) == 2, "once that it failed, once that it is back"


async def test_rocm_smi_fails_and_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, clock = obeying(tmp_path, ROCM["new"]), Clock()
    sampler = watching(lambda: RocmSmi(path), clock)
    with caplog.at_level(logging.INFO, "monitors"):
        async with sampler.opened():
            before = await turned(sampler, clock)
            (tmp_path / "order").write_text("1")
            failing = [await turned(sampler, clock) for _ in range(TURNS)]
            (tmp_path / "order").write_text("0")
            after = await turned(sampler, clock)

    assert (len(before.gpus), len(after.gpus)) == (2, 2)
    assert {sample.gpus for sample in failing} == {()}
    assert len(heard(caplog)) <= 3, "of changes, not of turns"


async def test_mactop_raves_and_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = APPLE["mactop-m1-pro.jsonl"]
    mactop, clock = Puppet(tmp_path, "mactop", f"print({line!r}, flush=True)"), Clock()
    registry = ioreg(tmp_path)
    sampler = watching(lambda: Mactop(mactop.path, Ioreg(registry)), clock)
    with caplog.at_level(logging.INFO, "monitors"):
        async with sampler.opened():
            before = await turned(sampler, clock)
            mactop.say("fatal error: unexpected signal")
            stale = await until_stale(sampler, clock)
            after = await turned(sampler, clock)

    assert before.gpus == after.gpus
    assert len(after.gpus) == 1
    assert (stale.gpus, stale.sources[0].state) == ((), State.STALE)
    assert "fatal error: unexpected signal" in stale.sources[0].detail
    assert not any(is_alive(pid) for pid, _ in mactop.runs)
    assert len(heard(caplog)) == 2
