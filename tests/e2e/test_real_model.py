"""The whole program with the real engine and the real model, asked by the clients our users have.

Every program a test starts inherits a variable of that test, so that what it leaves behind is found wherever it hangs in
the tree of processes.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import anthropic
import httpx
import openai
import psutil
import pytest

from app import demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
MARKER = "HOSTLER_TEST"
QUESTION = "What is the capital of France?"
PATIENCE_S = 60.0
"""Longest wait for anything; a test that waits as long has failed."""


@dataclass(frozen=True)
class Program:
    """A running Hostler."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path
    mark: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def running(self) -> dict[str, str]:
        """Returns the state of each loaded model."""
        return {model["model"]: model["state"] for model in self.get("/running").json()["running"]}

    def ask(self, model: str) -> str:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
            answer = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=16
            )
        return answer.choices[0].message.content or ""

    def descendants(self) -> list[psutil.Process]:
        """Returns every process of this test but Hostler itself."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def engines(self) -> list[psutil.Process]:
        return [process for process in self.descendants() if "engine" in process.cmdline()]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.pid != self.process.pid and process.environ().get(MARKER) == self.mark
        except psutil.Error:
            return False

    def is_listening(self) -> bool:
        try:
            return self.get("/health").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the real model, assembled once for all workers."""
    return demo.model_file(tmp_path_factory.getbasetemp().parent / "hostler-demo")


@contextmanager
def hostler(folder: Path, *words: str, cache: Path | None = None) -> Iterator[Program]:
    """Runs Hostler with *words* on a free port; kills all of it in the end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    mark = uuid.uuid4().hex
    environment = {**os.environ, MARKER: mark, "HOSTLER_STATE_DIR": str(folder / "state")}
    if cache is not None:
        environment["HOSTLER_CACHE_DIR"] = str(cache)
    output = folder / "output.log"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *words, "--listen", address],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    program = Program(process, f"http://{address}", output, mark)
    try:
        until(lambda: program.is_listening() or process.poll() is not None, program)
        assert process.poll() is None, output.read_text()
        yield program
    finally:
        left = (
            [psutil.Process(process.pid), *program.descendants()] if process.poll() is None else program.descendants()
        )
        for one in left:
            one.kill()
        psutil.wait_procs(left, timeout=PATIENCE_S)
        process.wait()


def until(condition: object, program: Program) -> None:
    """Asks *condition* until it holds. For what has no event outside the program; each question is a request to it."""
    assert callable(condition)
    deadline = monotonic() + PATIENCE_S
    while not condition():
        assert monotonic() < deadline, program.output.read_text()
        with suppress(subprocess.TimeoutExpired):
            program.process.wait(timeout=0.02)


def nothing_left(program: Program, processes: list[psutil.Process]) -> bool:
    """Returns whether *processes* end, and with them all of *program*."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    return not alive and program.descendants() == []


@pytest.fixture
def program(tmp_path: Path, model: Path) -> Iterator[Program]:
    """Serves the configuration of the demo."""
    config = tmp_path / "config.yaml"
    config.write_text(demo.demo_config(model, sys.executable))
    with hostler(tmp_path, "serve", "--config", str(config)) as running:
        yield running


def test_the_openai_client_gets_an_answer_whole_and_streamed(program: Program) -> None:
    with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
        assert [model.id for model in client.models.list()] == ["gemma", "gemma-small"]

        whole = program.ask("gemma")
        parts = [
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(
                # An alias of the model that is loaded.
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": QUESTION}],
                max_tokens=16,
                stream=True,
            )
            if chunk.choices
        ]

    assert "Paris" in whole
    assert "".join(parts) == whole
    assert len(parts) > 1
    assert program.running() == {"gemma": "ready"}


def test_the_anthropic_client_gets_an_answer_whole_and_streamed(program: Program) -> None:
    with anthropic.Anthropic(base_url=program.url, api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
        whole = client.messages.create(model="gemma", messages=[{"role": "user", "content": QUESTION}], max_tokens=16)
        with client.messages.stream(
            model="gemma", messages=[{"role": "user", "content": QUESTION}], max_tokens=16
        ) as stream:
            streamed = "".join(stream.text_stream)

    assert whole.content[0].type == "text"
    assert "Paris" in whole.content[0].text
    assert streamed == whole.content[0].text


def test_asking_for_another_model_swaps(program: Program) -> None:
    first = program.ask("gemma")
    before = program.engines()
    second = program.ask("gemma-small")

    assert "Paris" in first
    assert first == second
    assert program.running() == {"gemma-small": "ready"}
    assert len(before) == 1
    assert not before[0].is_running()
    assert len(program.engines()) == 1


def test_an_idle_model_is_unloaded_after_its_ttl(tmp_path: Path, model: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(demo.demo_config(model, sys.executable).replace("ttl: 300", "ttl: 1"))
    with hostler(tmp_path, "serve", "--config", str(config)) as program:
        program.ask("gemma-small")
        engines = program.engines()
        until(lambda: program.running() == {}, program)

        _, alive = psutil.wait_procs(engines, timeout=PATIENCE_S)
        again = program.ask("gemma-small")

    assert len(engines) == 1
    assert alive == []
    assert "Paris" in again


def test_sigterm_ends_everything_in_order(program: Program) -> None:
    program.ask("gemma")
    descendants = program.descendants()

    program.process.send_signal(signal.SIGTERM)
    code = program.process.wait(timeout=PATIENCE_S)

    assert descendants != []
    assert nothing_left(program, descendants)
    assert code == 0, program.output.read_text()


def test_nothing_survives_a_sigkill_of_hostler(program: Program) -> None:
    program.ask("gemma")
    descendants = program.descendants()

    program.process.kill()
    program.process.wait(timeout=PATIENCE_S)

    assert descendants != []
    assert nothing_left(program, descendants)


def test_a_second_ctrl_c_does_not_wait_for_an_answer_that_is_being_given(tmp_path: Path, model: Path) -> None:
    config = tmp_path / "config.yaml"
    # Without the text that ends an answer, so that this one is long.
    config.write_text(demo.demo_config(model, sys.executable).replace("--reverse-prompt Question:", ""))
    body = {"model": "gemma", "prompt": "One, two,", "max_tokens": 4000, "ignore_eos": True, "stream": True}
    with hostler(tmp_path, "serve", "--config", str(config)) as program:
        with httpx.stream("POST", f"{program.url}/v1/completions", json=body, timeout=PATIENCE_S) as answer:
            events = answer.iter_lines()
            next(events)
            descendants = program.descendants()

            program.process.send_signal(signal.SIGINT)
            until(lambda: not program.is_listening(), program)
            # The answer goes on: the first Ctrl-C waits for it.
            assert all(next(events) is not None for _ in range(20))
            assert program.process.poll() is None

            program.process.send_signal(signal.SIGINT)
            program.process.wait(timeout=PATIENCE_S)

        assert answer.status_code == 200
        assert nothing_left(program, descendants)


def test_the_demo_prints_a_line_that_works_when_it_is_pasted(tmp_path: Path, model: Path) -> None:
    with hostler(tmp_path, "demo", cache=model.parent) as program:
        until(lambda: "curl" in program.output.read_text(), program)
        greeting = program.output.read_text()
        line = re.search(r"^\s*(curl .*)$", greeting, flags=re.MULTILINE)
        assert line is not None, greeting

        answer = pasted(line[1])
        descendants = program.descendants()
        program.process.send_signal(signal.SIGINT)
        program.process.wait(timeout=PATIENCE_S)
        ended = nothing_left(program, descendants)

    assert program.url in greeting
    assert "gemma-small" in greeting
    assert "Paris" in answer
    assert ended


def pasted(line: str) -> str:
    """Returns what the shell *line* prints; where there is no curl, what the same request is answered."""
    if shutil.which("curl") is not None:
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=PATIENCE_S).stdout
    _, url, _, header, _, body = shlex.split(line)
    name, _, value = header.partition(": ")
    return httpx.post(url, headers={name: value}, content=body, timeout=PATIENCE_S).text
