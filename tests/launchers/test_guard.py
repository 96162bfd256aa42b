"""The process table, who belongs to a run, and the guard: with real processes, some of them set up to be mistaken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.launchers import guard, run
from app.launchers.guard import Entry
from app.launchers.run import Run
from tests.launchers.conftest import living, marked


@contextmanager
def sleeper(marker: str = "", *, own_session: bool = True) -> Iterator[psutil.Process]:
    environment = dict(os.environ) | ({guard.MARKER: marker} if marker else {})
    # Reading its first words is how one knows that its environment can be seen: exec returns a moment earlier.
    with subprocess.Popen(
        ["sh", "-c", "echo up; read end"],
        env=environment,
        start_new_session=own_session,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as popen:
        assert popen.stdout is not None
        popen.stdout.readline()
        try:
            yield psutil.Process(popen.pid)
        finally:
            popen.kill()


def entry(process: psutil.Process) -> Entry:
    found = guard.entry_of(process.pid)
    assert found is not None
    return found


def process_at(pid: int, parent: int = 1, group: int = 0, session: int = 0, *, is_zombie: bool = False) -> Entry:
    return Entry(pid, parent, group or pid, session or pid, 100, is_zombie)


# --- the table


def test_the_table_agrees_with_psutil() -> None:
    with sleeper() as process:
        found = entry(process)

        assert (found.parent, found.group, found.session) == (os.getpid(), process.pid, process.pid)
        assert not found.is_zombie
        assert found in guard.census()


def test_a_name_with_brackets_and_blanks_does_not_confuse_the_table(tmp_path: Path) -> None:
    program = tmp_path / "x) Z (1 2"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as popen:
        found = guard.entry_of(popen.pid)
        popen.kill()

    assert found is not None
    assert found.parent == os.getpid()
    assert not found.is_zombie


def test_an_ended_process_is_a_zombie_and_then_nothing() -> None:
    popen = subprocess.Popen(["true"])
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    found = guard.entry_of(popen.pid)
    popen.wait()

    assert found is not None
    assert found.is_zombie
    assert guard.entry_of(popen.pid) is None
    assert not guard.carries(popen.pid, b"PATH")


def test_a_marker_counts_only_at_the_start_of_an_entry() -> None:
    with sleeper("run1:a:1") as process:
        assert guard.carries(process.pid, guard.run_marker("run1"))
        assert not guard.carries(process.pid, guard.run_marker("run"))
        assert not guard.carries(process.pid, b"INSTANCE=run1")


# --- who belongs


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([process_at(11, group=10, session=10)], {11}),
        ([process_at(11, session=10)], {11}),
        ([process_at(11, session=10), process_at(12, parent=11)], {11, 12}),
        ([process_at(11, group=10, session=10, is_zombie=True)], {11}),
        ([process_at(20), process_at(21, session=20), process_at(22, session=22)], {20, 21}),
        ([process_at(30, parent=1)], set()),
    ],
    ids=["group", "session", "child", "zombie", "session of a known one", "stranger"],
)
def test_members_are_found_by_any_sign(entries: list[Entry], expected: set[int]) -> None:
    found = guard.members(entries, b"no marker", sessions={10}, known={20: 100})

    assert {one.pid for one in found} == expected


def test_a_recycled_number_is_no_member() -> None:
    assert guard.members([process_at(20)], b"no marker", known={20: 99}) == []


def test_what_is_older_than_the_eldest_is_no_member() -> None:
    assert guard.members([process_at(11, session=10)], b"no marker", sessions={10}, since=101) == []


def test_a_marked_process_in_our_own_session_does_not_make_our_session_a_member() -> None:
    with sleeper("run2:a:1", own_session=False) as one, sleeper(own_session=False) as other:
        found = guard.members(guard.census(), guard.run_marker("run2"), sessions={os.getsid(0)})

        assert [one.pid] == [member.pid for member in found]
        assert other.is_running()


# --- signalling


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_process_whose_start_time_differs_is_not_signalled(
    monkeypatch: pytest.MonkeyPatch, *, has_pidfd: bool
) -> None:
    if not has_pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    with sleeper() as process:
        there = entry(process)
        guard.send(there._replace(start=there.start - 1), signal.SIGKILL)
        guard.send(there, signal.SIGTERM)
        monkeypatch.undo()  # psutil waits by pidfd, too

        assert process.wait(10) == -signal.SIGTERM  # SIGKILL, sent first, would have been first


def test_signalling_what_has_ended_is_no_error() -> None:
    with sleeper() as process:
        there = entry(process)
        process.kill()
        process.wait()

    guard.send(there, signal.SIGKILL)


# --- the end of a run


def test_a_run_is_ended_by_groups_and_markers_and_strangers_live() -> None:
    with sleeper("run3:a:1") as by_marker, sleeper() as by_group, sleeper() as recycled, sleeper("run4:a:1") as other:
        groups = {by_group.pid: entry(by_group).start, recycled.pid: entry(recycled).start - 1}

        assert guard.end_run("run3", groups) == 2

        assert living([by_marker, by_group, recycled, other]) == [recycled, other]


def test_ending_a_run_gives_up_on_what_cannot_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "send", lambda *_: None)
    with sleeper("run5:a:1") as process:
        assert guard.end_run("run5", {}, limit_s=0.1) == 1

        assert living([process])


def test_the_watch_ends_the_run_when_the_pipe_ends(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    read_end, write_end = os.pipe()
    with sleeper() as running, sleeper() as gone:
        os.write(write_end, b"+ %d %d\n" % (running.pid, entry(running).start))
        os.write(write_end, b"+ %d %d\n- %d\n" % (gone.pid, entry(gone).start, gone.pid))
        os.close(write_end)
        guard.watch(read_end, "run6", entry(running).start, str(journal))

        assert living([running, gone]) == [gone]
    os.close(read_end)
    assert not journal.exists()


def test_the_watch_does_without_a_journal() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    guard.watch(read_end, "run7", 0, "")
    guard.watch(read_end, "run7", 0, "/nowhere/at/all")
    os.close(read_end)


@pytest.mark.parametrize("line", [b"", b"?", b"+ 1", b"+ one 2", b"- 1 2", b"\xff"])
def test_a_damaged_line_is_told(line: bytes) -> None:
    with pytest.raises(ValueError):
        guard.apply_line(line or b"x", {})


# --- the guard process


def test_the_guard_has_nothing_of_hostler_but_the_pipe(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    running = Run(tmp_path)
    assert running._guard is not None
    process = psutil.Process(running._guard.pid)
    with sleeper(f"{running.id}:a:1"):
        # What it has at the end it had all along; and it has begun for sure when it has ended something.
        assert os.getsid(process.pid) == process.pid
        assert guard.MARKER not in process.environ()
        assert {one.name for one in Path(f"/proc/{process.pid}/fd").iterdir()} <= {"0", "1", "2", "3"}
        os.close(write_end)
        assert os.read(read_end, 1) == b""

        running.close()

        assert marked(f"{running.id}:") == []
    os.close(read_end)
    assert not process.is_running()


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_ps_tells_the_same_where_there_is_no_proc() -> None:
    """Run here as a rehearsal for systems that have only ps."""
    with sleeper() as process:
        (by_ps,) = guard._ps("-p", str(process.pid))
        by_proc = entry(process)
        started = int(process.create_time())

    assert by_ps[:4] == by_proc[:4]
    assert not by_ps.is_zombie
    assert abs(by_ps.start - started) <= 1


def test_the_guard_ignores_what_a_terminal_or_service_sends() -> None:
    code = (
        "import os, signal, sys; sys.argv = ['guard', 'run8', '0', '']; "
        f"sys.path.insert(0, {str(Path(guard.__file__).parent)!r}); import guard; "
        "guard.watch = lambda *_: [os.kill(os.getpid(), s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]; "
        "guard._main(); print('alive')"
    )

    assert subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True).stdout == b"alive\n"


def test_a_killed_guard_is_replaced_and_told_everything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = Run(tmp_path)
    assert running._guard is not None
    with sleeper() as first, sleeper() as second:
        running.add(first.pid, entry(first).start)
        running._guard.kill()
        running._guard.wait()
        running.add(second.pid, entry(second).start)

        assert "starting another" in caplog.text
        running.close()
        assert living([first, second]) == []


def test_a_guard_that_does_not_read_does_not_hold_up_hostler(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    running = Run(tmp_path)
    assert running._guard is not None
    os.kill(running._guard.pid, signal.SIGSTOP)
    pid = 1 << 22  # more than there can be: nobody's
    while "is it stopped?" not in caplog.text:
        running.add(pid, 1)
        running.remove(pid)
    os.kill(running._guard.pid, signal.SIGCONT)
    running.close()


def test_a_guard_that_hangs_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GUARD_LIMIT_S", 0.05)
    running = Run(tmp_path)
    assert running._guard is not None
    process = psutil.Process(running._guard.pid)
    process.suspend()
    running.close()

    assert not process.is_running()


def test_without_a_guard_hostler_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    running = Run(tmp_path)
    running.add(1 << 22, 1)
    running.remove(1 << 22)
    running.close()

    assert "no guard process" in caplog.text
