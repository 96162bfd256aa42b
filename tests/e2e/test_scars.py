"""What has gone wrong in others where processes matter: real processes, real sockets, real signals."""

from __future__ import annotations

import itertools
import json
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Self

import httpx
import pytest

from tests.e2e.test_reload import Configuration, of, pids, put, reload
from tests.program import PATIENCE_S, Program, hostler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def preloading(configuration: Configuration, *models: str) -> str:
    return json.dumps({**json.loads(configuration.text()), "hooks": {"on_startup": {"preload": list(models)}}})


def test_storm_of_reloads_with_preload_leaves_one_process_for_each_model(tmp_path: Path) -> None:
    """C8, C11: each reload preloaded anew while the old processes still held their ports."""
    configuration = of("a")
    for name in "bcd":
        configuration.add(name, "--start-delay", "0.2")
    file = tmp_path / "config.yaml"
    with hostler(tmp_path, preloading(configuration, "a", "b")) as program, ThreadPoolExecutor(30) as pool:
        program.until(lambda: program.running() == {"a": "ready", "b": "ready"})
        (pid,) = pids(program, "a")
        asked = []
        for number in range(20):
            configuration.add("b", "--start-delay", "0.2", env=[f"NUMBER={number}"])
            put(file, preloading(configuration, "a", "b", *"cd"[number % 2]))
            asked += [pool.submit(reload, program), pool.submit(reload, program)]
            program.process.send_signal(signal.SIGHUP)

            assert [len(pids(program, name)) <= 1 for name in "abcd"] == [True] * 4, program.text()

        del configuration.models["d"]
        put(file, preloading(configuration, "a", "b", "c"))

        assert {each.result().status_code for each in asked} == {200}
        assert reload(program).status_code == 200
        program.until(lambda: program.running() == {"a": "ready", "b": "ready", "c": "ready"})
        program.until(lambda: [len(pids(program, name)) for name in "abcd"] == [1, 1, 1, 0])
        assert pids(program, "a") == [pid]
        assert program.get("/upstream/b/env").json()["NUMBER"] == "19"
        assert program.end() == 0
        assert program.nothing_is_left()


def test_upstreams_that_hang_block_nobody_beside_them(tmp_path: Path) -> None:
    """One accepts and never answers, one never becomes ready, one does not listen to SIGTERM while it is unloaded."""
    configuration = of("mute", "b")
    configuration.add("never", "--health-hang")
    configuration.add("stubborn", "--ignore-term", unloadTimeout=60)
    with (
        hostler(tmp_path, configuration.text()) as program,
        ThreadPoolExecutor(3) as pool,
        httpx.Client(timeout=PATIENCE_S) as client,
    ):
        program.chat("b")
        program.chat("stubborn")
        pending = [
            pool.submit(client.get, f"{program.url}/upstream/mute/slow"),
            pool.submit(client.get, f"{program.url}/upstream/never/x"),
            pool.submit(client.post, f"{program.url}/api/models/unload/stubborn"),
        ]
        hanging = {"mute": "ready", "never": "starting", "stubborn": "stopping", "b": "ready"}
        program.until(lambda: program.running() == hanging)
        program.until(lambda: program.get("/upstream/mute/stats").json()["running"] == 1)

        assert [program.chat("b").json()["served_by"] for _ in range(3)] == ["b"] * 3
        assert program.running() == hanging
        assert [each.done() for each in pending] == [False] * 3

        # The second signal ends it at once; otherwise the test would wait for what it is about.
        program.process.send_signal(signal.SIGTERM)
        program.until(lambda: not program.answers())
        program.end()
        assert program.nothing_is_left()


def test_model_that_crashes_while_starting_is_not_spawned_for_every_request(tmp_path: Path) -> None:
    """C19. Starts are counted by what the processes print, and not by what Hostler believes."""

    def starts() -> int:
        return len(set(re.findall(r"fake upstream 'a' on port \d+, pid (\d+)", program.text())))

    def broken(number: int) -> str:
        configuration.add(
            "a", "--exit-code", "7", "--exit-after", "0", "--listen-delay", "60", env=[f"NUMBER={number}"]
        )
        return json.dumps({**json.loads(configuration.text()), "logToStdout": "both"})

    configuration = Configuration()
    with hostler(tmp_path, broken(1)) as program:
        tried = 0
        # The first back-off is a second, which a busy machine may lose; each further one is twice as long.
        while (answer := program.chat("a")).status_code == 500:
            tried += 1

            assert tried < 5, "nothing is left alone"

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "fake upstream 'a' on port" in answer.json()["error"]["message"]

        insisting = httpx.post(f"{program.url}/api/models/load/a", timeout=PATIENCE_S)

        assert insisting.status_code == 500, "it was to be tried at once"

        program.get("/unload")

        assert program.chat("a").status_code == 500, "it was to be tried at once"

        (tmp_path / "config.yaml").write_text(broken(2))
        reload(program)

        assert program.chat("a").status_code == 500, "it was to be tried at once"
        # By now all is printed that there is.
        assert program.end() == 0
        assert starts() == tried + 3


# Traffic that never pauses

INTERVAL_S = 0.1
EVENTS = 10
FOLLOWED_AT = 3
"""After so many events of a stream its successor is asked for: while it runs, with time to spare."""

CHAINS = 2

PATIENT_S = 1.0
"""The patience of the configuration."""

SLACK_S = 0.5
"""Time for a request to get from here into the queue."""

SERVICE_S = 0.4
"""How long b's answer takes: it was granted about so long before it is seen here."""


@dataclass(frozen=True)
class Streamed:
    """One stream of a, from its request to its end."""

    number: int
    sent_at: float
    begun_at: float
    ended_at: float
    content: bytes


class Traffic:
    """Streams of a, each of which is followed by another before it ends: there is always one under way."""

    def __init__(self, program: Program, client: httpx.Client, pool: ThreadPoolExecutor) -> None:
        self._url = f"{program.url}/v1/chat/completions"
        self._client = client
        self._pool = pool
        self._numbers = itertools.count(1)
        self._over = threading.Event()
        self._streams: list[Future[None]] = []
        self.done: list[Streamed] = []

    def __enter__(self) -> Self:
        for _ in range(CHAINS):
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Returns when the last stream has ended."""
        self._over.set()
        for each in self._streams:  # it grows meanwhile
            each.result(PATIENCE_S)

    def sent_since(self, moment: float) -> list[Streamed]:
        return [each for each in self.done if each.sent_at > moment]

    def _begin(self) -> None:
        self._streams.append(self._pool.submit(self._stream, next(self._numbers)))

    def _stream(self, number: int) -> None:
        body = request_of(number)
        sent_at, begun_at, content, followed = monotonic(), 0.0, b"", False
        with self._client.stream("POST", self._url, json=body) as answer:
            assert answer.status_code == 200, answer.read()
            for part in answer.iter_raw():
                begun_at = begun_at or monotonic()
                content += part
                if not followed and content.count(b"data: ") >= FOLLOWED_AT and not self._over.is_set():
                    followed = True
                    self._begin()
        self.done.append(Streamed(number, sent_at, begun_at, monotonic(), content))


def request_of(number: int, interval_s: float = INTERVAL_S) -> dict[str, object]:
    """Returns what is asked for: no two streams are of the same length."""
    knobs = {"events": EVENTS, "interval_s": interval_s, "body_bytes": number}
    return {"model": "a", "stream": True, "messages": [], **knobs}


def never_paused(streams: list[Streamed], since: float, until: float) -> bool:
    """Returns whether at each moment between the two some stream was under way."""
    covered = since
    for each in sorted(streams, key=lambda each: each.begun_at):
        if each.begun_at <= covered:
            covered = max(covered, each.ended_at)
    return covered >= until


@contextmanager
def traffic(folder: Path, patience: str) -> Iterator[tuple[Program, Traffic, ThreadPoolExecutor, bytes]]:
    """Serves a, which is never left alone, and b, which excludes it. Yields also a stream of a that was never near Hostler."""
    configuration = of("a", "b")
    scheduler = f"{{use: fifo, settings: {{fifo: {{patience: {patience}}}}}}}"
    text = f"models: {json.dumps(configuration.models)}\nrouting: {{scheduler: {scheduler}}}\n"
    limits = httpx.Limits(max_connections=None)
    with (
        hostler(folder, text) as program,
        ThreadPoolExecutor(30) as pool,
        httpx.Client(timeout=PATIENCE_S, limits=limits) as client,
    ):
        program.chat("a")
        direct = client.post(f"{configuration.models['a']['proxy']}/v1/chat/completions", json=request_of(1, 0))
        with Traffic(program, client, pool) as streams:
            program.until(lambda: len(streams.done) >= CHAINS)
            yield program, streams, pool, direct.content


def whole(number: int, first: bytes) -> bytes:
    """Returns what a must send for a stream, given that with one byte in each event."""
    return first.replace(b' x"', b" " + b"x" * number + b'"')


def test_model_asked_for_once_is_served_though_the_traffic_to_another_never_pauses(tmp_path: Path) -> None:
    """F1: b waited 10.4 s for 10 s of traffic, and would have waited for ever."""
    with traffic(tmp_path, f"{PATIENT_S}") as (program, streams, pool, first):
        asked_at = monotonic()
        asked = pool.submit(program.chat, "b", delay_s=SERVICE_S)
        program.until(asked.done)
        answered_at = monotonic()
        program.until(lambda: len([each for each in streams.done if each.begun_at > answered_at]) >= 2 * CHAINS)

    assert asked.result().json()["served_by"] == "b"
    before = [each for each in streams.done if each.begun_at < answered_at - SERVICE_S / 2]
    assert never_paused(before, asked_at, max(each.ended_at for each in before))
    assert any(each.sent_at > asked_at for each in before), "those that come within the patience are served first"
    late = [each for each in streams.sent_since(asked_at + PATIENT_S + SLACK_S) if each in before]
    assert late == []
    assert {each.number: each.content for each in streams.done} == {
        each.number: whole(each.number, first) for each in streams.done
    }


def test_without_an_end_to_the_patience_it_waits_until_the_traffic_pauses(tmp_path: Path) -> None:
    """As in llama-swap; and what the test above looks for can be seen."""
    with traffic(tmp_path, ".inf") as (program, streams, pool, first):
        asked_at = monotonic()
        asked = pool.submit(program.chat, "b", delay_s=SERVICE_S)
        program.until(lambda: len(streams.sent_since(asked_at + PATIENT_S + SLACK_S)) >= 2 * CHAINS)

        assert not asked.done()

        streams.end()
        last_end = max(each.ended_at for each in streams.done)

        assert not asked.done()
        assert asked.result().json()["served_by"] == "b"
        assert never_paused(streams.done, asked_at, last_end)
        assert {each.content for each in streams.done} == {whole(each.number, first) for each in streams.done}
