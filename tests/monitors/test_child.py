"""Children that print figures: deadlines, deaths, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitors.child import MAX_LINES, Child, ChildFailed, OneShot, Stream, located
from monitors.protocol import Unavailable
from tests.monitors.fake_programs import Puppet, eventually, is_alive, program


@contextmanager
def started(path: str, *arguments: str) -> Iterator[Child]:
    child = Child([path, *arguments])
    try:
        yield child
    finally:
        child.close()


def test_lines_come_one_by_one_and_the_end_is_told_with_the_status(tmp_path: Path) -> None:
    path = program(tmp_path, "two", "print('one')\nprint('two', file=sys.stderr)\nsys.exit(3)")
    with started(path) as child:
        lines = [child.line(20), child.line(20)]
        with pytest.raises(ChildFailed, match="exited with 3"):
            child.line(20)

    assert sorted(line or "" for line in lines) == ["one", "two"]


def test_no_line_in_time_is_none(tmp_path: Path) -> None:
    with started(Puppet(tmp_path, "silent").path) as child:
        assert child.line(0.01) is None


def test_silent_death_has_words(tmp_path: Path) -> None:
    with started(program(tmp_path, "dies", "sys.exit(1)")) as child, pytest.raises(ChildFailed, match="said nothing"):
        child.line(20)


def test_bytes_that_are_no_text_are_read(tmp_path: Path) -> None:
    with started(program(tmp_path, "raw", "os.write(1, b'\\xff\\xfe ok\\r\\n')")) as child:
        assert child.line(20) == "\ufffd\ufffd ok"


def test_only_the_newest_lines_are_kept(tmp_path: Path) -> None:
    with started(program(tmp_path, "many", f"for n in range({MAX_LINES + 100}): print(n)")) as child:
        kept = child.text(20).splitlines()

    assert kept == [str(number) for number in range(100, MAX_LINES + 100)]


def test_close_ends_the_whole_group(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "parent", "child = os.fork()\nif child: print(child, flush=True)")
    child = Child([puppet.path])
    grandchild = int(child.line(20) or 0)
    child.close()
    child.close()

    assert grandchild
    eventually(lambda: not is_alive(grandchild) and not is_alive(puppet.runs[0][0]))


def test_what_a_child_that_ended_left_in_its_group_goes_too(tmp_path: Path) -> None:
    body = "child = os.fork()\nif child: print(child, flush=True)\nelse:\n    os.close(1); os.close(2); time.sleep(600)"
    with started(program(tmp_path, "leaver", body)) as child:
        grandchild = int(child.line(20) or 0)
        with pytest.raises(ChildFailed):
            child.line(20)

    assert grandchild
    eventually(lambda: not is_alive(grandchild))


def test_close_wakes_a_thread_that_waits_for_a_line(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            child.line(60)
        except ChildFailed as error:
            raised.append(error)

    child = Child([Puppet(tmp_path, "silent").path])
    thread = threading.Thread(target=wait)
    thread.start()
    child.close()
    thread.join(20)

    assert len(raised) == 1


def test_one_shot_returns_all_it_prints(tmp_path: Path) -> None:
    assert OneShot([program(tmp_path, "ok", "print('a\\nb')")]).text() == "a\nb"


def test_one_shot_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="exited with 7: no driver"):
        OneShot([program(tmp_path, "bad", "print('x')\nprint('no driver')\nsys.exit(7)")]).text()


def test_one_shot_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "slow", "print('begun', flush=True)")
    with pytest.raises(ChildFailed, match=r"not finished within 0\.3 s"):
        OneShot([puppet.path], limit_s=0.3).text()

    assert not any(is_alive(pid) for pid, _ in puppet.runs)


def test_closing_ends_a_one_shot_that_runs_elsewhere(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "slow")
    shot = OneShot([puppet.path], limit_s=60)
    failed = threading.Event()

    def run() -> None:
        with pytest.raises(ChildFailed):
            shot.text()
        failed.set()

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: bool(puppet.runs))
    shot.close()

    assert failed.wait(20)
    thread.join(20)
    shot.close()


def test_stream_that_says_nothing_at_first_fails(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "silent")
    stream = Stream(1, first_within_s=0.2)
    with pytest.raises(ChildFailed, match="nothing within"):
        stream.open([puppet.path])
    stream.close()


def test_stream_that_falls_silent_has_hung(tmp_path: Path) -> None:
    puppet = Puppet(tmp_path, "hangs", "print('first', flush=True)")
    stream = Stream(-0.3)  # patience of 0.1 s
    first = stream.open([puppet.path])
    with pytest.raises(ChildFailed, match="has said nothing for"):
        eventually(lambda: bool(stream.lines(0)))
    stream.close()

    assert first == "first"


def test_stream_that_is_not_open_fails() -> None:
    with pytest.raises(ChildFailed):
        Stream(1).lines(0)


def test_missing_program_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no-such-program is not on PATH"):
        located("no-such-program")
