"""The run journal: which groups a run of Hostler has started, on disk, for the day both Hostler and its guard are killed.

One file per run, `<state>/runs/<run id>.<pid>.<start>.run`. Its name tells the owner, so that a damaged file can still be
judged; its first line tells boot and pid namespace, outside of which its numbers mean nothing; each further line is one of
the guard's (`guard.apply_line`), appended with one write.
The file of a live Hostler is never touched by another. The next start ends what dead runs have left.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from app.launchers import guard

logger = logging.getLogger(__name__)


class Owner(NamedTuple):
    """The Hostler that wrote a journal."""

    run_id: str
    pid: int
    start: int

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        entry = guard.entry_of(self.pid)
        return entry is not None and entry.start == self.start and not entry.is_zombie


class Journal:
    """The journal of this run. Never raises: without a place to write it does nothing, having said so once."""

    def __init__(self, state_dir: Path | None, run_id: str) -> None:
        self.path: Path | None = None
        """Where it is; None when it could not be made."""
        self._handle = -1
        me = guard.entry_of(os.getpid())
        try:
            runs = _runs(state_dir)
            runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = runs / f"{run_id}.{os.getpid()}.{me.start if me is not None else 0}.run"
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self.path = path
            os.write(self._handle, _place().encode() + b"\n")
        except (OSError, RuntimeError) as error:
            logger.warning(
                "no run journal: %s; should Hostler and its guard both be killed, the next start cannot end what is left "
                "(set HOSTLER_STATE_DIR to a directory that can be written)",
                error,
            )

    def write(self, line: bytes) -> None:
        """Appends one line."""
        if self._handle < 0:
            return
        try:
            os.write(self._handle, line)
        except OSError as error:
            logger.warning("cannot write the run journal %s: %s", self.path, error)
            self._close()

    def remove(self) -> None:
        """Ends the journal: nothing of the run is left. Safe to call twice."""
        self._close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def reap_dead_runs(state_dir: Path | None) -> int:
    """Ends what runs of dead Hostlers have left; returns how many processes that were. Blocks: not for the event loop."""
    try:
        paths = sorted(_runs(state_dir).glob("*.run"))
    except (OSError, RuntimeError) as error:
        logger.warning("cannot look for the journals of earlier runs: %s", error)
        return 0
    return sum(_reap(path) for path in paths)


def _reap(path: Path) -> int:
    owner = _owner(path)
    if owner is None:
        logger.warning("%s is not a run journal: left alone", path)
        return 0
    try:
        place, _, rest = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return 0  # it has just been removed, by its owner or by another start
    except OSError as error:
        logger.warning("cannot read the run journal %s: %s", path, error)
        return 0
    here = _place()
    written_in = place.decode(errors="replace")
    if written_in != here and written_in.startswith(here.partition(" ")[0] + " "):
        # The same boot, another pid namespace: a container that shares our state directory. Whether it lives cannot be
        # seen from here; the file goes after the next boot.
        return 0
    if written_in == here or not _is_place(written_in):
        if owner.is_alive:
            return 0
        groups = _groups(path, rest) if written_in == here else {}
        if written_in != here:
            logger.warning("the run journal %s is damaged: looking for what is left by its marker alone", path)
        killed = guard.end_run(owner.run_id, groups, since=owner.start)
        if killed:
            logger.warning(
                "an earlier run of hostler (pid %s) was killed: ended %s processes it left", owner.pid, killed
            )
    else:
        killed = 0  # written before the last boot: nothing of it can be left, and its numbers are strangers'
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("cannot remove the run journal %s: %s", path, error)
    return killed


def _owner(path: Path) -> Owner | None:
    match path.name.split("."):
        case [run_id, pid, start, "run"] if run_id and pid.isascii() and pid.isdigit() and start.isdigit():
            return Owner(run_id, int(pid), int(start))
        case _:
            return None


def _groups(path: Path, lines: bytes) -> dict[int, int]:
    groups: dict[int, int] = {}
    damaged = 0
    for line in lines.splitlines():
        try:
            guard.apply_line(line, groups)
        except ValueError:
            damaged += 1
    if damaged:
        logger.warning("the run journal %s is damaged: %s of its lines cannot be read", path, damaged)
    return groups


def _runs(state_dir: Path | None) -> Path:
    """Returns the directory of the journals. Raises RuntimeError when there is no home to put it in."""
    if state_dir is None:
        if chosen := os.environ.get("HOSTLER_STATE_DIR"):
            state_dir = Path(chosen)
        elif chosen := os.environ.get("XDG_STATE_HOME"):
            state_dir = Path(chosen) / "hostler"
        else:
            state_dir = Path.home() / ".local" / "state" / "hostler"
    return state_dir / "runs"


def _place() -> str:
    """Returns within which boot and pid namespace our process numbers have a meaning: two words."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # pragma: darwin - no /proc; start times are dates there, which tell boots apart by themselves
        return "- -"


def _is_place(text: str) -> bool:
    return len(text.split(" ")) == 2 and text.isprintable()
