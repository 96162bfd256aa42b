from __future__ import annotations

import gc
import logging
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from monitors.calls import Call, Late
from monitors.protocol import ProcessMemory, Reading, Source, Unavailable
from monitors.sampler import LONGEST_PAUSE_S, STEADY_S, Sample, Sampler, SourceStatus, State, without_processes
from tests.monitors.fakes import HOST, Fake, gpu, wild

pytestmark = pytest.mark.anyio


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def sampler(*fakes: Fake, clock: Clock | None = None, **options: Any) -> Sampler:
    """Returns one that asks *fakes*, in this order, and has as much patience as a busy machine needs."""
    sources: Mapping[str, Callable[[], Source]] = {fake.name: fake.again for fake in fakes}
    return Sampler(sources, **{"limit_s": 10.0, "gather_s": 10.0, "clock": clock or Clock(), **options})


def states(sample: Sampler | Sample) -> dict[str, State]:
    status = sample.status if isinstance(sample, Sampler) else sample.sources
    return {each.name: each.state for each in status}


@contextmanager
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Gives what an operator reads meanwhile, once it is over."""
    lines: list[str] = []
    with caplog.at_level(logging.INFO, "monitors"):
        yield lines
        lines += [
            f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name.startswith("mon")
        ]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.001)


async def test_sample_holds_what_all_sources_say() -> None:
    host, card = Fake("host"), Fake("card", Reading(gpus=[gpu()]))
    at = datetime(2026, 1, 2, tzinfo=UTC)
    watching = sampler(host, card, now=lambda: at)
    async with watching.opened():
        sample = await watching.turn()

    ok = (SourceStatus("host", State.OK), SourceStatus("card", State.OK))
    assert sample == Sample(at, HOST, (gpu(),), (), ok)


async def test_source_is_opened_once_sampled_each_turn_and_closed_at_the_end() -> None:
    fake = Fake()
    watching = sampler(fake)
    async with watching.opened():
        for _ in range(3):
            await watching.turn()
        assert fake.closed == 0

    # The first time is when it is opened.
    assert (fake.opened, fake.sampled, fake.closed) == (1, 4, 1)


async def test_absent_source_is_told_of_with_its_reason_and_not_complained_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake = Fake(absent="no such library")
    watching = sampler(fake, Fake("other"))
    with told(caplog) as lines:
        async with watching.opened():
            sample = await watching.turn()

    assert sample.sources[0] == SourceStatus("fake", State.ABSENT, "no such library")
    assert sample.host == HOST
    assert lines == []


async def test_absent_source_is_looked_for_again_after_minutes() -> None:
    clock, fake = Clock(), Fake(absent="no daemon")
    watching = sampler(fake, clock=clock)
    async with watching.opened():
        clock.now += LONGEST_PAUSE_S - 1
        await watching.turn()
        assert fake.opened == 1
        fake.absent = ""
        clock.now += 1
        sample = await watching.turn()

    assert states(sample) == {"fake": State.OK}
    assert sample.host == HOST


@pytest.mark.parametrize(
    ("failure", "words"),
    [(OSError("it broke"), "OSError: it broke"), (TimeoutError(), "TimeoutError"), (ZeroDivisionError("x"), "x")],
)
async def test_failing_source_is_stale_closed_and_left_out(failure: Exception, words: str) -> None:
    fake, other = Fake(), Fake("other", Reading(gpus=[gpu()]))
    watching = sampler(fake, other)
    async with watching.opened():
        await watching.turn()
        fake.fails = failure
        sample = await watching.turn()
        assert fake.closed == 1

    assert sample.sources[0].state is State.STALE
    assert words in sample.sources[0].detail
    assert sample.host is None
    assert sample.gpus == (gpu(),)


async def test_source_that_cannot_be_opened_is_stale() -> None:
    fake = Fake(fails_to_open=PermissionError("not for you"))
    watching = sampler(fake)
    async with watching.opened():
        pass

    assert watching.status[0] == SourceStatus("fake", State.STALE, "PermissionError: not for you")


async def test_source_whose_device_goes_is_absent(caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    watching = sampler(fake)
    with told(caplog) as lines:
        async with watching.opened():
            fake.fails = Unavailable("unplugged")
            sample = await watching.turn()

    assert states(sample) == {"fake": State.ABSENT}
    assert lines == ["WARNING hardware source fake is gone: unplugged"]


async def test_dead_source_comes_back_after_a_pause_that_grows() -> None:
    clock, fake = Clock(), Fake(fails=OSError("dead"))
    watching = sampler(fake, clock=clock)
    async with watching.opened():
        pauses = []
        for _ in range(11):
            opened, since = fake.opened, clock.now
            while fake.opened == opened:
                clock.now += 1
                await watching.turn()
            pauses.append(clock.now - since)
        fake.fails = None
        clock.now += LONGEST_PAUSE_S
        sample = await watching.turn()

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert states(sample) == {"fake": State.OK}


async def test_source_that_has_worked_for_a_while_is_forgiven() -> None:
    clock, fake = Clock(), Fake(fails=OSError("dead"))
    watching = sampler(fake, clock=clock)

    async def reopened_after(pause: float) -> bool:
        opened = fake.opened
        clock.now += pause
        await watching.turn()
        return fake.opened > opened

    async with watching.opened():
        for pause in (1, 2, 4):
            assert await reopened_after(pause)
        fake.fails = None
        assert await reopened_after(8)
        # Working, though not for long: the next pause is the longer one.
        fake.fails = OSError("dead again")
        await watching.turn()
        assert not await reopened_after(15)
        fake.fails = None
        assert await reopened_after(1)
        clock.now += STEADY_S
        await watching.turn()
        fake.fails = OSError("and again")
        await watching.turn()

        assert await reopened_after(1)


async def test_log_hears_of_each_change_once(caplog: pytest.LogCaptureFixture) -> None:
    clock, fake = Clock(), Fake()
    watching = sampler(fake, clock=clock)
    with told(caplog) as lines:
        async with watching.opened():
            fake.fails = OSError("dead")
            for _ in range(20):
                clock.now += 5
                await watching.turn()
            fake.fails = None
            clock.now += LONGEST_PAUSE_S
            for _ in range(20):
                clock.now += 5
                await watching.turn()

    assert lines == [
        "WARNING hardware source fake has no figures: OSError: dead; it is tried again",
        "INFO hardware source fake has figures again",
    ]


@pytest.mark.parametrize(
    ("nonsense", "words"),
    [
        (None, "NoneType instead of a reading"),
        ({"gpus": []}, "dict instead of a reading"),
        (wild(host="busy"), "str for the host"),
        (wild(gpus=["card"]), "str for a GPU"),
        (wild(gpus=[gpu(power_w=math.nan)]), "power_w of GPU-1 is nan"),
        (wild(gpus=[gpu(memory_used_bytes=-1)]), "memory_used_bytes of GPU-1 is -1"),
        (wild(gpus=[gpu(fan_percent="30 %")]), "fan_percent of GPU-1 is '30 %'"),
        (wild(gpus=[gpu("")]), "without a name to tell it by"),
        (wild(gpus=3), "TypeError"),
    ],
)
async def test_nonsense_makes_a_source_stale(nonsense: object, words: str) -> None:
    fake = Fake(reading=nonsense)
    watching = sampler(fake)
    async with watching.opened():
        sample = await watching.turn()

    assert sample.sources[0].state is State.STALE
    assert words in sample.sources[0].detail
    assert (sample.host, sample.gpus, fake.closed) == (None, (), 1)


async def test_hanging_source_delays_no_other_and_is_stale() -> None:
    fake, other = Fake(hangs=True), Fake("other", Reading(HOST))
    watching = sampler(fake, other, gather_s=0.5, limit_s=1.5)
    try:
        async with watching.opened():
            # It has not used up its own patience yet, which is more than that of the sample.
            sample = await watching.turn()
            assert (states(sample), sample.host) == ({"fake": State.NEW, "other": State.OK}, HOST)
            await until(lambda: states(watching)["fake"] is State.STALE)

            assert watching.status[0].detail == "no answer within 1.5 s"
            assert (await watching.turn()).host == HOST
    finally:
        fake.let_go.set()


async def test_hung_thread_stays_the_only_one() -> None:
    clock, fake = Clock(), Fake(hangs=True)
    watching = sampler(fake, clock=clock, limit_s=0.5)
    try:
        async with watching.opened():
            before = threading.active_count()
            for _ in range(50):
                clock.now += LONGEST_PAUSE_S
                await watching.turn()

            assert (fake.opened, fake.sampled, fake.most_at_once) == (1, 1, 1)
            assert threading.active_count() <= before
            fake.hangs = False
            fake.let_go.set()
            await until(lambda: fake.at_once == 0)
            await until(lambda: clock.now > 0 and not watching._sources["fake"].is_busy)
            clock.now += LONGEST_PAUSE_S
            sample = await watching.turn()
    finally:
        fake.let_go.set()

    assert states(sample) == {"fake": State.OK}
    assert sample.host == HOST


async def test_hanging_source_is_closed_which_may_wake_it() -> None:
    clock, fake = Clock(), Fake(hangs=True, heeds_close=True)
    watching = sampler(fake, clock=clock, limit_s=0.5)
    async with watching.opened():
        assert (fake.closed, states(watching)) == (1, {"fake": State.STALE})
        fake.hangs = False
        await until(lambda: not watching._sources["fake"].is_busy)
        clock.now += LONGEST_PAUSE_S
        sample = await watching.turn()

    assert states(sample) == {"fake": State.OK}


async def test_what_was_read_too_late_is_in_no_sample() -> None:
    clock, fake = Clock(), Fake(hangs=True)
    watching = sampler(fake, clock=clock, limit_s=0.5)
    async with watching.opened():
        fake.let_go.set()
        await until(lambda: fake.at_once == 0)
        sample = await watching.turn()

    assert sample.host is None


async def test_slow_source_is_in_the_next_sample() -> None:
    fake = Fake(hangs=True)
    watching = sampler(fake, gather_s=0.01)
    async with watching.opened():
        assert (await watching.turn()).host is None
        fake.let_go.set()
        await until(lambda: states(watching)["fake"] is State.OK)
        fake.let_go.clear()
        sample = await watching.turn()
        then = await watching.turn()
        fake.let_go.set()

    assert sample.host == HOST
    # What it has said counts once.
    assert then.host is None


async def test_failing_close_changes_nothing() -> None:
    clock, fake = Clock(), Fake(fails_to_close=OSError("stuck"))
    watching = sampler(fake, clock=clock)
    async with watching.opened():
        fake.fails = OSError("dead")
        await watching.turn()
        fake.fails = None
        clock.now += 1
        sample = await watching.turn()

    assert states(sample) == {"fake": State.OK}
    assert fake.closed == 2


async def test_source_that_hangs_while_it_is_closed_is_not_opened_meanwhile() -> None:
    clock, fake = Clock(), Fake(hangs_in_close=True, fails=OSError("dead"))
    watching = sampler(fake, clock=clock, limit_s=0.5)
    async with watching.opened():
        fake.fails = None
        for _ in range(3):
            clock.now += LONGEST_PAUSE_S
            sample = await watching.turn()
        assert (states(sample), fake.opened) == ({"fake": State.STALE}, 1)
        fake.let_go.set()
        await until(lambda: not watching._sources["fake"].is_busy)
        sample = await watching.turn()

    assert (states(sample), fake.opened) == ({"fake": State.OK}, 2)


@pytest.mark.timeout(30)
def test_program_ends_while_a_source_hangs() -> None:
    """Also while its close hangs: nobody waits for such a thread."""
    program = """
import threading, anyio
from monitors.protocol import Reading
from monitors.sampler import Sampler
class Hangs:
    name = "hangs"
    def open(self): pass
    def sample(self): threading.Event().wait()
    close = sample
async def main():
    async with Sampler({"hangs": Hangs}, gather_s=0.01).opened():
        print("working", flush=True)
anyio.run(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)

    assert (done.returncode, done.stdout, done.stderr) == (0, "working\n", "")


async def test_stand_in_is_asked_only_while_the_other_has_nothing() -> None:
    clock = Clock()
    library, program = Fake("library", Reading(gpus=[gpu()])), Fake("program", Reading(gpus=[gpu(power_w=5.0)]))
    watching = sampler(library, program, clock=clock, stands_in_for={"program": ("library",)})
    async with watching.opened():
        sample = await watching.turn()
        assert (states(sample)["program"], program.opened) == (State.IDLE, 0)
        library.fails = OSError("driver gone")
        await watching.turn()
        clock.now += 0.5
        sample = await watching.turn()
        assert (states(sample), sample.gpus) == (
            {"library": State.STALE, "program": State.OK},
            (gpu(power_w=5.0),),
        )
        library.fails = None
        clock.now += 1
        await watching.turn()
        sample = await watching.turn()

    assert states(sample) == {"library": State.OK, "program": State.IDLE}
    assert (sample.gpus, program.closed) == ((gpu(),), 1)


async def test_device_keeps_its_uuid_while_the_source_that_knows_it_best_is_stale() -> None:
    pci = "0000:01:00.0"
    best, other = Fake("best", Reading(gpus=[gpu("GPU-1", pci=pci)])), Fake("other", Reading(gpus=[gpu(pci, pci=pci)]))
    watching = sampler(best, other)
    async with watching.opened():
        await watching.turn()
        best.fails = OSError("dead")
        sample = await watching.turn()

    assert sample.gpus == (gpu("GPU-1", pci=pci),)


async def test_instances_of_one_card_keep_their_own_uuids() -> None:
    cut = [gpu("MIG-1", pci="0000:01:00.0"), gpu("MIG-2", pci="0000:01:00.0")]
    watching = sampler(Fake(reading=Reading(gpus=cut)))
    async with watching.opened():
        sample = await watching.turn()

    assert sample.gpus == tuple(cut)


async def test_memory_of_a_process_tree_is_told_with_its_share_of_each_gpu() -> None:
    me = os.getpid()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        used = (ProcessMemory(me, 100), ProcessMemory(child.pid, 20), ProcessMemory(1 << 30, 7))
        fake = Fake(
            reading=Reading(gpus=[gpu(processes=used), gpu("GPU-2", processes=(ProcessMemory(me, 3),)), gpu("GPU-3")])
        )
        watching = sampler(fake, roots=lambda: {"ours": me, "gone": 1 << 30})
        async with watching.opened():
            sample = await watching.turn()
        child.communicate()

    (tree,) = sample.trees
    assert (tree.name, tree.pid, tree.gpus) == ("ours", me, {"GPU-1": 120, "GPU-2": 3})
    assert tree.resident_bytes > 1 << 20
    assert "processes" not in states(sample)
    assert all(gpu.processes == () for gpu in without_processes(sample).gpus)


async def test_unreadable_process_table_costs_nothing_else() -> None:
    def roots() -> Mapping[str, int]:
        raise OSError("no table")

    watching = sampler(Fake(), roots=roots)
    async with watching.opened():
        sample = await watching.turn()

    assert (sample.host, sample.trees) == (HOST, ())


async def test_runs_at_its_pace_until_cancelled() -> None:
    fake = Fake()
    samples: list[Sample] = []
    watching = sampler(fake, first_s=0.0, every_s=0.001)
    async with anyio.create_task_group() as group:
        group.start_soon(watching.run, samples.append)
        await until(lambda: len(samples) >= 5)
        group.cancel_scope.cancel()

    assert fake.closed == 1
    assert all(sample.host == HOST for sample in samples)


async def test_other_pace_holds_at_once() -> None:
    samples: list[Sample] = []
    watching = sampler(Fake(), first_s=0.0, every_s=3600.0)
    async with anyio.create_task_group() as group:
        group.start_soon(watching.run, samples.append)
        await until(lambda: len(samples) == 1)
        watching.retime(0.001)
        await until(lambda: len(samples) >= 3)
        group.cancel_scope.cancel()


async def test_cancelled_before_its_sources_are_open_it_closes_them() -> None:
    fake = Fake(hangs=True, heeds_close=True)
    hung = threading.Event()
    fake.on_hang = hung.set
    watching = sampler(fake)
    async with anyio.create_task_group() as group:
        group.start_soon(watching.run, lambda _: None)
        await until(hung.is_set)
        group.cancel_scope.cancel()

    assert fake.closed == 1


def ours() -> Counter[str]:
    """Returns how many objects of the package's own there are, by their type."""
    gc.collect()
    return Counter(
        type(each).__name__ for each in gc.get_objects() if str(type(each).__module__).startswith("monitors")
    )


async def test_nothing_is_left_of_samples_and_failures() -> None:
    """Objects are counted, not bytes: whoever measures the tests' coverage remembers every thread."""
    clock = Clock()
    fake, flaky = Fake(reading=Reading(HOST, [gpu()])), Fake("flaky")
    watching = sampler(fake, flaky, clock=clock, roots=lambda: {"ours": os.getpid()})

    async def turns(count: int) -> None:
        for number in range(count):
            clock.now += LONGEST_PAUSE_S
            flaky.fails = OSError("dead") if number % 2 else None
            await watching.turn()

    async with watching.opened():
        await turns(20)
        before, threads = ours(), threading.active_count()
        await turns(200)

        # A thread may still be on its way out.
        assert sum((ours() - before).values()) <= 3, ours() - before
        assert threading.active_count() <= threads + 3


async def test_call_gives_what_the_function_gives() -> None:
    assert await Call(lambda: 5, "five").result(10) == 5
    with pytest.raises(ZeroDivisionError):
        await Call(lambda: 1 // 0, "fails").result(10)
    with pytest.raises(SystemExit):
        await Call(sys.exit, "ends").result(10)


async def test_call_that_is_late_goes_on() -> None:
    let_go = threading.Event()
    call = Call(lambda: let_go.wait(20), "waits")
    with pytest.raises(Late):
        await call.result(0.01)
    assert call.is_under_way
    let_go.set()

    assert await call.result(10) is True
    assert not call.is_under_way


def test_call_may_outlast_its_loop() -> None:
    let_go = threading.Event()

    async def begin() -> Call[bool]:
        return Call(lambda: let_go.wait(20), "waits")

    call = anyio.run(begin)
    let_go.set()
    for thread in threading.enumerate():
        if thread.name == "waits":
            thread.join(10)

    assert not call.is_under_way
