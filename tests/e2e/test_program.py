"""The whole program over fake model servers: real processes, real sockets, real signals."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, ROOT, Program, hostler

pytestmark = pytest.mark.timeout(120)


def entry(name: str, *flags: str, extra: str = "") -> str:
    """Returns the YAML of one model over a fake server."""
    port = free_port()
    command = shlex.join(argv(port, "--model", name, *flags))
    return f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n{extra}"


def two_models(*flags: str) -> str:
    return "models:\n" + entry("a", *flags) + entry("b", *flags)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with hostler(tmp_path, two_models()) as running:
        yield running


def stats(program: Program, model: str) -> dict[str, int]:
    answer: dict[str, int] = program.get(f"/upstream/{model}/stats").json()
    return answer


def pid_of(program: Program, model: str) -> int:
    return next(p.pid for p in program.descendants() if "--model" in p.cmdline() and model in p.cmdline())


def test_models_swap_under_load(program: Program) -> None:
    def client(model: str) -> None:
        answers.extend((model, program.chat(model, delay_s=0.005).json()["served_by"]) for _ in range(10))

    answers: list[tuple[str, str]] = []
    clients = [threading.Thread(target=client, args=(model,)) for model in ("a", "b", "a", "b")]
    for one in clients:
        one.start()
    for one in clients:
        one.join()

    assert len(answers) == 40
    assert all(model == served_by for model, served_by in answers)
    assert len(program.running()) == 1


@pytest.mark.parametrize(
    "knobs",
    [
        {"delay_s": 30},
        {"delay_s": 30, "padding": "x" * 500_000},  # so long that reading from the client has rested meanwhile
        {"stream": True, "events": 3000, "interval_s": 0.01},
    ],
    ids=["prefilling", "prefilling-long", "streaming"],
)
def test_client_that_leaves_ends_the_work_of_the_upstream(program: Program, knobs: dict[str, object]) -> None:
    body = {"model": "a", "messages": [], **knobs}
    host, port = program.url.removeprefix("http://").split(":")
    request = httpx.Request("POST", f"{program.url}/v1/chat/completions", json=body)
    program.chat("a")  # ready
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(request.content)}\r\n\r\n"
        client.sendall(head.encode() + request.content)
        if "stream" in knobs:
            client.recv(100)
        program.until(lambda: stats(program, "a")["running"] >= 1)
    program.until(lambda: stats(program, "a")["aborted"] == 1)


def test_client_that_leaves_while_queued_or_loading_is_forgotten(tmp_path: Path) -> None:
    with hostler(tmp_path, "models:\n" + entry("a", "--start-delay", "30")) as program:
        host, port = program.url.removeprefix("http://").split(":")
        for _ in range(2):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"GET /upstream/a/stats HTTP/1.1\r\nhost: x\r\n\r\n")
                program.until(lambda: program.running() == {"a": "starting"})
        program.until(lambda: program.text().count(" 499 ") == 2)

        assert program.end() == 0
        assert program.nothing_is_left()


def test_upstream_that_dies_in_mid_stream_is_seen_to_be_broken(program: Program) -> None:
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream(
            "POST",
            f"{program.url}/v1/chat/completions",
            json={"model": "a", "stream": True, "events": 100, "interval_s": 0.001, "crash_after": 3},
            timeout=PATIENCE_S,
        ) as answer,
    ):
        assert answer.status_code == 200
        answer.read()

    assert program.chat("a").status_code == 200  # started anew


def test_upstream_that_dies_before_its_answer_is_a_502(tmp_path: Path) -> None:
    with hostler(tmp_path, "models:\n" + entry("a")) as program:
        program.chat("a")
        answer = httpx.post(f"{program.url}/upstream/a/crash", timeout=PATIENCE_S)

        assert answer.status_code == 502
        assert answer.json()["error"]["type"] == "server_error"


def test_start_that_fails_is_told_to_the_client_and_its_log_to_the_operator(tmp_path: Path) -> None:
    with hostler(
        tmp_path, "models:\n" + entry("a", "--exit-code", "7", "--exit-after", "0", "--listen-delay", "60")
    ) as program:
        answer = program.chat("a")

        assert answer.status_code == 500
        assert "exited with code 7" in answer.json()["error"]["message"]
        program.until(lambda: "the last lines of its log" in program.text())


def test_sigterm_ends_everything_in_order_with_an_open_log_stream(program: Program) -> None:
    program.chat("a")
    with httpx.stream("GET", f"{program.url}/logs/stream", timeout=PATIENCE_S) as logs:
        assert program.end() == 0
        assert "shutdown complete" in program.text()
        logs.read()
    assert program.nothing_is_left()


def test_sigint_lets_a_request_under_way_finish(program: Program) -> None:
    program.chat("a")
    answers: list[httpx.Response] = []
    client = threading.Thread(target=lambda: answers.append(program.chat("a", delay_s=0.5)))
    client.start()
    program.until(lambda: stats(program, "a")["running"] >= 1)

    assert program.end(signal.SIGINT) == 0
    client.join()
    assert [answer.status_code for answer in answers] == [200]
    assert program.nothing_is_left()


def test_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    with hostler(tmp_path, two_models("--ignore-term")) as program:
        program.chat("a")
        client = threading.Thread(target=lambda: _ignoring_errors(program, delay_s=60))
        client.start()
        program.until(lambda: stats(program, "a")["running"] >= 1)
        program.process.send_signal(signal.SIGINT)
        program.until(lambda: not program.answers())

        assert program.end(signal.SIGINT) == 130
        assert program.nothing_is_left()
        client.join()


def _ignoring_errors(program: Program, **knobs: object) -> None:
    with pytest.raises(httpx.TransportError):
        program.chat("a", **knobs)


@pytest.mark.parametrize(
    "flags",
    [
        ("--ignore-term",),
        ("--children", "2", "--child-own-session", "--ignore-term"),
        ("--daemonize-child",),
    ],
)
def test_nothing_survives_a_sigkill_of_hostler(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with hostler(tmp_path, two_models(*flags)) as program:
        program.chat("a")
        assert program.descendants()

        program.end(signal.SIGKILL)

        assert program.nothing_is_left()


def test_shell_that_forks_the_real_server_neither_hangs_a_swap_nor_leaves_it(tmp_path: Path) -> None:
    port = free_port()
    server = shlex.join(argv(port, "--model", "w"))
    config = f"models:\n  w:\n    cmd: sh -c '{server} & wait'\n    proxy: http://127.0.0.1:{port}\n" + entry("b")
    with hostler(tmp_path, config) as program:
        assert program.chat("w").json()["served_by"] == "w"
        assert program.chat("b").json()["served_by"] == "b"
        assert program.running() == {"b": "ready"}
        assert program.end() == 0
        assert program.nothing_is_left()


def test_reload_touches_only_what_has_changed(tmp_path: Path) -> None:
    groups = "groups:\n  g:\n    swap: false\n    members: [a, b]\n"
    a, b = entry("a"), entry("b")
    with hostler(tmp_path, "models:\n" + a + b + groups) as program:
        program.chat("a")
        program.chat("b")
        before = pid_of(program, "a")
        (tmp_path / "config.yaml").write_text("models:\n" + a + b + "    env: [CHANGED=1]\n" + groups)
        program.process.send_signal(signal.SIGHUP)
        program.until(lambda: "was reloaded" in program.text())
        program.until(lambda: program.running() == {"a": "ready"})

        assert pid_of(program, "a") == before
        assert "CHANGED" in program.get("/upstream/b/env").text


def test_wrong_file_changes_nothing_on_a_reload(tmp_path: Path) -> None:
    with hostler(tmp_path, two_models(), "--watch-config") as program:
        program.chat("a")
        (tmp_path / "config.yaml").write_text("models:\n  a:\n    cmd: x ${PORT}\n    ttl: soon\n")
        program.until(lambda: "was not reloaded" in program.text())

        assert "models.a.ttl" in program.text()
        assert program.running() == {"a": "ready"}
        assert program.chat("a").status_code == 200


def test_preload_loads_before_anybody_asks(tmp_path: Path) -> None:
    with hostler(tmp_path, two_models() + "hooks:\n  on_startup:\n    preload: [b]\n") as program:
        program.until(lambda: program.running() == {"b": "ready"})


def test_port_that_is_taken_is_said_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(two_models() + "hooks:\n  on_startup:\n    preload: [a]\n")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        command = [sys.executable, "-m", "app.cli", "-config", str(file), "-listen", address]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert ended.returncode == 1
    assert f"cannot listen on {address}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "starting" not in ended.stdout


def test_wrong_configuration_is_one_line_with_file_path_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("models:\n  a:\n    cmd: x ${PORT}\n    ttl: soon\n")
    command = [sys.executable, "-m", "app.cli", "serve", "--config", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"hostler: {file}:4: models.a.ttl: ")
    assert ended.stderr.count("\n") == 1


def test_unknown_key_is_a_warning_that_names_the_nearest_one(tmp_path: Path) -> None:
    with hostler(tmp_path, "models:\n" + entry("a", extra="    checkEndpont: /x\n")) as program:
        program.until(lambda: "checkEndpoint" in program.text())

        assert "[WARN]" in program.text()


def test_flood_of_an_upstream_blocks_neither_it_nor_us(tmp_path: Path) -> None:
    with hostler(tmp_path, "models:\n" + entry("a", "--flood", str(50 << 20))) as program:
        assert program.chat("a").status_code == 200
        assert psutil.Process(program.process.pid).memory_info().rss < 400 << 20
