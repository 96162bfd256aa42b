"""The life of a local upstream, with real processes: every way to start, to end, and to resist."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import psutil
import pytest

from app.launchers import LAUNCHERS, guard, local, posix
from app.launchers.child import READ_BYTES, Child
from app.launchers.local import LocalLauncher
from app.launchers.protocol import ExitStatus, LaunchError, LaunchSpec
from tests.launchers.conftest import Log, fake, family, guard_pid, is_free, living, marked, run_id, shell

pytestmark = pytest.mark.anyio


# --- starting


def test_the_registry_names_the_local_launcher() -> None:
    assert LAUNCHERS["local"] is LocalLauncher


async def test_output_of_both_streams_reaches_the_log(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with launcher.launch(fake(port), log):
        await log.until(b"listening")

    assert b"fake upstream" in log.text
    assert b"this line goes to stderr" in log.text


async def test_an_upstream_leads_a_session_of_its_own_and_has_no_input(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("cat; echo end of input; sleep 60"), log) as upstream:
        await log.until(b"end of input")

        assert os.getsid(upstream.pid) == upstream.pid
        assert os.getpgid(upstream.pid) == upstream.pid


async def test_the_environment_is_ours_overlaid_with_the_specs(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    spec = LaunchSpec("a", ("env",), env=("COLOUR=red", "COLOUR=blue=green", f"{guard.MARKER}=forged"))
    async with launcher.launch(spec, log) as upstream:
        await upstream.wait()

    lines = log.text.decode().splitlines()
    assert "INHERITED=yes" in lines
    assert "COLOUR=blue=green" in lines
    assert f"{guard.MARKER}={run_id(launcher)}:a:1" in lines


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "its command is empty"),
        (("no-such-command-anywhere",), "no such command: 'no-such-command-anywhere'"),
        (("/etc/hosts/x",), "not a directory"),
        (("sh", "a\0b"), "null byte"),
    ],
)
async def test_what_cannot_be_started_is_told_with_the_command(
    launcher: LocalLauncher, log: Log, argv: tuple[str, ...], words: str
) -> None:
    with pytest.raises(LaunchError, match=words) as caught:
        async with launcher.launch(LaunchSpec("a", argv), log):
            pytest.fail("it started")

    assert "'a'" in str(caught.value)
    assert family(launcher) == []


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        (0o644, "#!/bin/sh\n", "may not be executed"),
        (0o755, "#!/no/such/interpreter\n", "the interpreter or loader it names does not"),
        (0o755, "\x01\x02", "no program for this machine"),
    ],
)
async def test_a_file_that_is_no_program_is_told(
    launcher: LocalLauncher, log: Log, tmp_path: Path, mode: int, content: str, words: str
) -> None:
    program = tmp_path / "program"
    program.write_text(content)
    program.chmod(mode)

    with pytest.raises(LaunchError, match=words):
        async with launcher.launch(LaunchSpec("a", (str(program),)), log):
            pytest.fail("it started")


async def test_arguments_too_long_for_the_system_are_told(launcher: LocalLauncher, log: Log) -> None:
    with pytest.raises(LaunchError, match="Argument list too long"):
        async with launcher.launch(LaunchSpec("a", ("sh", "x" * (1 << 22))), log):
            pytest.fail("it started")


async def test_a_port_held_by_a_stranger_is_an_error_that_names_the_holder(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    holder = rf"port {port} .* process {os.getpid()} \("
    with socket.create_server(("127.0.0.1", port)), pytest.raises(LaunchError, match=holder) as caught:
        async with launcher.launch(fake(port), log):
            pytest.fail("it started")

    assert "give the model another port" in str(caught.value)
    assert family(launcher) == []


async def test_failing_after_the_fork_leaves_no_process(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_reader(*_: object) -> None:
        raise RuntimeError("no more readers")

    started: list[int] = []
    popen = subprocess.Popen.__init__

    def spy(self: subprocess.Popen[bytes], *args: object, **named: object) -> None:
        popen(self, *args, **named)  # type: ignore[call-overload]  # passed through as it came
        started.append(self.pid)

    import asyncio

    monkeypatch.setattr(subprocess.Popen, "__init__", spy)
    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", no_reader)
    with pytest.raises(RuntimeError, match="no more readers"):
        async with launcher.launch(shell("sleep 60"), log):
            pytest.fail("it started")

    assert started
    assert not psutil.pid_exists(started[0])


# --- ending by itself


async def test_an_early_exit_is_heard_of_with_its_code_and_last_words(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    spec = fake(port, "--listen-delay", "60", "--exit-after", "0", "--exit-code", "7")
    async with launcher.launch(spec, log) as upstream:
        status = await upstream.wait()

        assert status == ExitStatus(7)
        assert b"exiting with 7" in log.text  # at once: the supervisor puts it into its message


async def test_a_death_by_signal_is_heard_of_with_its_name_by_all_who_wait(launcher: LocalLauncher, log: Log) -> None:
    seen: list[ExitStatus] = []
    async with launcher.launch(shell("sleep 60"), log) as upstream:

        async def waiter() -> None:
            seen.append(await upstream.wait())

        async with anyio.create_task_group() as group:
            group.start_soon(waiter)
            group.start_soon(waiter)
            await anyio.lowlevel.checkpoint()
            os.kill(upstream.pid, signal.SIGSEGV)

    assert seen == [ExitStatus(None, "SIGSEGV")] * 2


async def test_a_death_by_a_nameless_signal_is_heard_of(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("sleep 60"), log) as upstream:
        os.kill(upstream.pid, signal.SIGRTMIN + 3)
        status = await upstream.wait()

    assert str(status) == f"ended by signal {signal.SIGRTMIN + 3}"


async def test_waiting_can_be_cancelled_and_begun_again(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("sleep 0.2; exit 4"), log) as upstream:
        with anyio.move_on_after(0):
            await upstream.wait()

        assert (await upstream.wait()) == ExitStatus(4)


async def test_what_a_crashed_upstream_leaves_is_ended(launcher: LocalLauncher, log: Log, port: int) -> None:
    spec = fake(port, "--children", "2", "--child-own-session")
    async with launcher.launch(spec, log) as upstream:
        await log.until(b"child ", times=2)
        left = family(launcher)
        os.kill(upstream.pid, signal.SIGKILL)
        await upstream.wait()

        assert len(living(left)) == 2
        assert not is_free(port)  # the children have inherited it

    assert living(left) == []
    assert is_free(port)


# --- being stopped


async def test_a_well_behaved_upstream_ends_by_term(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with launcher.launch(fake(port), log) as upstream:
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(0)
    assert b"terminated" in log.text
    assert not psutil.pid_exists(upstream.pid)
    assert is_free(port)


async def test_an_upstream_that_ignores_term_is_killed_after_its_grace(
    launcher: LocalLauncher, log: Log, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with launcher.launch(fake(port, "--ignore-term", grace_s=0.3), log) as upstream:
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(None, "SIGKILL")
    assert "has not ended within 0.3 s" in caplog.text
    assert is_free(port)


@pytest.mark.parametrize(
    "flags",
    [
        ("--children", "3"),
        ("--children", "2", "--child-own-session"),
        ("--children", "2", "--daemonize-child"),
        ("--children", "2", "--child-own-session", "--child-clean-env"),
        ("--children", "2", "--ignore-term"),
        ("--children", "2", "--ignore-term", "--daemonize-child"),
    ],
    ids=" ".join,
)
async def test_no_descendant_survives_a_stop(
    launcher: LocalLauncher, log: Log, port: int, flags: tuple[str, ...]
) -> None:
    grown = int(flags[1])
    async with launcher.launch(fake(port, *flags, grace_s=0.3), log) as upstream:
        await log.until(b"child ", times=grown)
        main_process = psutil.Process(upstream.pid)
        orphans = [one for one in psutil.Process().children() if one.pid not in (upstream.pid, guard_pid(launcher))]
        tree = [main_process, *main_process.children(recursive=True), *orphans]
        assert len(tree) >= grown + 1

    assert living(tree) == []
    assert is_free(port)
    assert not [one for one in tree if one.is_running()], "an adopted orphan was not reaped"


@pytest.mark.parametrize("flags", ["", "--ignore-term"])
async def test_a_shell_that_waits_for_the_real_server_goes_with_it(
    launcher: LocalLauncher, log: Log, port: int, flags: str
) -> None:
    script = f"{' '.join(fake(port).argv)} {flags} & wait"
    async with launcher.launch(shell(script, grace_s=0.5), log):
        await log.until(b"listening")
        members = family(launcher)
        assert len(members) == 2

    assert living(members) == []
    assert is_free(port)


async def test_a_server_behind_a_shell_has_the_whole_grace_to_end_in(launcher: LocalLauncher, log: Log) -> None:
    script = "(trap 'sleep 0.5; echo saved my work; exit' TERM; echo up; while :; do sleep 0.05; done) & wait"
    async with launcher.launch(shell(script), log):
        await log.until(b"up")

    assert b"saved my work" in log.text


async def test_a_shell_that_leaves_the_real_server_behind_is_an_end_and_the_server_goes(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    async with launcher.launch(shell(f"{' '.join(fake(port).argv)} & sleep 0.1"), log) as upstream:
        assert (await upstream.wait()) == ExitStatus(0)
        await log.until(b"listening")
        members = family(launcher)
        assert len(members) == 1

    assert living(members) == []
    assert is_free(port)


async def test_a_server_that_forks_and_exits_is_ended(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with launcher.launch(fake(port, "--fork-and-exit"), log) as upstream:
        assert (await upstream.wait()) == ExitStatus(0)
        await log.until(b"listening")

    assert is_free(port)
    assert family(launcher) == []


async def test_stopping_one_upstream_leaves_another_alone(launcher: LocalLauncher, port: int) -> None:
    first, second = Log(), Log()
    flags = ("--children", "1", "--child-own-session")
    async with launcher.launch(fake(port, *flags), first):
        await first.until(b"child ")
        stays = family(launcher)
        async with launcher.launch(LaunchSpec("b", ("sh", "-c", "echo up; sleep 60")), second):
            await second.until(b"up")
            assert len(family(launcher)) > len(stays)

        assert len(stays) == 2
        assert family(launcher) == stays


async def test_what_cannot_be_killed_is_told_and_does_not_hold_up_the_stop_for_ever(
    launcher: LocalLauncher, log: Log, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local, "KILL_LIMIT_S", 0.1)
    monkeypatch.setattr(guard, "send", lambda *_: None)  # as if it hung in the kernel
    async with launcher.launch(fake(port, "--children", "1", "--child-own-session"), log):
        await log.until(b"child ")

    assert "cannot be ended" in caplog.text
    (left,) = family(launcher)
    left.kill()
    left.wait()


async def test_a_main_process_that_cannot_be_killed_is_told_and_let_go(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_signal(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(local, "KILL_LIMIT_S", 0.1)
    monkeypatch.setattr(os, "killpg", no_signal)
    monkeypatch.setattr(guard, "send", lambda *_: None)
    async with launcher.launch(shell("exec sleep 60", grace_s=0.1), log) as upstream:
        process = psutil.Process(upstream.pid)

    assert "does not end although it was killed" in caplog.text
    process.kill()
    process.wait()
    upstream._child._popen.wait()


async def test_a_flood_of_output_starves_nobody_and_is_whole(launcher: LocalLauncher, port: int) -> None:
    size = 64 << 20
    sizes: list[int] = []
    turns = 0
    turns_at_chunk: list[int] = []
    log = Log()

    def sink(data: bytes) -> None:
        sizes.append(len(data))
        turns_at_chunk.append(turns)
        log(data[-64:])

    async with launcher.launch(fake(port, "--flood", str(size)), sink), anyio.create_task_group() as group:

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        group.start_soon(count_turns)
        await log.until(b"flooded")
        group.cancel_scope.cancel()

    assert sum(sizes) > size
    assert max(sizes) <= READ_BYTES
    # Everybody else had a turn between one read and the next.
    assert all(before < after for before, after in pairwise(turns_at_chunk[1:-5]))


def test_a_log_that_raises_does_not_hide_an_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: bytes) -> None:
        raise ZeroDivisionError

    async def main() -> ExitStatus:
        async with (
            LocalLauncher(tmp_path) as launcher,
            launcher.launch(shell("echo words; exit 2"), broken) as upstream,
        ):
            return await upstream.wait()

    assert anyio.run(main) == ExitStatus(2)
    assert "ZeroDivisionError" in caplog.text


# --- stop commands


async def test_a_stop_command_is_told_the_pid_and_is_logged(launcher: LocalLauncher, log: Log, port: int) -> None:
    stop = ("sh", "-c", "echo stopping ${PID} as $HOSTLER_INSTANCE; kill -USR1 ${PID}")
    async with launcher.launch(fake(port, stop_argv=stop), log) as upstream:
        await log.until(b"listening")

    assert f"stopping {upstream.pid} as {run_id(launcher)}:a:1".encode() in log.text
    assert (await upstream.wait()) == ExitStatus(None, "SIGUSR1")


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (("sh", "-c", "exit 3"), "the stop command exited with code 3"),
        (("no-such-stop-command",), "no such command: 'no-such-stop-command'"),
    ],
)
async def test_term_follows_at_once_on_a_stop_command_that_fails(
    launcher: LocalLauncher,
    log: Log,
    port: int,
    caplog: pytest.LogCaptureFixture,
    stop: tuple[str, ...],
    words: str,
) -> None:
    # Were it not at once, the time limit of the test would strike.
    async with launcher.launch(fake(port, stop_argv=stop, grace_s=600), log) as upstream:
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(0)
    assert b"terminated" in log.text
    assert words in caplog.text


@pytest.mark.parametrize("stop", [("true",), ("sh", "-c", "trap '' TERM; sleep 60")], ids=["in vain", "hangs"])
async def test_term_follows_after_the_grace_on_a_stop_command_that_does_not_end_it(
    launcher: LocalLauncher, log: Log, port: int, stop: tuple[str, ...]
) -> None:
    async with launcher.launch(fake(port, stop_argv=stop, grace_s=0.3), log) as upstream:
        await log.until(b"listening")
        before = family(launcher)

    assert (await upstream.wait()) == ExitStatus(0)
    assert b"terminated" in log.text
    assert living(before) == []
    assert family(launcher) == []


async def test_a_stop_command_that_hangs_after_doing_its_work_does_not_hold_up_the_stop(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    stop = ("sh", "-c", "kill ${PID}; sleep 600")
    async with launcher.launch(fake(port, stop_argv=stop, grace_s=600), log) as upstream:
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(0)
    assert family(launcher) == []


async def test_kill_follows_when_neither_stop_command_nor_term_end_it(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    async with launcher.launch(fake(port, "--ignore-term", stop_argv=("true",), grace_s=0.2), log) as upstream:
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(None, "SIGKILL")


# --- cancellation


async def test_cancelled_anywhere_while_starting_it_leaves_nothing(launcher: LocalLauncher, port: int) -> None:
    entered = []
    for turns in range(12):
        async with anyio.create_task_group() as group:

            async def life(turns: int = turns) -> None:
                spec = LaunchSpec("a", fake(port).argv, host="localhost", port=port)
                async with launcher.launch(spec, Log()):
                    entered.append(turns)
                    await anyio.sleep_forever()

            group.start_soon(life)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

        assert family(launcher) == []
        assert is_free(port)


async def test_cancelled_while_running_it_is_stopped_in_order(launcher: LocalLauncher, log: Log, port: int) -> None:
    async with anyio.create_task_group() as group:

        async def life() -> None:
            async with launcher.launch(fake(port), log):
                await anyio.sleep_forever()

        group.start_soon(life)
        await log.until(b"listening")
        group.cancel_scope.cancel()

    assert b"terminated" in log.text
    assert family(launcher) == []


async def test_a_cancelled_stop_goes_on_to_its_end(launcher: LocalLauncher, log: Log, port: int) -> None:
    with anyio.CancelScope() as scope:
        async with launcher.launch(fake(port, "--ignore-term", grace_s=0.3), log):
            await log.until(b"listening")
            scope.cancel()

    assert family(launcher) == []
    assert is_free(port)


async def test_an_error_in_the_body_comes_through_after_the_stop(launcher: LocalLauncher, log: Log, port: int) -> None:
    with pytest.raises(ZeroDivisionError):
        async with launcher.launch(fake(port), log):
            await log.until(b"listening")
            raise ZeroDivisionError

    assert family(launcher) == []


async def test_a_failing_stop_procedure_still_kills_and_does_not_raise(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_table() -> list[guard.Entry]:
        raise OSError("no process table")

    async with launcher.launch(shell("sleep 60"), log) as upstream:
        monkeypatch.setattr(guard, "census", no_table)

    assert (await upstream.wait()) == ExitStatus(None, "SIGKILL")
    assert "stopping failed" in caplog.text
    monkeypatch.undo()


async def test_a_process_table_that_hangs_does_not_hang_a_stop(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import threading

    released = threading.Event()

    def slow_table() -> list[guard.Entry]:
        released.wait(20)
        return []

    async with launcher.launch(shell("sleep 60"), log) as upstream:
        monkeypatch.setattr(local, "LOOK_LIMIT_S", 0.05)
        monkeypatch.setattr(guard, "census", slow_table)

    released.set()
    monkeypatch.undo()
    assert (await upstream.wait()) == ExitStatus(None, "SIGTERM")
    assert "process table cannot be read" in caplog.text


# --- all at once


async def test_kill_all_kills_everything_at_once_and_may_be_called_twice(
    launcher: LocalLauncher, log: Log, port: int
) -> None:
    spec = fake(port, "--ignore-term", "--children", "1", "--child-own-session", grace_s=600)
    async with launcher.launch(spec, log) as upstream:
        await log.until(b"child ")
        members = family(launcher)
        assert len(members) == 2

        launcher.kill_all()
        launcher.kill_all()

        assert living(members) == []
        assert (await upstream.wait()) == ExitStatus(None, "SIGKILL")


def test_kill_all_of_an_idle_launcher_does_nothing() -> None:
    LocalLauncher().kill_all()


async def test_a_launcher_that_was_not_entered_opens_itself(tmp_path: Path, log: Log, port: int) -> None:
    launcher = LocalLauncher(tmp_path)
    async with launcher.launch(fake(port), log):
        await log.until(b"listening")

        assert len(list((tmp_path / "runs").iterdir())) == 1

    await launcher.__aexit__(None, None, None)
    await launcher.__aexit__(None, None, None)

    assert list((tmp_path / "runs").iterdir()) == []


async def test_leaving_the_launcher_ends_what_still_runs(tmp_path: Path, log: Log, port: int) -> None:
    async with LocalLauncher(tmp_path) as launcher:
        life = launcher.launch(fake(port), log)
        upstream = await life.__aenter__()
        await log.until(b"listening")

    assert (await upstream.wait()) == ExitStatus(None, "SIGKILL")
    await life.__aexit__(None, None, None)
    assert list((tmp_path / "runs").iterdir()) == []


async def test_orphans_that_end_early_are_reaped_while_the_upstream_goes_on(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("(sh -c 'echo orphan $$; exit' &); read x < /dev/null; sleep 60"), log):
        await log.until(b"orphan")
        pid = int(log.text.split()[1])
        with anyio.fail_after(10):
            while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE or psutil.Process(pid).ppid() != os.getpid():
                await anyio.lowlevel.checkpoint()

        launcher.tidy()

        assert not psutil.pid_exists(pid)


async def test_children_of_others_are_not_reaped(launcher: LocalLauncher, log: Log) -> None:
    async with launcher.launch(shell("sleep 60"), log):
        other = subprocess.Popen(["sh", "-c", "exit 5"], start_new_session=True)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)

        launcher.tidy()

    assert other.wait() == 5


# --- other systems, other loops


async def test_without_pidfd_ends_are_heard_of_by_a_thread_and_stops_are_complete(
    launcher: LocalLauncher, log: Log, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    spec = fake(port, "--children", "1", "--child-own-session")
    async with launcher.launch(spec, log) as upstream:
        await log.until(b"child ")
        members = family(launcher)
        assert len(members) == 2

    assert (await upstream.wait()) == ExitStatus(0)
    assert living(members) == []


async def test_without_waitid_ends_are_heard_of(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "waitid")
    async with launcher.launch(shell("exit 6"), log) as upstream:
        assert (await upstream.wait()) == ExitStatus(6)

        launcher.tidy()


def test_without_pidfd_and_with_children_reaped_by_the_system_an_end_is_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    test_where_children_are_reaped_by_the_system_an_end_is_heard_of_all_the_same(tmp_path)


def test_an_end_after_the_loop_is_closed_is_no_error() -> None:
    async def main() -> Child:
        child = Child(["true"], {}, Log())
        await child.exited.wait()
        child.release()
        return child

    anyio.run(main)._ended_in_thread()


async def test_a_pipe_that_cannot_be_widened_serves(
    launcher: LocalLauncher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.delattr(fcntl, "F_SETPIPE_SZ")
    async with launcher.launch(shell("echo words; exit 0"), log) as upstream:
        await upstream.wait()

    assert log.text == b"words\n"


def test_where_children_are_reaped_by_the_system_an_end_is_heard_of_all_the_same(tmp_path: Path) -> None:
    async def main() -> ExitStatus:
        async with LocalLauncher(tmp_path) as launcher:
            before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            try:
                async with launcher.launch(shell("exit 6"), Log()) as upstream:
                    return await upstream.wait()
            finally:
                signal.signal(signal.SIGCHLD, before)

    assert anyio.run(main) == ExitStatus(None)


def test_outside_the_main_thread_children_are_not_tied_to_the_thread() -> None:
    seen: list[object] = []
    import threading

    thread = threading.Thread(target=lambda: seen.append(posix.die_with_parent()))
    thread.start()
    thread.join()

    assert seen == [None]


def test_everything_works_on_uvloop(tmp_path: Path, port: int) -> None:
    log = Log()

    async def main() -> tuple[ExitStatus, list[psutil.Process]]:
        async with LocalLauncher(tmp_path) as launcher:
            stop = ("sh", "-c", "kill ${PID}")
            spec = fake(port, "--children", "2", "--daemonize-child", "--flood", "4000000", stop_argv=stop)
            async with launcher.launch(spec, log) as upstream:
                await log.until(b"flooded")
                members = family(launcher)
                assert len(members) == 3
            return await upstream.wait(), living(members)

    status, left = anyio.run(main, backend_options={"use_uvloop": True})

    assert (status, left) == (ExitStatus(0), [])


# --- when Hostler is killed


@contextmanager
def victim(state_dir: Path, port: int, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Runs a Hostler stand-in and tells it, its run and the pid of its guard, once its upstream is up."""
    command = [sys.executable, "-m", "tests.launchers.victim", str(state_dir), str(port), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            run, watcher_pid = process.stdout.readline().split()
            yield process, run, int(watcher_pid)
        finally:
            process.kill()


@pytest.mark.parametrize(
    "flags",
    [("--children", "2"), ("--children", "2", "--daemonize-child", "--ignore-term")],
    ids=["in the group", "in other sessions"],
)
def test_nothing_survives_sigkill_of_hostler(tmp_path: Path, port: int, flags: tuple[str, ...]) -> None:
    with victim(tmp_path, port, *flags) as (hostler, run, watcher_pid):
        watcher = psutil.Process(watcher_pid)
        members = marked(f"{run}:")
        assert len(members) == 3

        hostler.kill()
        hostler.wait()
        _, left = psutil.wait_procs([*members, watcher], timeout=30)

        assert left == []
    assert marked(f"{run}:") == []
    assert is_free(port)
    assert list((tmp_path / "runs").iterdir()) == []


async def test_what_survives_sigkill_of_hostler_and_its_guard_is_ended_by_the_next_start(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with victim(tmp_path, port, "--children", "2", "--daemonize-child") as (hostler, run, watcher_pid):
        members = marked(f"{run}:")
        assert len(members) == 3
        main_process = next(one for one in members if one.pid == os.getpgid(one.pid))
        os.kill(watcher_pid, signal.SIGKILL)
        hostler.kill()
        hostler.wait()
        # The parent-death signal ends the main process; its daemons live on.
        psutil.wait_procs([main_process], timeout=30)
        assert len(marked(f"{run}:")) == 2

        with caplog.at_level(logging.WARNING):
            async with LocalLauncher(tmp_path):
                assert marked(f"{run}:") == []
                assert is_free(port)

    assert "ended 2 processes it left" in caplog.text
    assert list((tmp_path / "runs").iterdir()) == []
