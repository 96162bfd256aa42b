"""A child dies with whoever started it, whichever way it was started, and notices nothing of the way."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from app.launchers import guard, tie
from app.launchers.local import LocalLauncher
from app.launchers.protocol import LaunchSpec
from app.launchers.tie import Tie, find_tie
from tests.launchers.conftest import Log, run_id

SETPRIV = shutil.which("setpriv")

needs_setpriv = pytest.mark.skipif(find_tie() == Tie(), reason="no setpriv here that knows --pdeathsig")

WAYS = [pytest.param(find_tie(), marks=needs_setpriv, id="setpriv"), pytest.param(Tie(), id="fork")]

ENV = {"PATH": os.environ["PATH"]}


def program(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o755)
    return path


# --- what there is


@needs_setpriv
def test_setpriv_is_found_and_used_for_programs_and_scripts(tmp_path: Path) -> None:
    script = program(tmp_path / "script", b"#!/usr/bin/env sh\n")
    for argv in (["sh", "-c", "true"], [sys.executable], [str(script), "-x"]):
        assert find_tie().around(argv, ENV) == ([SETPRIV, "--pdeathsig", "KILL", "--", *argv], None)


@pytest.mark.parametrize(
    "content",
    [None, b"#!/bin/sh\nexit 1\n", b"#!/bin/sh\nexec sleep 60\n", b"#!/no/such/interpreter\n"],
    ids=["none", "BusyBox's", "hangs", "broken"],
)
def test_without_a_setpriv_that_works_there_is_the_other_way(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tie, "TRIAL_LIMIT_S", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    if content is not None:
        program(
            tmp_path / "setpriv",
            content.replace(b"sleep", (shutil.which("sleep", path="/bin:/usr/bin") or "").encode()),
        )

    assert find_tie() == Tie()


@needs_setpriv
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"echo a shell would run this\n",
        b"#!/no/such/interpreter\n",
        b"#!sh\n",
        b"#!\n",
        b"\x7fELF" + bytes(60),
    ],
    ids=["none", "empty", "no first line", "no interpreter", "relative interpreter", "nameless", "another machine's"],
)
def test_a_command_that_might_not_start_is_forked_so_that_the_reason_is_told(
    content: bytes | None, tmp_path: Path
) -> None:
    argv = [str(tmp_path / "program")]
    if content is not None:
        program(tmp_path / "program", content)

    command, before_exec = find_tie().around(argv, ENV)

    assert command == argv
    assert before_exec is not None


@needs_setpriv
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o777)

    assert find_tie().around([str(tmp_path / "pipe")], ENV)[1] is not None


@needs_setpriv
def test_what_a_model_has_the_loader_load_is_not_loaded_into_setpriv(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {**ENV, "LD_LIBRARY_PATH": "/nowhere"}

    assert find_tie().around(["sh"], ours)[1] is not None

    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")

    assert find_tie().around(["sh"], ours)[1] is None


def test_a_setpriv_that_has_gone_is_not_used(tmp_path: Path) -> None:
    command, before_exec = Tie(str(tmp_path / "setpriv")).around(["sh"], ENV)

    assert command == ["sh"]
    assert before_exec is not None


@pytest.mark.parametrize("way", WAYS)
def test_in_another_thread_nothing_is_tied(way: Tie) -> None:
    """The kernel would kill the child when that thread ends."""
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(way.around(["sh"], ENV)))
    thread.start()
    thread.join()

    assert seen == [(["sh"], None)]


# --- what it does


@pytest.mark.parametrize("way", WAYS)
def test_the_child_is_killed_when_its_starter_is(way: Tie) -> None:
    starter = f"""
import subprocess
from app.launchers.tie import Tie
command, before_exec = {way!r}.around(["sh", "-c", "echo $$; exec sleep 60"], {ENV!r})
subprocess.Popen(command, env={ENV!r}, preexec_fn=before_exec, start_new_session=True).wait()
"""
    root = Path(tie.__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, cwd=root) as popen:
        assert popen.stdout is not None
        pid = int(popen.stdout.readline())  # it runs, so whatever ties it has been done
        child = os.pidfd_open(pid)
        popen.kill()
        popen.wait()
    try:
        # It ends, though perhaps nobody reaps it.
        assert select.select([child], [], [], 10)[0] == [child]
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)


TOLD = "import os, sys; print(os.getpid(), os.getsid(0), sys.orig_argv, sorted(os.environ.items()), flush=True)"


@pytest.mark.anyio
async def test_the_command_notices_nothing_of_the_way(launcher: LocalLauncher, log: Log) -> None:
    seen = []
    for way in (find_tie(), Tie()):
        launcher._tie = way
        heard = Log()
        argv = (sys.executable, "-S", "-c", TOLD)
        async with launcher.launch(LaunchSpec("a", argv, env=("COLOUR=blue", "ODD.NAME=x")), heard) as upstream:
            await upstream.wait()
        pid, session, told = heard.text.decode().split(" ", 2)

        assert int(pid) == int(session) == upstream.pid

        seen.append(
            told.replace(f"{guard.MARKER}', '{run_id(launcher)}:a:2", f"{guard.MARKER}', '{run_id(launcher)}:a:1")
        )

    assert "ODD.NAME" in seen[0]
    assert seen[0] == seen[1]


@needs_setpriv
@pytest.mark.anyio
async def test_a_launcher_that_was_entered_does_not_fork(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked: list[object] = []
    popen = subprocess.Popen.__init__

    def spy(self: subprocess.Popen[bytes], *args: object, **named: object) -> None:
        forked.append(named["preexec_fn"])
        popen(self, *args, **named)  # type: ignore[call-overload]  # passed through as it came

    monkeypatch.setattr(subprocess.Popen, "__init__", spy)
    async with launcher.launch(LaunchSpec("a", ("sh", "-c", "true")), log) as upstream:
        with anyio.fail_after(10):
            await upstream.wait()

    assert forked == [None]


def test_a_file_that_cannot_be_read_has_no_beginning() -> None:
    assert tie._head("/proc/self/mem") == b""
