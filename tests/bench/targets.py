"""What is measured: nothing in between, Hostler, nginx, and any other server that reads the same kind of file.

Every target is a context manager: inside the block it listens and has answered once, after it no process of it is left.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from tests.bench import upstream
from tests.ports import free_port, is_free

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
MODELS = ("bench", "bench-2")
"""The first is what is measured; going to the second is a swap."""
READY_S = 30
"""Time a server has to listen, and to load the model for its first answer."""
STOP_S = 15


class TargetError(Exception):
    """A target does not run; the message ends with the last lines that it printed."""


@dataclass(frozen=True, slots=True)
class Target:
    """One server under load."""

    name: str
    port: int
    pid: int | None
    """The process whose CPU time is the cost; None if nothing stands in between."""
    times: Path | None = None
    """Where the upstreams that it starts write their times (upstream.py); None if it starts none."""


Open = Callable[[Path], contextlib.AbstractContextManager[Target]]
"""Starts a target that keeps its files in the given empty folder."""


def available(peer: str | None) -> dict[str, Open]:
    """Returns the targets of this machine, in the order in which they are measured.

    peer: command line of one more server, with `{config}` and `{listen}` where its words go.
    """
    targets: dict[str, Open] = {"direct": _direct}
    # Debian keeps it where only root looks.
    if nginx := shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"):
        targets["nginx"] = lambda folder: _nginx(nginx, folder)
    hostler = [sys.executable, "-m", "app.cli", "serve", "--config", "{config}", "--listen", "{listen}"]
    targets["hostler"] = lambda folder: _proxy("hostler", hostler, folder)
    if peer:
        words = shlex.split(peer)
        targets["peer"] = lambda folder: _proxy("peer", words, folder)
    return targets


def upstream_command(port: str, times: Path | None = None) -> list[str]:
    told = [] if times is None else ["--times", str(times)]
    return [sys.executable, str(Path(upstream.__file__).resolve()), "--port", port, *told]


def ask(port: int, model: str) -> None:
    """Asks *model* once for a small completion. Raises TargetError if the answer is another."""
    connection = http.client.HTTPConnection(HOST, port, timeout=READY_S)
    with contextlib.closing(connection):
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
        try:
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as failed:
            raise TargetError(f"port {port}, model {model}: {failed!r}") from failed
    if answer.status != 200 or told != upstream.COMPLETION:
        raise TargetError(f"port {port}, model {model}: {answer.status} {told[:300]!r}")


@contextlib.contextmanager
def _direct(folder: Path) -> Iterator[Target]:
    port = free_port()
    with running(upstream_command(str(port)), port, folder):
        yield Target("direct", port, None)


@contextlib.contextmanager
def _proxy(name: str, words: Sequence[str], folder: Path) -> Iterator[Target]:
    port = free_port()
    config = folder / "config.yaml"
    times = folder / "times"
    config.write_text(config_text(times))
    given = {"{config}": str(config), "{listen}": f"{HOST}:{port}"}
    command = []
    for word in words:
        for placeholder, value in given.items():
            word = word.replace(placeholder, value)  # noqa: PLW2901
        command.append(word)
    with running(command, port, folder) as process:
        yield Target(name, port, process.pid, times)


def config_text(times: Path) -> str:
    """Returns a configuration with `MODELS`. times: where their servers write how long they took to load."""
    models = {
        model: {
            "cmd": shlex.join(upstream_command("${PORT}", times)),
            "proxy": f"http://{HOST}:${{PORT}}",
            # The default of 10 would refuse most of the connections.
            "concurrencyLimit": 10_000,
        }
        for model in MODELS
    }
    return yaml.safe_dump({"healthCheckTimeout": READY_S, "startPort": _free_ports(len(models)), "models": models})


_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  upstream bench {{
    server {host}:{upstream_port};
    keepalive 64;
    keepalive_requests 100000000;
  }}
  server {{
    listen {host}:{port} backlog=1024;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@contextlib.contextmanager
def _nginx(program: str, folder: Path) -> Iterator[Target]:
    upstream_port, port = free_port(), free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, host=HOST, upstream_port=upstream_port, port=port))
    with (
        running(upstream_command(str(upstream_port)), upstream_port, folder),
        running([program, "-p", str(folder), "-e", "stderr", "-c", str(config)], port, folder) as master,
    ):
        (worker,) = psutil.Process(master.pid).children()
        yield Target("nginx", port, worker.pid)


def _free_ports(count: int) -> int:
    """Returns the first of *count* free ports in a row, below those that the kernel hands to connecting sockets."""
    first = random.randrange(20_000, 30_000)
    while not all(is_free(port) for port in range(first, first + count)):
        first += count
    return first


@contextlib.contextmanager
def running(command: Sequence[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts *command* and waits until it listens and answers; at the end nothing that it started is left either."""
    log_path = folder / f"{Path(command[0]).name}-{port}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
    try:
        try:
            wait_listening(process, port)
            ask(port, MODELS[0])  # the first request loads the model
        except TargetError as failed:
            lines = log_path.read_text(errors="replace").splitlines()[-20:]
            raise TargetError("\n".join([f"{failed}: {shlex.join(command)}", *lines])) from failed
        yield process
    finally:
        _stop(process)


def wait_listening(process: subprocess.Popen[bytes] | None, port: int) -> None:
    """Returns when somebody listens. Raises TargetError if *process*, if there is one, ends before, or nobody does in time."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process is not None and (code := process.poll()) is not None:
            raise TargetError(f"exited with {code}")
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)  # nothing tells when another program listens
        else:
            return
    raise TargetError(f"does not listen on port {port} after {READY_S} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends *process* by its pid, and then whatever of its children is left."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(children, timeout=1)
    for child in left:
        print(f"process {process.pid} left process {child.pid} behind, killed", file=sys.stderr)
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
