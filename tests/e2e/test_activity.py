"""What the whole program remembers of requests: against the official clients' own figures, through crashes, under viewers that stall."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx
import openai
import psutil
import pytest

from app import demo
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, Program, hostler

QUESTION = "What is the capital of France?"

real = [pytest.mark.e2e, pytest.mark.timeout(300)]


def records(program: Program, query: str = "") -> list[dict[str, Any]]:
    """Returns records, the oldest first."""
    answer = program.get(f"/api/metrics/activity?order=asc&limit=999{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def newest(program: Program, count: int) -> dict[str, Any]:
    """Returns the newest of *count* records: what a client reads last may come before its record."""
    program.until(lambda: len(records(program)) >= count)
    found = records(program)
    assert len(found) == count
    return found[-1]


# The official clients


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the real model, assembled once for all workers."""
    return demo.model_file(tmp_path_factory.getbasetemp().parent / "hostler-demo")


@pytest.fixture
def program(tmp_path: Path, model: Path) -> Iterator[Program]:
    """Serves the configuration of the demo."""
    with hostler(tmp_path, demo.demo_config(model, sys.executable)) as served:
        yield served


def prompt_tokens(record: dict[str, Any]) -> int:
    """Returns what clients call prompt tokens: what was read, and what was still in the server's cache."""
    tokens = record["tokens"]
    return int(tokens["input_tokens"] + max(tokens["cache_tokens"], 0))


class TestOfficialClients:
    """Their usage is the record's, with a cold cache and with a warm one."""

    pytestmark = real

    def test_openai(self, program: Program) -> None:
        question: Any = {"model": "gemma", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16}
        with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
            for count in (1, 2):
                whole = client.chat.completions.create(**question)
                assert_same(whole.usage, newest(program, count), streamed=False)
            *_, last = client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True})
            assert_same(last.usage, newest(program, 3), streamed=True)
            completion = client.completions.create(model="gemma", prompt="One, two,", max_tokens=8)
            assert_same(completion.usage, newest(program, 4), streamed=False)

        spoken = newest(program, 4)
        assert spoken["req_path"] == "/v1/completions"
        assert not spoken["measured"]
        assert spoken["tokens"]["tokens_per_second"] > 0

    def test_anthropic(self, program: Program) -> None:
        question: Any = {"model": "gemma", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16}
        with anthropic.Anthropic(base_url=program.url, api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
            for count in (1, 2):
                whole = client.messages.create(**question)
                record = newest(program, count)
                assert_same_as_anthropic(whole.usage, record)
            with client.messages.stream(**question) as stream:
                for _ in stream.text_stream:
                    pass
                usage = stream.get_final_message().usage
            record = newest(program, 3)

        assert_same_as_anthropic(usage, record)
        assert record["streamed"]
        assert record["ttft_ms"] > 0


def assert_same(usage: Any, record: dict[str, Any], *, streamed: bool) -> None:
    assert usage.completion_tokens > 0
    assert (prompt_tokens(record), record["tokens"]["output_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
    assert (record["model"], record["resp_status_code"], record["streamed"]) == ("gemma", 200, streamed)
    assert (record["ttft_ms"] > 0) is streamed


def assert_same_as_anthropic(usage: anthropic.types.Usage, record: dict[str, Any]) -> None:
    cached = usage.cache_read_input_tokens or 0
    assert usage.output_tokens > 0
    assert record["tokens"]["output_tokens"] == usage.output_tokens
    # Anthropic's input leaves out what was cached, as the record does.
    assert (record["tokens"]["input_tokens"], max(record["tokens"]["cache_tokens"], 0)) == (usage.input_tokens, cached)


# The store


def stored(folder: Path, *flags: str) -> str:
    """Returns the YAML of a model `a` whose requests are kept in a file."""
    port = free_port()
    command = shlex.join(argv(port, "--model", "a", *flags))
    return (
        f"store: {{path: {folder / 'activity.db'}}}\ncaptures: {{persist: true}}\n"
        f"models:\n  a:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_activity_outlives_a_sigkill_in_the_middle_of_writing(tmp_path: Path) -> None:
    config = stored(tmp_path)
    answered = 0
    with hostler(tmp_path, config) as program:
        program.chat("a")
        over = threading.Event()
        counts: list[int] = []

        def load() -> None:
            with httpx.Client(base_url=program.url, timeout=PATIENCE_S) as client, suppress(httpx.TransportError):
                while not over.is_set():
                    client.post("/v1/embeddings", json={"model": "a", "input": "x"})
                    counts.append(1)

        clients = [threading.Thread(target=load) for _ in range(4)]
        for each in clients:
            each.start()
        program.until(lambda: program.get("/api/metrics/stats").json()["total_requests"] > 300)
        known = program.get("/api/metrics/stats").json()["total_requests"]
        program.end(signal.SIGKILL)
        over.set()
        for each in clients:
            each.join(PATIENCE_S)
        answered = len(counts)

    with hostler(tmp_path, config) as program:
        kept = program.get("/api/metrics/stats").json()["total_requests"]
        last = records(program, f"&min_id={max(kept - 5, 1)}")[-1]["id"]
        program.chat("a")
        program.until(lambda: program.get("/api/metrics/stats").json()["total_requests"] == kept + 1)
        (new,) = records(program, f"&min_id={last + 1}")
        assert program.end() == 0, program.text()

    # Whatever somebody was told of was written down; of the others, those of the last moment may be missing.
    assert known <= kept <= answered + 5
    assert new["id"] > last
    with closing(sqlite3.connect(tmp_path / "activity.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_was_learned_of_loads_outlives_a_restart(tmp_path: Path) -> None:
    config = stored(tmp_path, "--start-delay", "0.3")
    with hostler(tmp_path, config) as program:
        unknown = estimate(program)
        newest(program, 1)
        assert program.end() == 0, program.text()
    with hostler(tmp_path, config) as program:
        known = estimate(program)
        newest(program, 2)

    assert unknown is None
    assert known is not None
    assert known > 0


def estimate(program: Program) -> float | None:
    """Asks a model that is not loaded, and returns what `/api/queue` says of the wait meanwhile."""
    answer: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answer.append(program.chat("a")))
    asking.start()
    waiting: list[dict[str, Any]] = []

    def seen() -> bool:
        waiting[:] = program.get("/api/queue").json()["queue"]
        return bool(waiting or answer)

    program.until(seen)
    asking.join(PATIENCE_S)
    assert answer[0].status_code == 200
    estimated: float | None = waiting[0]["estimated_ms"]
    return estimated


# Viewers that stall


MOST_GROWTH = 120 << 20
"""Bytes that the program may grow by in all while viewers stall: rings, queues and buffers of all of them are far below."""

FLOOD = 400 << 20
"""Bytes that the model prints meanwhile: kept anywhere, they would show."""


def stall(program: Program, path: str) -> socket.socket:
    """Asks for *path* and never reads: with a small window, so that the server's end is full at once."""
    address = urlsplit(program.url)
    assert address.hostname is not None
    assert address.port is not None
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((address.hostname, address.port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return sock


def read_until(program: Program, path: str, text: bytes) -> None:
    """Reads what never ends by itself until *text* has come."""
    seen = b""
    with httpx.stream("GET", program.url + path, timeout=PATIENCE_S) as answer:
        for piece in answer.iter_raw():
            seen = (seen + piece)[-1000:] if text not in piece else text
            if text in seen:
                return


def numbers(program: Program, model: str, count: int) -> list[int]:
    """Returns the numbers of the events of a stream of *count*, in the order in which they came; it must have ended well."""
    body = {"model": model, "messages": [], "stream": True, "events": count}
    with httpx.stream("POST", f"{program.url}/v1/chat/completions", json=body, timeout=PATIENCE_S) as answer:
        *events, last = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert last == "[DONE]"
    return [int(json.loads(event)["choices"][0]["delta"]["content"].split()[1]) for event in events]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_viewers_that_read_nothing_slow_no_stream_and_take_no_memory(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    commands = [
        shlex.join(argv(ports[0], "--model", "a")),
        shlex.join(argv(ports[1], "--model", "b", "--flood", str(FLOOD))),
    ]
    config = (
        "captureBuffer: 64\nmodels:\n"
        + "".join(
            f"  {name}:\n    cmd: {command}\n    proxy: http://127.0.0.1:{port}\n"
            for name, command, port in zip("ab", commands, ports, strict=True)
        )
        + "groups:\n  all: {swap: false, members: [a, b]}\n"
    )
    with hostler(tmp_path, config) as program:
        # A large capture, of which a download does not fit into what the kernel buffers.
        program.chat("a", stream=True, events=30, body_bytes=100_000)
        program.until(lambda: program.get("/api/captures").json()["ids"] == [1])
        process = psutil.Process(program.process.pid)
        paths = [
            "/logs/stream",
            "/logs/stream/b",
            "/logs/stream/upstream",
            "/api/events",
            "/api/captures/1",
            "/api/captures/1/har",
        ]
        viewers = [stall(program, path) for path in paths for _ in range(2)]
        try:
            before = most = process.memory_info().rss
            threads = [
                threading.Thread(target=program.chat, args=("b",)),
                threading.Thread(target=read_until, args=(program, "/logs/stream/b", b"flooded")),
            ]
            for each in threads:
                each.start()
            streams = 0
            while streams < 5 or any(each.is_alive() for each in threads):
                assert numbers(program, "a", 200) == list(range(200))
                streams += 1
                most = max(most, process.memory_info().rss)
        finally:
            for viewer in viewers:
                viewer.close()
        shown = program.get("/api/inflight").json()["requests"]
        assert program.end() == 0, program.text()

    assert shown == []
    assert most - before < MOST_GROWTH
