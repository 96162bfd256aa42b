"""Programs that hang, flood and fail, and probes that do."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

import pytest

from monitors.inventory_programs import LONGEST, Absent, Failed, Probes, Programs
from tests.monitors.machines import script


def has_ended(pid_file: Path) -> bool:
    """Returns whether the process of which the number is in a file ends within seconds."""
    try:
        handle = os.pidfd_open(int(pid_file.read_text()))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def test_output_of_a_program_is_returned(tmp_path: Path) -> None:
    programs = Programs({"tool": script(tmp_path, 'echo "$LC_ALL $1"; echo no >&2')})

    assert programs.run("tool", "one") == "C one\n"


@pytest.mark.parametrize("path", ["nothing-of-this-name", "/dev/null/x"])
def test_program_that_is_not_there_is_absent(path: str) -> None:
    with pytest.raises(Absent):
        Programs({"tool": path}).run("tool")


def test_program_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("no program")

    with pytest.raises(Failed, match="cannot be started"):
        Programs({"tool": str(tmp_path / "tool")}).run("tool")


def test_failure_has_status_and_words(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"^exited with 9: no driver$") as caught:
        Programs({"tool": script(tmp_path, "echo; echo no driver; exit 9")}).run("tool")

    assert caught.value.output == "\nno driver\n"


def test_program_that_hangs_is_killed_with_its_group(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    hanging = script(tmp_path, f"echo first; sleep 1000 & echo $! > {child}; wait")

    with pytest.raises(Failed, match=r"was not done within 0.3 s") as caught:
        Programs({"tool": hanging}, limit_s=0.3).run("tool")

    assert caught.value.output == "first\n"
    assert has_ended(child)


def test_what_a_program_leaves_behind_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    leaving = script(tmp_path, f"sleep 1000 >/dev/null & echo $! > {child}; echo done")

    assert Programs({"tool": leaving}).run("tool") == "done\n"
    assert has_ended(child)


def test_program_that_has_closed_its_output_has_a_limit_too(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="was not done"):
        Programs({"tool": script(tmp_path, "exec >&-; sleep 1000")}, limit_s=0.3).run("tool")


def test_flood_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=f"printed more than {LONGEST} bytes"):
        Programs({"tool": script(tmp_path, "exec cat /dev/zero")}).run("tool")


def test_closing_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    programs = Programs({"tool": script(tmp_path, f"echo > {started}; sleep 1000")})
    outcome: list[str] = []

    def run() -> None:
        try:
            programs.run("tool")
        except Absent:
            outcome.append("ended")

    thread = threading.Thread(target=run)
    thread.start()
    started.read_text()
    programs.close()
    thread.join(10)

    assert outcome == ["ended"]
    with pytest.raises(Absent):
        programs.run("tool")


def test_probe_that_hangs_costs_its_own_answer_alone() -> None:
    probes = Probes(0.2)
    forever = threading.Event()
    hanging = probes.start("the slow one", lambda: forever.wait(30), default=False)
    quick = probes.start("the quick one", lambda: 7, default=0)

    assert (hanging(), quick()) == (False, 7)
    assert probes.problems == ["the slow one took too long"]
    forever.set()


def test_probe_that_raises_what_nobody_thought_of_is_a_problem() -> None:
    probes = Probes(10)

    def ask() -> int:
        raise ZeroDivisionError("by nothing")

    assert probes.start("the sum", ask, default=3)() == 3
    assert probes.problems == ["the sum failed: ZeroDivisionError: by nothing"]


def test_tool_that_is_not_there_is_no_problem() -> None:
    probes = Probes(10)

    def ask() -> int:
        raise Absent

    assert probes.start("the tool", ask, default=3)() == 3
    assert probes.problems == []
