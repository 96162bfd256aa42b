"""What the launcher's tests share: a log that can be waited for, free ports, and an independent look for survivors."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import psutil
import pytest

from app.launchers import guard, local
from app.launchers.local import LocalLauncher
from app.launchers.protocol import LaunchSpec
from tests import fake_upstream
from tests.ports import free_port


class Log:
    """Collects what an upstream prints; words in it can be waited for."""

    def __init__(self) -> None:
        self.text = b""
        self._news = anyio.Event()

    def __call__(self, data: bytes) -> None:
        self.text += data
        self._news.set()

    async def until(self, words: bytes, times: int = 1) -> None:
        with anyio.fail_after(20):
            while self.text.count(words) < times:
                self._news = anyio.Event()
                await self._news.wait()


def marked(marker: str) -> list[psutil.Process]:
    """Returns the living processes with *marker* at the start of their HOSTLER_INSTANCE. Looks by psutil, not by our code."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(guard.MARKER, "").startswith(marker) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def run_id(launcher: LocalLauncher) -> str:
    assert launcher._run is not None
    return launcher._run.id


def guard_pid(launcher: LocalLauncher) -> int:
    assert launcher._run is not None
    assert launcher._run._guard is not None
    return launcher._run._guard.pid


def family(launcher: LocalLauncher) -> list[psutil.Process]:
    """Returns everything that *launcher* has running."""
    return marked(f"{run_id(launcher)}:")


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def fake(port: int, *flags: str, grace_s: float = 10.0, stop_argv: tuple[str, ...] = ()) -> LaunchSpec:
    return LaunchSpec("a", fake_upstream.argv(port, *flags), port=port, grace_s=grace_s, stop_argv=stop_argv)


def shell(script: str, grace_s: float = 10.0) -> LaunchSpec:
    return LaunchSpec("a", ("sh", "-c", script), grace_s=grace_s)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def launcher(tmp_path: Path) -> AsyncIterator[LocalLauncher]:
    async with LocalLauncher(tmp_path) as launcher:
        yield launcher


@pytest.fixture(autouse=True)
def _short_graces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SHORT_GRACE_S", 0.3)
    monkeypatch.setattr(local, "TERM_MARGIN_S", 0.5)
