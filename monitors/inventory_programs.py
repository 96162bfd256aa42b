"""Asks of a machine that may hang: programs with a limit, and probes in threads of their own with a limit for all.

A probe that hangs in a driver cannot be ended, only be left behind: therefore daemon threads, which hold up nobody's end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

LONGEST = 4 << 20
"""Bytes taken of what a program prints."""

PROGRAM_S = 4.0
"""Seconds a program has: the first `nvidia-smi` after a start may take three to wake the driver."""


class Absent(Exception):
    """There is no such program: nothing to tell the operator of."""


class Failed(Exception):
    """The program did not answer; the words say how."""

    def __init__(self, why: str, output: str = "") -> None:
        super().__init__(why)
        self.output = output
        """What it printed all the same."""


class Programs:
    """Runs programs to their end. From any thread, several at a time."""

    def __init__(self, names: Mapping[str, str] | None = None, limit_s: float = PROGRAM_S) -> None:
        """Prepares. names: what to start instead of a program, by its own name; limit_s: seconds for each run."""
        self._names = dict(names or {})
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_closed = False

    def run(self, name: str, *arguments: str) -> str:
        """Returns what a program prints.

        Raises Absent where there is none, or when closed meanwhile, and Failed if it cannot be started, is not done in time, prints
        too much or exits with another status than 0. Whatever it has started in its group is gone then.
        """
        child = self._start([self._names.get(name, name), *arguments])
        late = threading.Event()

        def end() -> None:
            late.set()
            with self._lock:
                if child in self._running:
                    _kill(child)

        timer = threading.Timer(self._limit_s, end)
        timer.daemon = True
        timer.start()
        try:
            assert child.stdout is not None
            with child.stdout:
                output = child.stdout.read(LONGEST + 1)
            if len(output) > LONGEST:
                raise Failed(f"printed more than {LONGEST} bytes")
            _wait_without_reaping(child)
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(child)
                _kill(child)
                is_closed = self._is_closed
            code = child.wait()
        if is_closed:
            raise Absent  # ended by us: nothing to tell the operator of
        text = output.decode("utf-8", "replace")
        if late.is_set():
            raise Failed(f"was not done within {self._limit_s:g} s", text)
        if code != 0:
            raise Failed(f"exited with {code}{_first_words(text)}", text)
        return text

    def close(self) -> None:
        """Kills what runs; nothing more is started. From any thread."""
        with self._lock:
            self._is_closed = True
            for child in self._running:
                _kill(child)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:  # so that `close` misses none
            if self._is_closed:
                raise Absent
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except (FileNotFoundError, NotADirectoryError):
                raise Absent from None
            except (OSError, ValueError) as exc:
                raise Failed(f"cannot be started: {exc}") from exc
            self._running.add(child)
            return child


def _wait_without_reaping(child: subprocess.Popen[bytes]) -> None:
    """Waits for the end. Where the system allows for it, the number stays the child's, so that its group can still be killed."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    else:  # pragma: darwin
        child.wait()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kills a program with its group, unless it has been waited for: then the number may be somebody else's."""
    if child.returncode is not None:
        return
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        pass  # gone already


def _first_words(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f": {line[:200]}" if line else ""


class Probes:
    """Questions that are asked at the same time, each in a thread of its own, and one limit for all the answers."""

    def __init__(self, limit_s: float) -> None:
        self._deadline = time.monotonic() + limit_s
        self.problems: list[str] = []
        """Of those whose answer was waited for: the name, and what went wrong."""

    def start(self, name: str, ask: Callable[[], T], default: T) -> Callable[[], T]:
        """Asks, and returns what waits for the answer: to be called once, in the thread that made this.

        default: the answer for want of one.
        """
        answers: list[T] = []
        wrong: list[str] = []

        def work() -> None:
            try:
                answers.append(ask())
            except Absent:
                pass
            except Failed as exc:
                wrong.append(f"{name} {exc}")
            except Exception as exc:  # an answer nobody thought of must not take the others along
                wrong.append(f"{name} failed: {type(exc).__name__}: {exc}")

        def answer() -> T:
            thread.join(max(self._deadline - time.monotonic(), 0))
            if thread.is_alive():
                self.problems.append(f"{name} took too long")
                return default
            self.problems.extend(wrong)
            return answers[0] if answers else default

        thread = threading.Thread(target=work, name=f"inventory {name}", daemon=True)
        thread.start()
        return answer
