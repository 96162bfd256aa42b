"""Who answers at an upstream's port, once it answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from app.launchers import guard
from app.launchers.local import LocalLauncher
from tests import fake_upstream
from tests.launchers.conftest import Log, fake, shell

pytestmark = pytest.mark.anyio


async def test_upstream_itself_is_no_impostor(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with launcher.launch(fake(port), log) as upstream:
        await log.until(b"listening")

        assert await upstream.impostor() is None


async def test_server_that_a_shell_has_forked_is_no_impostor(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with launcher.launch(fake(port, "--fork-and-exit"), log) as upstream:
        await log.until(b"listening")

        assert await upstream.impostor() is None


async def test_process_older_than_the_upstream_is_an_impostor(launcher: LocalLauncher, log: Log, port: int) -> None:
    spec = replace(shell("echo up; sleep 60"), port=port)
    async with launcher.launch(spec, log) as upstream:
        await log.until(b"up")
        with socket.create_server(("127.0.0.1", port)):
            who = await upstream.impostor()

    assert who is not None
    assert who.startswith(f"process {os.getpid()} (")


@pytest.mark.parametrize("is_hostlers", [True, False])
async def test_newer_process_is_an_impostor_only_if_another_hostler_started_it(
    launcher: LocalLauncher, log: Log, port: int, is_hostlers: bool
) -> None:
    spec = replace(shell("echo up; sleep 60"), port=port)
    environment = {**os.environ, guard.MARKER: "another-run:b:1"} if is_hostlers else dict(os.environ)
    async with launcher.launch(spec, log) as upstream:
        await log.until(b"up")
        with subprocess.Popen(fake_upstream.argv(port), env=environment, stdout=subprocess.PIPE) as stranger:
            try:
                assert stranger.stdout is not None
                while b"listening" not in await anyio.to_thread.run_sync(stranger.stdout.readline):
                    pass
                who = await upstream.impostor()
            finally:
                stranger.kill()

    expected = f"process {stranger.pid} ({Path(sys.executable).name}"
    assert (who or "").startswith(expected) if is_hostlers else who is None


async def test_without_a_port_there_is_nothing_to_take(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("echo up; sleep 60"), log) as upstream:
        assert await upstream.impostor() is None
