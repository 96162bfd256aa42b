"""Requests cancelled through the whole program: nothing is held for them afterwards."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.test_websockets import echo_server
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def _config(*models: str) -> str:
    """Returns the YAML of *models*, only one of which can run at a time."""
    text = "models:\n"
    for model in models:
        port = free_port()
        command = shlex.join(argv(port, "--model", model))
        text += f"  {model}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    return text


def _cancel(program: Program, path: str) -> int:
    """Cancels the one request that is in flight to *path*."""
    (number,) = (each["id"] for each in program.get("/api/inflight").json()["requests"] if each["req_path"] == path)
    return httpx.post(f"{program.url}/api/inflight/{number}/cancel", timeout=PATIENCE_S).status_code


def _in_flight(program: Program, model: str) -> int:
    """Returns how many requests *model* serves."""
    in_flight: int = program.get("/api/queue").json()["models"][model]["in_flight"]
    return in_flight


def test_cancelled_stream_gives_its_model_back_and_the_next_in_the_queue_gets_on(tmp_path: Path) -> None:
    body = {"model": "a", "messages": [], "stream": True, "events": 1000, "interval_s": 3600}
    with hostler(tmp_path, _config("a", "b")) as program, ThreadPoolExecutor() as others:
        with httpx.stream("POST", f"{program.url}/v1/chat/completions", json=body, timeout=PATIENCE_S) as response:
            chunks = response.iter_bytes()
            first = next(chunks)
            second = others.submit(program.chat, "b")
            program.until(lambda: program.get("/api/queue").json()["length"] == 1)
            (waiting,) = program.get("/api/queue").json()["queue"]
            # Both are at the same path: the stream came first.
            number = program.get("/api/inflight").json()["requests"][0]["id"]
            cancelled = httpx.post(f"{program.url}/api/inflight/{number}/cancel", timeout=PATIENCE_S)
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)

        assert b"a 0" in first
        assert waiting["held_by"] == [{"model": "a", "state": "ready", "in_flight": 1}]
        assert cancelled.json() == {"msg": "ok"}
        assert second.result(PATIENCE_S).json()["served_by"] == "b"
        assert program.running() == {"b": "ready"}
        assert "Traceback" not in program.text()


def test_cancelled_websocket_is_closed_and_gives_its_model_back(tmp_path: Path) -> None:
    with hostler(tmp_path, f"models:\n  a:\n{echo_server(tmp_path)}") as program:
        url = program.url.replace("http", "ws", 1)
        with connect(f"{url}/upstream/a/x", proxy=None) as websocket:
            websocket.send("text")
            websocket.recv()
            held = _in_flight(program, "a")
            status = _cancel(program, "/x")
            with pytest.raises(ConnectionClosed) as caught:
                websocket.recv(timeout=PATIENCE_S)
        program.until(lambda: not _in_flight(program, "a"))

        assert (held, status) == (1, 200)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1011
        assert program.get("/api/inflight").json() == {"requests": []}
        assert "Traceback" not in program.text()
