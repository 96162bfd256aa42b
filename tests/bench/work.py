"""`python -m tests.bench.work`: how much Python a request is: bytecodes and calls of Python functions on the loop's thread, and its garbage.

Times differ from machine to machine and from minute to minute; these counts hardly do, so a change of a per cent can be seen, and a test can
hold them (`tests/test_bench.py`). A whole Hostler serves real requests over real sockets; the interpreter calls us for every bytecode
(`sys.settrace`), which makes it much slower and no different otherwise. What C does between two bytecodes (parsing, joining,
decoding, system calls), and other threads, are not in it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.bench.load import BODIES
from tests.bench.targets import HOST, MODELS, ROOT, TargetError, ask, config_text, wait_listening
from tests.ports import free_port

WARM_UP = 100
"""Requests before counting begins: caches fill, models load, connections are made."""

LIMIT_S = 300


@dataclass(frozen=True, slots=True)
class Function:
    """What one function does for a request, at the mean."""

    bytecodes: float
    calls: float
    name: str
    """With its file and line."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is."""

    functions: list[Function]
    """Those that do most come first."""
    garbage: float
    """Objects that it leaves behind in circles, which keep what they hold (bodies!) until the collector comes by."""

    @property
    def bytecodes(self) -> float:
        return sum(each.bytecodes for each in self.functions)

    @property
    def calls(self) -> float:
        return sum(each.calls for each in self.functions)


def measure(kind: str, requests: int, connections: int = 32) -> Work:
    """Counts so many requests of a kind (`load.BODIES`) in a process of its own. Raises TargetError if one is answered wrongly."""
    command = [sys.executable, "-m", __spec__.name, "--serve", kind, "--requests", str(requests)]
    command += ["--connections", str(connections)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise TargetError("\n".join([f"exited with {done.returncode}", *lines[-5:], *done.stderr.splitlines()[-20:]]))
    told = json.loads(lines[-1])
    return Work([Function(*row) for row in told["functions"]], told["garbage"])


class _Count:
    """Counts what the thread that installs it does, while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self._bytecodes: Counter[CodeType] = Counter()
        self._calls: Counter[CodeType] = Counter()

    def install(self) -> None:
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self._bytecodes[frame.f_code] += 1
        elif event == "call":
            if not self.is_on:
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            self._calls[frame.f_code] += 1
        return self._trace

    def rows(self, requests: int) -> list[tuple[float, float, str]]:
        return [
            (
                count / requests,
                self._calls[code] / requests,
                f"{_short(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}",
            )
            for code, count in self._bytecodes.most_common()
        ]


def _short(path: str) -> str:
    return path.removeprefix(f"{ROOT}{os.sep}").rpartition("site-packages/")[2]


def _serve(kind: str, requests: int, connections: int) -> int:
    """Is the process that is counted: Hostler in the main thread, who asks it in another one."""
    count = _Count()
    told: dict[str, object] = {}
    port = free_port()

    def load(number: int) -> None:
        command = [sys.executable, "-m", "tests.bench.load", "--port", str(port), "--work", kind]
        command += ["--connections", str(connections), "--requests", str(number)]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout
        wrong = json.loads(said)["first_wrong"]
        if wrong:
            raise TargetError(wrong)

    def drive() -> None:
        try:
            wait_listening(None, port)
            ask(port, MODELS[0])
            load(WARM_UP)
            count.is_on = True
            load(requests)
            count.is_on = False
            gc.collect()
            gc.disable()
            load(requests)
            told.update(functions=count.rows(requests), garbage=gc.collect() / requests)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(config_text(Path(folder) / "times"))
        threading.Thread(target=drive, name="load").start()
        count.install()
        from app.cli import main

        sys.argv = ["hostler", "serve", "--config", str(config), "--listen", f"{HOST}:{port}"]
        code = main()
    sys.settrace(None)
    print(json.dumps(told))
    return 0 if told else code or 1


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.work", description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", choices=list(BODIES), default="small", dest="kind")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rows", type=int, default=40, help="functions to show")
    parser.add_argument("--serve", choices=list(BODIES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return _serve(options.serve, options.requests, options.connections)
    work = measure(options.kind, options.requests, options.connections)
    print(
        f"{work.bytecodes:.0f} bytecodes and {work.calls:.0f} calls of Python functions for each of {options.requests}"
    )
    print(f"{work.garbage:.1f} objects each are left to the garbage collector")
    print("\nbytecodes  calls")
    for each in work.functions[: options.rows]:
        print(f"{each.bytecodes:9.1f} {each.calls:6.1f}  {each.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
