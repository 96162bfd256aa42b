"""One process of ours in a session of its own: how it is started, what it prints, and when it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

import anyio

from app.launchers import posix
from app.launchers.guard import entry_of
from app.launchers.protocol import ExitStatus, LogSink
from app.launchers.tie import Tie

logger = logging.getLogger(__name__)

PIPE_BYTES = 1 << 20
"""What a child may print before we have read any of it; the most an unprivileged process may ask for on Linux."""

READ_BYTES = 1 << 18
"""Read in one go: bounded, so that a child that floods its output gets one turn of the loop at a time like everybody."""

DRAIN_BYTES = 4 * PIPE_BYTES
"""Read at the end at most: descendants that hold the pipe may go on writing for ever."""


class Child:
    """A running child process. Made in the loop's thread, where it also reads, watches and is released.

    Starting blocks the loop for half a millisecond, or for the few of a fork (`tie`): doing it in a thread would tie the child to
    the life of that thread and leave a moment in which a cancelled starter does not know its own child.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: LogSink, tie: Tie | None = None) -> None:
        """Starts it. Raises what `subprocess.Popen` raises; then nothing is left open."""
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._output, write_end = os.pipe()
        try:
            _widen(write_end)
            command, before_exec = (tie or Tie()).around(argv, env)
            self._popen = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,  # a Ctrl-C in the terminal is for Hostler alone
                preexec_fn=before_exec,  # noqa: PLW1509 - tie.py weighs it
            )
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(write_end)
        self.pid = self._popen.pid
        self._handle = -1
        try:
            self._begin()
        except BaseException:
            self.signal(signal.SIGKILL)
            self._popen.wait()
            self.release()
            raise

    def _begin(self) -> None:
        entry = entry_of(self.pid)
        self.start = entry.start if entry is not None else 0
        """Its start time, as in the process table."""
        self.status: ExitStatus | None = None
        """How it ended; None while it runs."""
        self.exited = anyio.Event()
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._read)
        try:
            self._handle = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or forbidden by a sandbox
            posix.wait_in_thread(self._popen, self._ended_in_thread)
        else:
            self._loop.add_reader(self._handle, self._ended)

    def signal(self, signal_number: int) -> None:
        """Signals its process group; nothing happens when there is none any more."""
        if self._popen.returncode is None:  # not reaped: the number is still ours
            try:
                os.killpg(self.pid, signal_number)
            except OSError:
                pass  # gone, or everything in it belongs to another user

    def release(self) -> None:
        """Lets everything go: the rest of the output, the pipe, the zombie. Safe to call twice."""
        if self._output >= 0:
            self._drain()
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1
        self._unwatch()
        if self._popen.poll() is None:
            logger.error("process %s does not end although it was killed: it hangs in the kernel", self.pid)

    def _unwatch(self) -> None:
        if self._handle >= 0:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    def _ended_in_thread(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:
            pass  # the loop has been closed: nobody waits any more

    def _ended(self) -> None:
        status = posix.exit_of(self._popen)
        if status is None or self.status is not None:
            return
        self._unwatch()
        try:
            self._drain()  # whoever hears of the end finds the last words in the log
        finally:
            self.status = status
            self.exited.set()

    def _read(self) -> int:
        """Hands what is there to the log, READ_BYTES at most, and returns how many bytes that were."""
        try:
            data = os.read(self._output, READ_BYTES)
        except BlockingIOError:
            return 0
        if data:
            self._log(data)
        else:  # everybody who could write has ended
            self._loop.remove_reader(self._output)
        return len(data)

    def _drain(self) -> None:
        total = 0
        while self._output >= 0 and total < DRAIN_BYTES and (count := self._read()):
            total += count


def _widen(pipe: int) -> None:
    """Gives *pipe* room, so that a burst of output does not make the child wait for a turn of our loop."""
    import fcntl  # not on Windows

    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (AttributeError, OSError):
        pass  # not Linux, or the user's share of pipe memory is used up: the usual 64 KiB then


def describe_spawn_error(error: Exception, argv: Sequence[str]) -> str:
    """Returns why *argv* could not be started and what to do, without a word of its environment."""
    command = argv[0]
    match error:
        case FileNotFoundError() if "/" in command and os.path.exists(command):  # noqa: PTH110 - no Path needed for a look
            return f"{command!r} exists, but the interpreter or loader it names does not; check its first line, or rebuild it"
        case FileNotFoundError():
            return f"no such command: {command!r}; install it, or give its full path"
        case NotADirectoryError():
            return f"no such command: {command!r}: a part of the path is not a directory"
        case PermissionError():
            return f"{command!r} may not be executed; if it is the right file, `chmod +x` it"
        case OSError(errno=errno.ENOEXEC):
            return f"{command!r} is no program for this machine; a script needs a first line like `#!/bin/sh`"
        case OSError():
            return f"cannot start {command!r}: {error.strerror or error}"
        case _:
            return f"cannot start {command!r}: {error}"
