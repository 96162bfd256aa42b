"""What POSIX, and Linux above all, offers for owning processes: ties to the parent, adopted orphans, ends.

Everything degrades: where a system call is missing the next means does its work (`guard.py` says which there are).
Nothing here is done at import, so that a Windows launcher may stand beside this module.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio

from app.launchers.guard import Entry, entry_of
from app.launchers.protocol import ExitStatus

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37

LOOK_S = 0.02
"""Between two looks at a process that cannot be waited for."""


def set_subreaper(wanted: bool) -> bool:
    """Makes orphaned descendants children of this process, or no longer; returns what was before.

    So the whole tree of an upstream can still be walked after its main process has gone. Adopted orphans have to be
    reaped: `reap_adopted`; nobody else does.
    """
    prctl = _prctl()
    if prctl is None:  # pragma: darwin
        return False
    before = ctypes.c_int(0)
    prctl(PR_GET_CHILD_SUBREAPER, ctypes.addressof(before), 0, 0, 0)
    prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)
    return bool(before.value)


def die_with_parent() -> Callable[[], None] | None:
    """Returns what a child is to do between fork and exec so that the kernel kills it when Hostler dies; None: cannot.

    The trade-off: a `preexec_fn` makes subprocess use fork instead of vfork (`tie.py` has the figures and the way around)
    and runs Python in a copy of a process with threads, which may deadlock on a lock that another thread held. So it does
    next to nothing: two C functions bound beforehand, no allocation that matters, no logging, no import. In return the main
    process of an upstream cannot outlive Hostler even when the guard is killed, too.

    Only for the main thread: the kernel sends the signal when the *thread* that forked ends.
    """
    prctl = _prctl()
    if prctl is None or threading.current_thread() is not threading.main_thread():
        return None
    parent = os.getpid()
    getppid = os.getppid
    end = os._exit
    kill = int(signal.SIGKILL)

    def before_exec() -> None:  # pragma: no cover - runs in the child, where coverage does not follow
        prctl(PR_SET_PDEATHSIG, kill, 0, 0, 0)
        if getppid() != parent:
            end(127)  # Hostler died before the call above took effect

    return before_exec


def _prctl() -> Callable[[int, int, int, int, int], int] | None:
    if sys.platform != "linux":  # pragma: darwin
        return None
    # PyDLL keeps the GIL: nothing to take again in a forked child.
    function = ctypes.PyDLL(None).prctl
    function.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]
    function.restype = ctypes.c_int
    prctl: Callable[[int, int, int, int, int], int] = function
    return prctl


def exit_of(popen: subprocess.Popen[bytes]) -> ExitStatus | None:
    """Returns how *popen* has ended, or None while it runs, **without reaping it** where that can be done.

    As long as it stays a zombie its number, and that of its group, cannot become a stranger's: the group can be signalled
    safely until the last moment.
    """
    if not hasattr(os, "waitid"):  # pragma: darwin
        code = popen.poll()
        return None if code is None else _exit_status(code)
    if popen.returncode is not None:
        return _exit_status(popen.returncode)
    try:
        result = os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return ExitStatus(None)  # somebody reaped it, or SIGCHLD is ignored: the status is lost
    if result is None:
        return None
    return _exit_status(result.si_status if result.si_code == os.CLD_EXITED else -result.si_status)


def _exit_status(code: int) -> ExitStatus:
    if code >= 0:
        return ExitStatus(code)
    try:
        return ExitStatus(None, signal.Signals(-code).name)
    except ValueError:
        return ExitStatus(None, f"signal {-code}")  # a real-time signal has no name


def wait_in_thread(popen: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
    """Calls *ended* from another thread once *popen* has ended: for systems without pidfd."""

    def wait() -> None:
        try:
            if hasattr(os, "waitid"):
                os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
            else:  # pragma: darwin
                popen.wait()
        except ChildProcessError:
            pass
        ended()

    threading.Thread(target=wait, name=f"end of {popen.pid}", daemon=True).start()


async def wait_ended(entries: Iterable[Entry], deadline: float) -> None:
    """Returns when all of *entries* have ended, or at *deadline* (of the loop's clock)."""
    with anyio.CancelScope(deadline=deadline):
        for entry in entries:
            await _ended(entry)


async def _ended(entry: Entry) -> None:
    try:
        handle = os.pidfd_open(entry.pid)
    except (AttributeError, OSError):
        handle = -1
    try:
        while _lives(entry):
            if handle >= 0:
                await anyio.wait_readable(handle)
            else:
                await anyio.sleep(LOOK_S)
    finally:
        if handle >= 0:
            os.close(handle)


def _lives(entry: Entry) -> bool:
    now = entry_of(entry.pid)
    return now is not None and now.start == entry.start and not now.is_zombie


def reap_adopted(entries: Iterable[Entry]) -> None:
    """Reaps those of *entries*, all of them zombies, that are this process's children.

    The caller names them one by one, and never "any child": the status of everybody else's children stays theirs, and that
    of an upstream's main process its `Popen`'s.
    """
    me = os.getpid()
    for entry in entries:
        if entry.parent == me:
            try:
                os.waitpid(entry.pid, os.WNOHANG)
            except ChildProcessError:
                pass  # reaped meanwhile


def ended_children() -> list[Entry]:
    """Returns this process's children that are zombies; cheap when there is none."""
    try:
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return []
        lists = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    except (AttributeError, OSError):
        return []  # no child at all, a thread that has just ended, or not Linux
    entries = (entry_of(int(pid)) for pids in lists for pid in pids)
    return [entry for entry in entries if entry is not None and entry.is_zombie]
