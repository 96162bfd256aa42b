"""Imitations of the programs that sources start: they print what a test tells them to, when it tells them to."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 20.0


def program(folder: Path, name: str, body: str) -> str:
    """Writes a Python program called *name*, and returns its path. In *body*, `folder` is where it lies."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\nfolder = {str(folder)!r}\n{body}\n")
    path.chmod(0o755)
    return str(path)


class Puppet:
    """A program that prints what it is told, and ends when it is told; each run of it counts."""

    def __init__(self, folder: Path, name: str, prelude: str = "") -> None:
        """prelude: what it does first, with `argv` as it was started."""
        self._strings = folder / f"{name}.strings"
        self._runs = folder / f"{name}.runs"
        os.mkfifo(self._strings)
        self.path = program(
            folder,
            name,
            f"""argv = sys.argv[1:]
with open({str(self._runs)!r}, "a") as file:
    file.write(f"{{os.getpid()}} {{argv}}\\n")
{prelude}
while True:
    with open({str(self._strings)!r}) as strings:
        for line in strings:
            what, _, text = line.rstrip("\\n").partition(" ")
            if what == "say":
                print(text.replace("\\\\n", "\\n"), flush=True)
            else:
                sys.exit(int(text))
""",
        )

    @property
    def runs(self) -> list[tuple[int, str]]:
        """Process id and arguments of each start."""
        if not self._runs.exists():
            return []
        pairs = [line.partition(" ") for line in self._runs.read_text().splitlines()]
        return [(int(pid), arguments) for pid, _, arguments in pairs]

    def say(self, text: str) -> None:
        self._pull("say " + text.rstrip("\n").replace("\n", "\\n"))

    def end(self, status: int) -> None:
        self._pull(f"exit {status}")

    def _pull(self, line: str) -> None:
        # Opening waits for the program to be there.
        with self._strings.open("w") as file:
            file.write(line + "\n")


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until *holds*, looking again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Tells a process that runs from one that is gone or waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"
