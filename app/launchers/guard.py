"""Ends what a run of Hostler left behind; also the program of the guard process.

A *run* is one life of Hostler. Everything it starts carries the run's marker in its environment and inherits it to whatever
it starts in turn, so that what belongs to a run can be found after Hostler itself is gone, whatever groups and sessions it has
moved to.

The guard is a small process that holds one end of a pipe. While Hostler lives it writes down which groups run
(`+ pid start`, `- pid`); when the pipe ends, Hostler is dead, be it by SIGKILL, and the guard kills what is left. After an
orderly end it finds nothing. It depends on no cooperation of the upstreams and on no signal to Hostler.

Theory of operation
-------------------
A process is named by its pid **and its start time**: numbers are used again. Nothing is signalled whose start time has not
been compared just before. What belongs to a run is found from these signs, each of which can be missing:

- the marker in its environment (gone when a program writes a title over it, or was started with `env -i`);
- its group or session, of which the leader was started by us (gone after `setsid`);
- its parent, or its session's other members, belong to the run.

Run by path in an interpreter without `site`, so that it is light and starts fast: hence only the standard library, nothing
of `app`, and the process table stands here, where the launcher imports it from.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

MARKER = "HOSTLER_INSTANCE"
"""Environment variable that every upstream and all its descendants carry: `<run id>:<model>:<n>`."""

PAUSE_S = 0.02
"""Between two looks at the process table."""

LIMIT_S = 10.0
"""After this long what still lives cannot be killed: it hangs in the kernel."""


class Entry(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    group: int
    session: int
    start: int
    """When it started, in a unit of the system's own: only for comparing."""
    is_zombie: bool


def run_marker(run_id: str) -> bytes:
    """Returns what the environment entries of all of a run's processes begin with."""
    return f"{MARKER}={run_id}:".encode()


def entry_of(pid: int) -> Entry | None:
    """Returns the entry of process *pid*, or None if there is none."""
    if sys.platform != "linux":  # pragma: darwin
        return next((entry for entry in _ps("-p", str(pid))), None)
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    # The command's name stands in brackets and may itself hold brackets and blanks; numbers begin after the last one.
    fields = stat[stat.rfind(b")") + 2 :].split()
    return Entry(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), fields[0] in {b"Z", b"X"})


def census() -> list[Entry]:
    """Returns every process there is. Takes some ten µs for each: not for the event loop.

    Of every user: a Hostler that runs as root may have upstreams that do not.
    """
    if sys.platform != "linux":  # pragma: darwin
        return _ps("-ax")
    entries = (entry_of(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - no pathlib in the guard
    return [entry for entry in entries if entry is not None]


def carries(pid: int, marker: bytes) -> bool:
    """Whether an entry of *pid*'s environment begins with *marker*; False where that may not be read."""
    if sys.platform != "linux":  # pragma: darwin
        return _carries_by_ps(pid, marker)
    try:
        environment = _read(f"/proc/{pid}/environ")
    except OSError:
        return False
    return environment.startswith(marker) or b"\0" + marker in environment


def members(
    entries: Iterable[Entry],
    marker: bytes,
    *,
    sessions: Collection[int] = (),
    known: Mapping[int, int] | None = None,
    since: int = 0,
) -> list[Entry]:
    """Returns which of *entries*, zombies included, belong together: those that show one of the signs told at the top.

    sessions: groups and sessions that are ours for sure.
    known: processes that are ours for sure, pid to start time.
    since: start time of the eldest: what is older is not looked at.
    The caller and what else lives in its session is never among them.
    """
    me = os.getpid()
    known = known or {}
    not_ours = {0, os.getsid(0)}
    ours = set(sessions) - not_ours
    rest = [entry for entry in entries if entry.pid != me and entry.start >= since]
    found = {
        entry.pid: entry
        for entry in rest
        if entry.session in ours
        or entry.group in ours
        or known.get(entry.pid) == entry.start
        or (not entry.is_zombie and carries(entry.pid, marker))
    }
    while True:
        ours |= {entry.session for entry in found.values()} - not_ours
        more = {
            entry.pid: entry
            for entry in rest
            if entry.pid not in found and (entry.session in ours or entry.group in ours or entry.parent in found)
        }
        if not more:
            return list(found.values())
        found |= more


def send(entry: Entry, signal_number: int) -> None:
    """Signals *entry*, unless it has ended: its successor of the same number is left alone."""
    try:
        handle = os.pidfd_open(entry.pid)
    except (AttributeError, OSError):
        handle = -1
    try:
        # Compared after the handle was opened: from then on the number cannot change its meaning under us.
        now = entry_of(entry.pid)
        if now is None or now.start != entry.start:
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal_number)
        else:
            os.kill(entry.pid, signal_number)
    except OSError:
        pass  # it has just ended, or belongs to a user we may not touch
    finally:
        if handle >= 0:
            os.close(handle)


def end_run(run_id: str, groups: Mapping[int, int], *, since: int = 0, limit_s: float = LIMIT_S) -> int:
    """Kills what is left of a run and returns how many processes that were. Blocks until they are gone, or *limit_s*.

    groups: leaders of process groups, pid to start time; one whose number has found another owner is passed over.
    Done when two looks in a row find nothing: at the first something may have been between fork and exec, unmarked.
    """
    marker = run_marker(run_id)
    deadline = time.monotonic() + limit_s
    sessions: set[int] = set()
    killed: set[tuple[int, int]] = set()
    quiet_looks = 0
    while True:
        entries = census()
        sessions |= {entry.pid for entry in entries if groups.get(entry.pid) == entry.start}
        left = [entry for entry in members(entries, marker, sessions=sessions, since=since) if not entry.is_zombie]
        for entry in left:
            send(entry, signal.SIGKILL)
            killed.add((entry.pid, entry.start))
        quiet_looks = 0 if left else quiet_looks + 1
        if quiet_looks == 2 or time.monotonic() > deadline:
            return len(killed)
        time.sleep(PAUSE_S)


def watch(pipe: int, run_id: str, since: int, journal: str) -> None:
    """Reads the groups of a run from *pipe* until it ends, then ends the run and removes its *journal* ("": none).

    since: start time of Hostler, than which nothing of the run is older.
    """
    groups: dict[int, int] = {}
    with os.fdopen(pipe, "rb", closefd=False) as lines:
        for line in lines:
            apply_line(line, groups)
    end_run(run_id, groups, since=since)
    if journal:
        try:
            os.unlink(journal)  # noqa: PTH108 - no pathlib in the guard
        except OSError:
            pass  # an orderly end has removed it


def apply_line(line: bytes, groups: dict[int, int]) -> None:
    """Takes one line of news, `+ pid start` or `- pid`, into *groups*. Raises ValueError if it is neither."""
    sign, *numbers = line.split()
    if sign == b"+":
        pid, start = map(int, numbers)
        groups[pid] = start
    elif sign == b"-":
        (pid,) = map(int, numbers)
        groups.pop(pid, None)
    else:
        raise ValueError(f"neither + nor -: {line!r}")


def _read(path: str) -> bytes:
    """Returns a file of /proc, whole; `open` would take three times as long, and there are thousands."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(handle, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def _ps(*selection: str) -> list[Entry]:
    """Returns the process table where there is no /proc. Start times are whole seconds there."""
    import calendar

    entries = []
    for line in _output("ps", *selection, "-o", "pid=,ppid=,pgid=,stat=,lstart=").splitlines():
        pid, parent, group, state, *started = line.decode().split()
        try:
            session = os.getsid(int(pid))
        except OSError:
            session = 0
        start = calendar.timegm(time.strptime(" ".join(started), "%a %b %d %H:%M:%S %Y"))
        entries.append(Entry(int(pid), int(parent), int(group), session, start, state.startswith("Z")))
    return entries


def _carries_by_ps(pid: int, marker: bytes) -> bool:  # pragma: darwin
    try:
        import psutil  # twenty times as fast, but the guard process has only the standard library
    except ImportError:
        return b" " + marker.rstrip(b"\0") in _output("ps", "-Eww", "-o", "command=", "-p", str(pid))
    try:
        environment = psutil.Process(pid).environ()
    except psutil.Error:
        return False
    return any(f"{name}={value}\0".encode().startswith(marker) for name, value in environment.items())


def _output(*argv: str) -> bytes:
    import subprocess  # only where there is no /proc: the guard is light without it

    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC0"}
    return subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


def _main() -> None:  # pragma: no cover - another process, without `site`, where coverage cannot follow
    # Ctrl-C, a closing terminal or a service manager's stop are for Hostler, which then ends us by ending itself.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    _, run_id, since, journal = sys.argv
    watch(0, run_id, int(since), journal)


if __name__ == "__main__":  # pragma: no cover
    _main()
