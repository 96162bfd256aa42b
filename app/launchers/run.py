"""This run of Hostler: its id, its guard and its journal, which are told of every group that starts and that is gone."""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
from pathlib import Path

from app.launchers import guard, posix
from app.launchers.journal import Journal

logger = logging.getLogger(__name__)

GUARD_LIMIT_S = guard.LIMIT_S + 2


class Run:
    """What outlives Hostler's own death on its behalf. Opened by making it; to be closed."""

    def __init__(self, state_dir: Path | None) -> None:
        self.id = secrets.token_hex(8)
        me = guard.entry_of(os.getpid())
        self.since = me.start if me is not None else 0
        """Start time of Hostler: nothing of the run is older."""
        self._was_subreaper = posix.set_subreaper(True)
        self._groups: dict[int, int] = {}
        self._journal = Journal(state_dir, self.id)
        self._guard = self._start_guard()

    def add(self, pid: int, start: int) -> None:
        """Notes that the group of *pid* has started."""
        self._groups[pid] = start
        self._tell(b"+ %d %d\n" % (pid, start))

    def remove(self, pid: int) -> None:
        """Notes that nothing of the group of *pid* is left."""
        if self._groups.pop(pid, None) is not None:
            self._tell(b"- %d\n" % pid)

    def close(self) -> None:
        """Ends the guard and the journal. Blocks until the guard has looked whether anything is left, and has ended."""
        if not self._groups:
            self._journal.remove()
        # Otherwise the journal is the guard's to remove, once it has killed what it holds.
        self._end_guard()
        self._journal.remove()
        posix.set_subreaper(self._was_subreaper)

    def _tell(self, line: bytes) -> None:
        self._journal.write(line)
        try:
            self._write(line)
        except BrokenPipeError:
            logger.warning("the guard process was killed: starting another")
            self._end_guard()
            self._guard = self._start_guard()
        except OSError as error:
            logger.warning("the guard process cannot be told of a change: %s; is it stopped?", error)

    def _start_guard(self) -> subprocess.Popen[bytes] | None:
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(Path(guard.__file__).resolve()),
                    self.id,
                    str(self.since),
                    str(self._journal.path or ""),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Without any marker: ours would make it kill itself, and that of a Hostler above us would have it killed
                # together with what it has to end. Not `{}`: the interpreter may need these to find itself.
                env={name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}},
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            logger.warning("no guard process: %s; should hostler be killed, its models may survive it", error)
            return None
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._guard = process
        for pid, start in self._groups.items():
            self._write(b"+ %d %d\n" % (pid, start))
        return process

    def _write(self, line: bytes) -> None:
        if self._guard is not None:
            assert self._guard.stdin is not None
            os.write(self._guard.stdin.fileno(), line)

    def _end_guard(self) -> None:
        if self._guard is None:
            return
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        try:
            self._guard.wait(GUARD_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._guard = None
