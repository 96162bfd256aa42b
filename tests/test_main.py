"""`uvicorn app.main:app`, as an operator types it."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import anyio
import httpx
import psutil
import pytest

from tests.fake_upstream import argv
from tests.ports import free_port

ROOT = Path(__file__).parent.parent

TELL_IF_BOUND = """
import os, socket, sys
teller, hostler = (int(port) for port in sys.argv[1:3])
with socket.socket() as probe:
    answer = b"refused" if probe.connect_ex(("127.0.0.1", hostler)) else b"bound"
with socket.create_connection(("127.0.0.1", teller)) as connection:
    connection.sendall(answer)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A model's command that first tells the test whether Hostler's socket took a connection."""


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "app.main:app", *options]


def environment(config: Path | None, **more: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if key not in {"HOSTLER_CONFIG", "WEB_CONCURRENCY"}}
    return {**env, **({} if config is None else {"HOSTLER_CONFIG": str(config)}), **more}


@contextmanager
def serving(config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the server; at the end it is told to end, and nothing of it may be left."""
    process = subprocess.Popen(command("--port", str(port)), cwd=ROOT, env=environment(config))
    below: list[psutil.Process] = []
    try:
        yield process
        below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(20) in {0, -signal.SIGTERM}
        assert [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until_served(process: subprocess.Popen[bytes], url: str) -> httpx.Response:
    """Returns the first answer; there is no other news of a server's readiness than to ask it."""
    for _ in range(1000):
        assert process.poll() is None, "the server has ended"
        try:
            return httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.02)
    raise AssertionError("nothing is served")


def test_uvicorn_serves_the_configuration_of_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("models: {a: {cmd: 'server ${PORT}'}}")
    port = free_port()

    with serving(config, port) as process:
        health = until_served(process, f"http://127.0.0.1:{port}/health")
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False)

    assert (health.status_code, health.text) == (200, "OK")
    assert [record["id"] for record in models.json()["data"]] == ["a"]


def test_model_is_preloaded_but_not_before_the_socket_is_bound(tmp_path: Path) -> None:
    port = free_port()
    wrapper, config = tmp_path / "wrapper.py", tmp_path / "config.yaml"
    wrapper.write_text(TELL_IF_BOUND)
    with socket.create_server(("127.0.0.1", 0)) as teller:
        teller.settimeout(30)
        start = [sys.executable, str(wrapper), str(teller.getsockname()[1]), str(port), *argv(0)]
        start[start.index("0")] = "${PORT}"
        config.write_text(f"models: {{a: {{cmd: '{' '.join(start)}'}}}}\nhooks: {{on_startup: {{preload: [a]}}}}\n")

        with serving(config, port) as process:
            connection, _ = teller.accept()
            with connection:
                told = connection.recv(100)
            answer = httpx.get(f"http://127.0.0.1:{port}/upstream/a/v1/x", trust_env=False, timeout=30)
            below = psutil.Process(process.pid).children(recursive=True)

    assert told == b"bound"
    assert answer.json()["served_by"] == "fake"
    assert below
    assert not any(child.is_running() for child in below)


def test_open_log_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("models: {a: {cmd: 'server ${PORT}'}}")
    port = free_port()
    with subprocess.Popen(
        command("--port", str(port)),
        cwd=ROOT,
        env=environment(config),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            until_served(process, f"http://127.0.0.1:{port}/health")
            with httpx.stream("GET", f"http://127.0.0.1:{port}/logs/stream", trust_env=False, timeout=30) as logs:
                process.terminate()
                printed, _ = process.communicate(timeout=20)
                logs.read()
        finally:
            process.kill()

    assert b"shutdown complete" in printed
    assert printed.count(b"GET /health") == 1  # by our own access log, not by uvicorn's, too


def test_wrong_configuration_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("models: {a: {cmd: 'server ${PORT}', ttl: soon}}")

    ended = subprocess.run(
        command("--port", "0"), cwd=ROOT, env=environment(config), capture_output=True, text=True, timeout=30
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"hostler: {config}:1: models.a.ttl: ")


def test_missing_configuration_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    ended = subprocess.run(
        command("--port", "0"), cwd=ROOT, env=environment(tmp_path / "none.yaml"), capture_output=True, text=True, timeout=30
    )  # fmt: skip

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "none.yaml" in line


@pytest.mark.parametrize("way", ["option", "environment"])
def test_more_than_one_worker_is_refused_and_leaves_no_process(way: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("models: {}")
    options = ["--workers", "2"] if way == "option" else []
    env = environment(config, **({} if options else {"WEB_CONCURRENCY": "2"}))

    ended = subprocess.run(
        command("--port", str(free_port()), *options), cwd=ROOT, env=env, capture_output=True, text=True, timeout=30
    )

    assert "hostler: one worker only" in ended.stderr
    assert "Traceback" not in ended.stderr
    left = [each.pid for each in psutil.process_iter() if env_of(each).get("HOSTLER_CONFIG") == str(config)]
    assert left == []


def env_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Imports the module with a configuration of its own."""
    config = tmp_path / "config.yaml"
    config.write_text("models: {}")
    monkeypatch.setenv("HOSTLER_CONFIG", str(config))
    monkeypatch.delitem(sys.modules, "app.main", raising=False)
    yield importlib.import_module("app.main")
    sys.modules.pop("app.main", None)


@pytest.mark.parametrize(
    ("arguments", "concurrency", "workers"),
    [
        ([], None, 1),
        (["--workers", "4"], None, 4),
        (["--workers=4"], None, 4),
        (["--port", "1", "--workers", "1"], "8", 1),
        (["--workers"], None, 1),
        (["--workers", "many"], None, 1),
        ([], "3", 3),
        ([], "", 1),
    ],
)
def test_workers_are_counted_as_uvicorn_counts_them(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], concurrency: str | None, workers: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["uvicorn", "app.main:app", *arguments])
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    if concurrency is not None:
        monkeypatch.setenv("WEB_CONCURRENCY", concurrency)

    assert main.workers_asked_for() == workers


@pytest.mark.anyio
async def test_socket_is_waited_for(main: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    looked = anyio.Event()
    connections = psutil.Process.net_connections

    def noted(process: psutil.Process, kind: str) -> object:
        found = connections(process, kind)
        looks.append(any(entry.status == psutil.CONN_LISTEN for entry in found))
        if len(looks) == 3:
            looked.set()
        return found

    monkeypatch.setattr(psutil.Process, "net_connections", noted)
    monkeypatch.setattr(main, "LOOK_EVERY_S", 0.001)
    async with anyio.create_task_group() as group:
        returned = anyio.Event()

        async def wait() -> None:
            await main.wait_bound()
            returned.set()

        group.start_soon(wait)
        await looked.wait()
        assert not returned.is_set()
        with socket.create_server(("127.0.0.1", 0)):
            await returned.wait()

    assert looks[-1]
    assert not any(looks[:-1])


@pytest.mark.anyio
async def test_server_whose_sockets_cannot_be_seen_is_not_waited_for_in_vain(
    main: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "LOOK_FOR_S", 0.01)

    with anyio.fail_after(10):
        await main.wait_bound()
