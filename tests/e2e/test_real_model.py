"""The whole program with the real engine and the real model, asked by the clients our users have."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import psutil
import pytest

from app import demo
from tests.program import PATIENCE_S, Program, hostler, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUESTION = "What is the capital of France?"


def ask(program: Program, model: str) -> str:
    """Returns what *model* says to QUESTION, by the official client."""
    with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
        answer = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=16
        )
    return answer.choices[0].message.content or ""


def engines(program: Program) -> list[psutil.Process]:
    return [process for process in program.descendants() if "engine" in process.cmdline()]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the real model, assembled once for all workers."""
    return demo.model_file(tmp_path_factory.getbasetemp().parent / "hostler-demo")


@pytest.fixture
def program(tmp_path: Path, model: Path) -> Iterator[Program]:
    """Serves the configuration of the demo."""
    with hostler(tmp_path, demo.demo_config(model, sys.executable)) as served:
        yield served


def test_the_openai_client_gets_an_answer_whole_and_streamed(program: Program) -> None:
    with openai.OpenAI(base_url=f"{program.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE_S) as client:
        assert [model.id for model in client.models.list()] == ["gemma", "gemma-small"]

        whole = ask(program, "gemma")
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
    first = ask(program, "gemma")
    before = engines(program)
    second = ask(program, "gemma-small")

    assert "Paris" in first
    assert first == second
    assert program.running() == {"gemma-small": "ready"}
    assert len(before) == 1
    assert not before[0].is_running()
    assert len(engines(program)) == 1


def test_an_idle_model_is_unloaded_after_its_ttl(tmp_path: Path, model: Path) -> None:
    with hostler(tmp_path, demo.demo_config(model, sys.executable).replace("ttl: 300", "ttl: 1")) as program:
        ask(program, "gemma-small")
        loaded = engines(program)
        program.until(lambda: program.running() == {})

        _, alive = psutil.wait_procs(loaded, timeout=PATIENCE_S)
        again = ask(program, "gemma-small")

    assert len(loaded) == 1
    assert alive == []
    assert "Paris" in again


def test_sigterm_ends_everything_in_order(program: Program) -> None:
    ask(program, "gemma")
    assert engines(program)

    assert program.end() == 0, program.text()
    assert program.nothing_is_left()


def test_nothing_survives_a_sigkill_of_hostler(program: Program) -> None:
    ask(program, "gemma")
    assert engines(program)

    program.end(signal.SIGKILL)

    assert program.nothing_is_left()


def test_a_second_ctrl_c_does_not_wait_for_an_answer_that_is_being_given(tmp_path: Path, model: Path) -> None:
    # Without the text that ends an answer, so that this one is long.
    config = demo.demo_config(model, sys.executable).replace("--reverse-prompt Question:", "")
    body = {"model": "gemma", "prompt": "One, two,", "max_tokens": 4000, "ignore_eos": True, "stream": True}
    with hostler(tmp_path, config) as program:
        with httpx.stream("POST", f"{program.url}/v1/completions", json=body, timeout=PATIENCE_S) as answer:
            events = answer.iter_lines()
            next(events)
            program.process.send_signal(signal.SIGINT)
            program.until(lambda: not program.answers())
            # The answer goes on: the first Ctrl-C waits for it.
            assert all(next(events) is not None for _ in range(20))
            assert program.process.poll() is None

            program.end(signal.SIGINT)

        assert answer.status_code == 200
        assert program.nothing_is_left()


def test_the_demo_prints_a_line_that_works_when_it_is_pasted(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTLER_CACHE_DIR", str(model.parent))
    command = [sys.executable, "-m", "app.cli", "demo", "--listen", "127.0.0.1:0"]
    with running(tmp_path, command) as program:
        program.until(lambda: "curl" in program.text())
        greeting = program.output.read_text()
        line = re.search(r"^\s*(curl .*)$", greeting, flags=re.MULTILINE)
        assert line is not None, greeting

        answer = pasted(line[1])
        program.end(signal.SIGINT)
        ended = program.nothing_is_left()

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
