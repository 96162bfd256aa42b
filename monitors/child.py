"""A program that tells figures, run as a child: its lines with a deadline, and gone with its whole group when closed.

A thread of its own reads each child, because a pipe cannot be waited for with a deadline on Windows, and because a child that
nobody reads from would stop. It keeps the newest lines only: a source wants how things stand now.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from monitors.protocol import Unavailable

MAX_LINE_BYTES = 256 << 10
"""`ioreg` and `mactop` print long lines; a longer one is cut in pieces, which no parser then takes for figures."""

MAX_LINES = 500
"""Kept unread; older ones are forgotten. More than any one-shot program prints that we read whole."""

GONE_WITHIN_S = 2.0
"""How long a killed child may take to go. One that hangs in the driver stays longer, and is not waited for."""


class ChildFailed(Exception):
    """A program ended, or said nothing in time; the words have its last line."""


class Child:
    """One run of a program, its output read line by line (standard error goes with it).

    Any thread may call anything; `close` ends a `line` that is being waited for elsewhere.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        """Starts *argv*. Raises OSError if it cannot be."""
        self.name = Path(argv[0]).name
        self._changed = threading.Condition()
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._last = ""
        self._ended = False
        self._process = subprocess.Popen(
            tuple(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LC_ALL": "C"},
            # A group of its own: the child may be a script, and Ctrl-C in our terminal is not meant for it.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name=f"reads {self.name}", daemon=True
        )
        self._reader.start()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while raw := pipe.readline(MAX_LINE_BYTES):
                with self._changed:
                    line = raw.decode("utf-8", "replace").rstrip("\r\n")
                    self._lines.append(line)
                    self._last = line.strip() or self._last
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line(self, within_s: float) -> str | None:
        """Returns the next line, or None if none comes in time. Raises ChildFailed once the output has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended, timeout=max(0.0, within_s))
            if self._lines:
                return self._lines.popleft()
            if self._ended:
                raise ChildFailed(self._obituary())
            return None

    def text(self, within_s: float) -> str:
        """Returns everything that a one-shot program prints. Raises ChildFailed if it has not ended well in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ended, timeout=within_s):
                raise ChildFailed(f"{self.name} has not finished within {within_s:g} s")
            lines = "\n".join(self._lines)
        if self._status() != 0:
            raise ChildFailed(self._obituary())
        return lines

    def _status(self) -> int | None:
        """Returns the exit status, which comes right after the end of the output, or None if it does not."""
        if self._process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GONE_WITHIN_S)
                # What it has left behind in its group goes now: later, the number may be somebody else's.
                self._kill_group()
        return self._process.returncode

    def _obituary(self) -> str:
        status = self._status()
        how = "closed its output" if status is None else f"exited with {status}"
        return f"{self.name} {how}: {self._last[:500]}" if self._last else f"{self.name} {how} and said nothing"

    def _kill_group(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends it with its group. Safe to call again."""
        if self._process.returncode is None:
            self._kill_group()
            self._status()
        self._reader.join(GONE_WITHIN_S)


def located(program: str) -> str:
    """Returns the path of *program*. Raises Unavailable if it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise Unavailable(f"{program} is not on PATH")
    return path


class OneShot:
    """A program that is run anew for each sample."""

    def __init__(self, argv: Sequence[str], limit_s: float = 5.0) -> None:
        self.argv = tuple(argv)
        self._limit_s = limit_s
        self._child: Child | None = None
        self._is_closed = False

    def text(self) -> str:
        """Returns what it prints. Raises ChildFailed if it fails or takes too long, OSError if it cannot be started."""
        self._is_closed = False
        child = self._child = Child(self.argv)
        if self._is_closed:
            # By another thread, while it was being started.
            child.close()
        try:
            return child.text(self._limit_s)
        finally:
            child.close()
            self._child = None

    def close(self) -> None:
        """Ends a run that is under way in another thread."""
        self._is_closed = True
        if (child := self._child) is not None:
            child.close()


class Stream:
    """A program that prints its figures again and again; started by `open`, ended by `close`.

    every_s: how often it was told to print. It counts as hung after three times that without a line.
    """

    def __init__(self, every_s: float, first_within_s: float = 8.0) -> None:
        self._patience_s = 3 * every_s + 1
        self._first_within_s = first_within_s
        self._child: Child | None = None
        self._is_closed = False
        self._heard_at = 0.0

    def open(self, argv: Sequence[str]) -> str:
        """Starts it and returns its first line. Raises ChildFailed if there is none in time, OSError if it cannot be started."""
        self.close()
        self._is_closed = False
        child = self._child = Child(argv)
        if self._is_closed:
            # By another thread, while it was being started.
            child.close()
        first = child.line(self._first_within_s)
        if first is None:
            raise ChildFailed(f"{child.name} has said nothing within {self._first_within_s:g} s")
        self._heard_at = time.monotonic()
        return first

    def lines(self, settle_s: float) -> list[str]:
        """Returns what it has printed since, without waiting for more than the rest of a burst.

        settle_s: a pause that long is the end of a burst.
        Raises ChildFailed if it has ended or hung.
        """
        if self._child is None:
            raise ChildFailed("not started")
        found: list[str] = []
        line = self._child.line(0)
        while line is not None and len(found) < MAX_LINES:
            found.append(line)
            line = self._child.line(settle_s)
        now = time.monotonic()
        if found:
            self._heard_at = now
        elif now - self._heard_at > self._patience_s:
            raise ChildFailed(f"{self._child.name} has said nothing for {now - self._heard_at:.0f} s")
        return found

    def close(self) -> None:
        """Ends it. Safe to call again, and while another thread waits for a line."""
        self._is_closed = True
        child, self._child = self._child, None
        if child is not None:
            child.close()
