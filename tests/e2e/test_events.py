"""Live events of the whole program: real processes, real sockets, real signals."""

from __future__ import annotations

import json
import shlex
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.endpoints.watching import parsed
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def config(*models: str, flags: tuple[str, ...] = ()) -> str:
    entries: dict[str, Any] = {}
    for name in models:
        port = free_port()
        entries[name] = {"cmd": shlex.join(argv(port, "--model", name, *flags)), "proxy": f"http://127.0.0.1:{port}"}
    # JSON is YAML.
    return json.dumps({"models": entries, "profiles": {"night": {"pins": {"gpt": models[0]}}}})


class Watcher:
    """A client of the events, which reads when asked to."""

    def __init__(self, reply: httpx.Response) -> None:
        self._chunks = reply.iter_raw()
        self._raw = b""

    @property
    def events(self) -> list[tuple[str, Any]]:
        return parsed(self._raw[: self._raw.rfind(b"\n\n") + 2])

    def until(self, kind: str, count: int = 1) -> list[Any]:
        """Reads on until there are *count* events of a type, and returns what they say."""
        while len(found := [data for name, data in self.events if name == kind]) < count:
            self._raw += next(self._chunks)
        return found

    def rest(self) -> None:
        """Reads to the end; raises if it is no proper one."""
        for chunk in self._chunks:
            self._raw += chunk


@contextmanager
def watching(program: Program, query: str = "") -> Iterator[Watcher]:
    with httpx.stream("GET", f"{program.url}/api/events{query}", timeout=PATIENCE_S) as reply:
        yield Watcher(reply)


def address(program: Program) -> tuple[str, int]:
    host, _, port = program.url.removeprefix("http://").partition(":")
    return host, int(port)


def states(watcher: Watcher, model: str) -> list[str]:
    """Returns the states that were told of *model*."""
    return [
        each["state"] for kind, data in watcher.events if kind == "modelStatus" for each in data if each["id"] == model
    ]


def test_page_follows_a_model_a_request_and_their_logs(tmp_path: Path) -> None:
    with hostler(tmp_path, config("a")) as program, watching(program) as watcher:
        watcher.until("queue")
        assert program.chat("a").status_code == 200
        while "ready" not in states(watcher, "a"):
            watcher.until("modelStatus", len(states(watcher, "a")) + 1)
        while not any(data["operation"] == "remove" for data in watcher.until("inflight")):
            watcher.until("inflight", len(watcher.until("inflight")) + 1)
        while "fake upstream 'a'" not in "".join(
            data["data"] for data in watcher.until("logData") if data["source"] == "upstream"
        ):
            watcher.until("logData", len(watcher.until("logData")) + 1)
        while '"POST /v1/chat/completions' not in (
            own := "".join(data["data"] for data in watcher.until("logData") if data["source"] == "proxy")
        ):
            watcher.until("logData", len(watcher.until("logData")) + 1)

    assert "listens on" in own
    assert "<a> ready" in own


def test_reload_is_told_with_what_it_brings_and_a_failed_one_with_why(tmp_path: Path) -> None:
    with hostler(tmp_path, config("a")) as program, watching(program, "?types=reload,modelStatus") as watcher:
        watcher.until("modelStatus")
        (tmp_path / "config.yaml").write_text("models: [\n")
        program.process.send_signal(signal.SIGHUP)
        [failed] = watcher.until("reload")
        (tmp_path / "config.yaml").write_text(config("b"))
        program.process.send_signal(signal.SIGHUP)
        done = watcher.until("reload", 2)[1]
        watcher.until("modelStatus", 2)

    assert failed["ok"] is False
    assert "config.yaml" in failed["message"]
    assert done["ok"] is True
    assert "added b" in done["message"]
    assert states(watcher, "b") == ["stopped"]


def test_profile_is_told(tmp_path: Path) -> None:
    with hostler(tmp_path, config("a")) as program, watching(program, "?types=profileChanged,modelStatus") as watcher:
        watcher.until("profileChanged")
        httpx.put(f"{program.url}/api/profiles/active", json={"name": "night"})

        assert watcher.until("profileChanged", 2)[1] == {"active": "night"}
        assert len(watcher.until("modelStatus", 2)) == 2


def test_events_need_a_key_when_there_are_keys(tmp_path: Path) -> None:
    with hostler(tmp_path, json.dumps({**json.loads(config("a")), "apiKeys": ["k"]})) as program:
        assert program.get("/api/events").status_code == 401


def test_end_of_the_program_ends_the_stream_in_order(tmp_path: Path) -> None:
    with hostler(tmp_path, config("a")) as program, watching(program) as watcher:
        watcher.until("queue")
        program.process.terminate()
        watcher.rest()

        assert program.process.wait(PATIENCE_S) == 0


def test_model_of_a_request_is_told_though_its_body_came_late_and_nothing_is_answered(tmp_path: Path) -> None:
    flags = ("--start-delay", "600")
    with hostler(tmp_path, config("a", flags=flags)) as program, watching(program, "?types=inflight") as watcher:
        watcher.until("inflight")
        body = json.dumps({"model": "a", "messages": []})
        with socket.create_connection(address(program)) as client:
            client.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            assert watcher.until("inflight", 2)[1]["request"]["model"] == ""
            with watching(program, "?types=inflight") as newcomer:
                assert newcomer.until("inflight")[0]["requests"][0]["model"] == ""
                client.sendall(body.encode())

                assert watcher.until("inflight", 3)[2]["request"]["model"] == "a"
                assert newcomer.until("inflight", 2)[1]["request"]["model"] == "a"


def lazy(program: Program, path: str) -> socket.socket:
    """Connects a client that asks, with the smallest of buffers, and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(address(program))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def test_viewers_that_do_not_read_stop_no_stream_and_not_the_end(tmp_path: Path) -> None:
    """What is counted: every event of a stream arrives, while its model prints 30 MB that the viewers do not take."""
    with hostler(tmp_path, config("a", flags=("--flood", "30000000"))) as program:
        viewers = [lazy(program, path) for path in ("/api/events", "/logs/stream/upstream") for _ in range(5)]
        try:
            body = {"model": "a", "messages": [], "stream": True, "events": 500}
            with httpx.stream("POST", f"{program.url}/v1/chat/completions", json=body, timeout=PATIENCE_S) as reply:
                answer = reply.read()
            with httpx.stream("GET", f"{program.url}/logs/stream/a", timeout=PATIENCE_S) as reply:
                seen = b""
                for chunk in reply.iter_raw():
                    seen = (seen + chunk)[-1000:]
                    if b"flooded 30000000" in seen:
                        break

            assert answer.count(b"data: {") == 500
            assert answer.endswith(b"data: [DONE]\n\n")
            assert program.end() == 0
            assert "timeout graceful shutdown exceeded" not in program.text()
        finally:
            for viewer in viewers:
                viewer.close()
