from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from hypothesis import given, strategies

from monitors.host import DiskSource, HostSource, busy, core_times, disks, interfaces
from monitors.merge import objection
from monitors.processes import Process, ProcessTrees, Tree, parse_stat, processes, read_stat, trees
from monitors.protocol import HostReading, Interface

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def host() -> HostReading:
    source = HostSource()
    source.open()
    reading = source.sample()
    source.close()
    assert objection(reading) is None
    assert reading.host is not None
    return reading.host


def test_this_machine_has_its_cores_and_memory(host: HostReading) -> None:
    assert len(host.cpu_percent) == psutil.cpu_count()
    assert all(0 <= percent <= 100 for percent in host.cpu_percent)
    assert host.memory_total_bytes == psutil.virtual_memory().total
    assert host.memory_used_bytes + host.memory_free_bytes == host.memory_total_bytes
    assert 0 < host.memory_used_bytes < host.memory_total_bytes
    assert host.swap_used_bytes <= host.swap_total_bytes


@linux
def test_this_machine_has_load_and_interfaces_without_the_loopback(host: HostReading) -> None:
    assert host.load_average is not None
    names = [interface.name for interface in host.interfaces]
    assert names == sorted(set(psutil.net_io_counters(pernic=True)) - {"lo"})


def test_load_is_counted_between_two_readings_whatever_thread_they_are_in() -> None:
    source = HostSource()
    source.open()
    # This very loop keeps one of them busy, for two ticks of the kernel's clock.
    before = core_times()
    while all(now - then < 0.02 for (then, _), (now, _) in zip(before, core_times(), strict=True)):
        pass
    found: list[tuple[float, ...]] = []

    def read() -> None:
        host = source.sample().host
        assert host is not None
        found.append(host.cpu_percent)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()

    assert max(found[0]) > 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([(1, 10), (0, 10)], [(2, 12), (0, 12)], (50.0, 0.0)),
        ([(1, 10)], [(1, 10)], (0.0,)),
        ([(1, 10)], [(3, 11)], (100.0,)),
        ([(2, 10)], [(1, 11)], (0.0,)),
        ([(1, 10)], [(2, 12), (9, 20)], (0.0, 0.0)),
        ([], [], ()),
    ],
)
def test_load_of_a_core(before: list[tuple[float, float]], after: list[tuple[float, float]], expected: object) -> None:
    assert expected == busy(before, after)


def test_loopback_leads_nowhere() -> None:
    traffic = {"lo": (1, 2), "eth1": (5, 6), "lo0": (1, 2), "Loopback Pseudo-Interface 1": (0, 0), "eth0": (3, 4)}

    assert interfaces(traffic) == (Interface("eth0", 3, 4), Interface("eth1", 5, 6))


def test_disks_of_this_machine_are_told_once_each() -> None:
    found = disks()

    assert len({disk.mount for disk in found}) == len(found)
    for disk in found:
        assert Path(disk.mount).exists()
        assert 0 <= disk.used_bytes <= disk.total_bytes


def test_disks_are_looked_at_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 5.0, 59.0, 60.0, 61.0])
    looks = 0

    def partitions(*, all: bool) -> list[object]:  # noqa: A002 - psutil's name
        nonlocal looks
        looks += 1
        return []

    monkeypatch.setattr(psutil, "disk_partitions", partitions)
    source = DiskSource(lambda: next(moments))
    source.open()
    for _ in range(5):
        source.sample()
    source.close()

    assert looks == 2


def test_disk_that_cannot_be_looked_at_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = psutil.disk_partitions(all=True)[0]
    found = [partition._replace(device="x", mountpoint="/"), partition._replace(device="y", mountpoint="/gone/it/is")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: found)
    reading = DiskSource().sample()

    assert reading.host is not None
    assert [disk.mount for disk in reading.host.disks] == ["/"]


# Process trees


def process(pid: int, parent: int = 1, session: int = 0) -> Process:
    return Process(pid, parent, session, pid * 10)


def test_tree_holds_children_and_theirs() -> None:
    table = [process(5, 4), process(4, 3), process(3), process(7)]

    assert trees({"a": 3}, table) == (Tree("a", 3, 120, (3, 4, 5)),)


def test_tree_holds_who_has_left_the_parent_but_not_the_session() -> None:
    table = [
        process(3, session=3),
        process(9, parent=1, session=3),
        process(10, parent=9, session=10),
        process(11, session=11),
    ]

    assert trees({"a": 3}, table) == (Tree("a", 3, 220, (3, 9, 10)),)


def test_session_that_the_root_does_not_lead_is_not_its_own() -> None:
    table = [process(3, session=2), process(4, session=2)]

    assert trees({"a": 3}, table) == (Tree("a", 3, 30, (3,)),)


def test_root_that_is_gone_has_no_tree() -> None:
    assert trees({"a": 3, "b": 4}, [process(4)]) == (Tree("b", 4, 40, (4,)),)


def test_circle_in_a_table_that_changed_while_it_was_read_ends() -> None:
    assert trees({"a": 3}, [process(3, 4), process(4, 3)]) == (Tree("a", 3, 70, (3, 4)),)


def test_table_of_this_machine_has_this_process() -> None:
    me = next(each for each in processes() if each.pid == os.getpid())

    assert me.parent == os.getppid()
    assert me.resident_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_child_of_this_process_is_in_its_tree() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        source = ProcessTrees(lambda: {"me": os.getpid()})
        source.open()
        (tree,) = source.sample()
        source.close()
        child.communicate()

    assert child.pid in tree.pids
    assert tree.pids[0] == os.getpid()


def test_table_is_not_read_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitors.processes.processes", lambda: 1 // 0)

    assert ProcessTrees(dict).sample() == ()


@linux
@pytest.mark.parametrize("path", ["/proc/none/stat", "/proc"])
def test_process_that_ends_while_it_is_looked_at_is_none(path: str) -> None:
    assert parse_stat(read_stat(path), 4096) is None


STAT = b"12 (a ) (b) S 5 12 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 100 999 25 18446744073709551615 1 1"


def test_command_with_brackets_and_blanks_is_no_hindrance() -> None:
    assert parse_stat(STAT, 4096) == Process(12, 5, 7, 25 * 4096)


@given(strategies.integers(0, len(STAT)), strategies.binary(max_size=9))
def test_garbage_and_what_is_cut_off_is_no_process(length: int, rest: bytes) -> None:
    assert parse_stat(rest + STAT[:length], 4096) is None or length > STAT.index(b" 25 ")


@given(strategies.binary())
def test_garbage_raises_nothing(text: bytes) -> None:
    parse_stat(text, 4096)
