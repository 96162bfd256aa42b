"""Ends and orphans, seen from the kernel's side."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.launchers import guard, posix
from app.launchers.protocol import ExitStatus
from tests.launchers.test_guard import entry, sleeper


def test_a_running_process_has_no_exit() -> None:
    with subprocess.Popen(["sleep", "60"]) as popen:
        try:
            assert posix.exit_of(popen) is None
        finally:
            popen.kill()


def test_looking_at_an_exit_does_not_take_it() -> None:
    popen = subprocess.Popen(["sh", "-c", "exit 5"])
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)

    assert posix.exit_of(popen) == ExitStatus(5)
    assert posix.exit_of(popen) == ExitStatus(5)
    assert popen.wait() == 5


def test_a_status_that_was_collected_stays_known() -> None:
    with subprocess.Popen(["sh", "-c", "exit 5"]) as popen:
        popen.wait()

        assert posix.exit_of(popen) == ExitStatus(5)


def test_reaping_what_somebody_has_reaped_is_no_error() -> None:
    popen = subprocess.Popen(["true"])
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    zombie = guard.entry_of(popen.pid)
    assert zombie is not None
    popen.wait()

    posix.reap_adopted([zombie])


def test_what_is_not_our_child_is_not_reaped() -> None:
    popen = subprocess.Popen(["true"])
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    zombie = guard.entry_of(popen.pid)
    assert zombie is not None

    posix.reap_adopted([zombie._replace(parent=1)])

    assert guard.entry_of(popen.pid) == zombie
    popen.wait()


def test_living_children_are_no_ended_ones() -> None:
    with sleeper() as process:
        assert entry(process) not in posix.ended_children()


def test_a_process_without_children_has_no_ended_ones() -> None:
    code = "from app.launchers import posix; assert posix.ended_children() == []"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_being_a_subreaper_is_put_back() -> None:
    before = posix.set_subreaper(True)
    during = posix.set_subreaper(before)

    assert during is True
    assert posix.set_subreaper(before) is before
