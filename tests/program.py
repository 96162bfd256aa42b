"""Runs the whole program as its users do, and finds all that belongs to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx
import psutil

from tests.ports import START_PORT

ROOT = Path(__file__).parents[1]

MARKER = "HOSTLER_TEST"
"""Every program a test starts inherits this variable, so that what it leaves is found wherever it hangs in the tree."""

PATIENCE_S = 60.0
"""Longest wait for anything; a test that waits as long has failed."""

ORDERLY_S = 5.0
"""Longest wait for an orderly end where the end is not what is tested."""

LISTENS = re.compile(r"listens on (https?://\S+?),")


@dataclass(frozen=True)
class Program:
    """A running Hostler."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path
    mark: str

    def get(self, path: str) -> httpx.Response:
        """Asks for a page."""
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def chat(self, model: str, **knobs: object) -> httpx.Response:
        """Asks *model*; knobs are those of `tests/fake_upstream.py`."""
        body = {"model": model, "messages": [], **knobs}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=PATIENCE_S)

    def running(self) -> dict[str, str]:
        """Returns the state of each loaded model."""
        return {model["model"]: model["state"] for model in self.get("/running").json()["running"]}

    def text(self) -> str:
        """Returns what it has printed."""
        return self.output.read_text()

    def answers(self) -> bool:
        """Returns whether it takes requests."""
        try:
            return self.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def descendants(self) -> list[psutil.Process]:
        """Returns every process of this test but Hostler itself."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return (
                process.pid != self.process.pid
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARKER) == self.mark
            )
        except psutil.Error:
            return False

    def until(self, condition: Callable[[], bool]) -> None:
        """Asks *condition* until it holds: for what has no event outside the program."""
        deadline = monotonic() + PATIENCE_S
        while not condition():
            assert monotonic() < deadline, self.text()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.01)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def nothing_is_left(self) -> bool:
        """Returns whether everything it has started ends."""
        _, alive = psutil.wait_procs(self.descendants(), timeout=PATIENCE_S)
        return not alive and not self.descendants()


@contextmanager
def hostler(folder: Path, config: str, *flags: str) -> Iterator[Program]:
    """Serves *config*, a YAML text, on a free port; kills all of it in the end.

    Its models get ports that no other worker's get, unless it says which.
    """
    file = folder / "config.yaml"
    named = "startPort" in config or config.startswith("{")
    file.write_text(config if named else f"startPort: {START_PORT}\n{config}")
    command = [sys.executable, "-m", "app.cli", "serve", "--config", str(file), "--listen", "127.0.0.1:0", *flags]
    with running(folder, command) as program:
        yield program


@contextmanager
def running(folder: Path, command: list[str]) -> Iterator[Program]:
    """Runs a command that serves, and waits until it says where."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARKER: mark, "HOSTLER_STATE_DIR": str(folder / "state")}
    output = folder / "output.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
    program = Program(process, "", output, mark)
    try:
        program.until(lambda: LISTENS.search(program.text()) is not None or process.poll() is not None)
        found = LISTENS.search(program.text())
        assert found is not None, program.text()
        yield Program(process, found[1], output, mark)
    finally:
        if process.poll() is None:
            # In order, for the sake of what it still has to write down: the coverage of its lines, for instance.
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ORDERLY_S)
        left = program.descendants()
        if process.poll() is None:
            left.append(psutil.Process(process.pid))
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=PATIENCE_S)
        process.wait()
