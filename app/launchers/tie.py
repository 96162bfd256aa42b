"""How the life of a child is tied to Hostler's: the kernel kills it when Hostler dies, be the guard dead, too.

Only a process itself can ask for that (PR_SET_PDEATHSIG, prctl(2)), so something has to run between fork and exec. There are two
ways:

- **setpriv** (util-linux) asks and then becomes the command. Python starts it with vfork, which costs 0.5 ms, and setpriv
  takes 1 ms of its own, without Hostler having to wait.
- **a function of ours** in the forked child, which makes Python fork: for a Hostler of 60 MB 5 to 8 ms in which the loop stands
  still, growing with the memory in use (`posix.die_with_parent`).

setpriv cannot tell its starter why a command could not be started, and would have a shell run what is no program. So
it is used only for a command that has been looked at; everything else is started the other way, which tells.

What setpriv does not do is to look whether Hostler has died in the millisecond before it asked. Then the guard ends the child, and
if the guard was killed in that same millisecond the next start does (`journal`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.launchers import posix

TRIAL_LIMIT_S = 2.0
"""For setpriv to show that it works here."""

HEAD_BYTES = 256
"""Of a program: the most the kernel reads of the line that names its interpreter."""


@dataclass(frozen=True, slots=True)
class Tie:
    """The ways there are on this machine; without setpriv there is always the other."""

    setpriv: str | None = None
    """Its path."""

    def around(self, argv: Sequence[str], env: Mapping[str, str]) -> tuple[Sequence[str], Callable[[], None] | None]:
        """Returns what to run for *argv* in *env*, and what the child is to do before (None: nothing, a vfork will do)."""
        before_exec = posix.die_with_parent()
        if before_exec is None or self.setpriv is None or not os.access(self.setpriv, os.X_OK):
            return argv, before_exec
        # What is to be loaded into the command would be loaded into setpriv, too; with our own it has been tried.
        if any(name.startswith("LD_") and os.environ.get(name) != value for name, value in env.items()):
            return argv, before_exec
        if not _will_start(argv[0], env, like=self.setpriv):
            return argv, before_exec
        return [self.setpriv, "--pdeathsig", "KILL", "--", *argv], None


def find_tie() -> Tie:
    """Returns the ways there are. Starts a process: not for the event loop."""
    path = shutil.which("setpriv")
    if path is None:
        return Tie()
    try:
        # BusyBox has one that does not know how; a sandbox may forbid it.
        trial = subprocess.run(
            [path, "--pdeathsig", "KILL", "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Tie()
    return Tie(path) if trial.returncode == 0 else Tie()


def _will_start(command: str, env: Mapping[str, str], *, like: str) -> bool:
    """Whether *command* is found, may be executed, and is a program for the machine of *like*, or a script for one that is there."""
    program = shutil.which(command, path=os.pathsep.join(os.get_exec_path(env)))
    head = b"" if program is None else _head(program)
    if head.startswith(b"#!"):
        interpreter, *_ = head[2:].partition(b"\n")[0].split() or [b""]
        return interpreter.startswith(b"/") and os.access(interpreter, os.X_OK)
    return head.startswith(b"\x7fELF") and _machine(head) == _machine(_head(like))


def _head(path: str) -> bytes:
    """Returns how *path* begins; nothing if it cannot be read, or is no file and might not be read to its end."""
    if not os.path.isfile(path):  # noqa: PTH113 - no Path needed for a look
        return b""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - nor here
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _machine(head: bytes) -> bytes:
    """Returns word length, byte order and instruction set of an ELF file."""
    return head[4:6] + head[18:20]
