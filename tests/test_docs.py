"""The documents say what is so: every endpoint has its line, every example its answer."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.routing import Route, WebSocketRoute

from app.application import create_app
from app.config.active import ActiveConfig
from app.config.field_types import NotActedOn
from app.config.loader import load
from app.config.models import ConfigFile, ModelFile
from app.middleware.paths import Dispatch
from tests.fake_upstream import argv
from tests.ports import free_port
from tests.program import PATIENCE_S, ROOT, hostler

API = ROOT / "docs" / "api.md"

ADDRESS = "http://127.0.0.1:8080"
"""Where Hostler is in the examples."""

CHANGING = frozenset({"created", "version", "cmd", "proxy"})
"""Members of answers that are not the same twice, or not with stand-ins."""

TIMED_OUT = 28
"""curl's exit code when `--max-time` is over."""


class Example(NamedTuple):
    """One command of a document, and the answer shown below it."""

    line: int
    command: str
    answer: str


class Answer(NamedTuple):
    status: int
    head: list[str]
    body: str


class Chapter(NamedTuple):
    """What is shown of one configuration."""

    config: str
    examples: list[Example]


def chapters(text: str) -> list[Chapter]:
    """Returns the `yaml` blocks of *text*, each with the commands of the `console` blocks that follow it."""
    found: list[Chapter] = []
    for block in re.finditer(r"^```(yaml|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if block[1] == "yaml":
            found.append(Chapter(block[2], []))
        else:
            found[-1].examples.extend(_examples(block[2], text.count("\n", 0, block.start(2)) + 1))
    return found


def _examples(block: str, first: int) -> Iterator[Example]:
    for found in re.finditer(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        yield Example(first + block.count("\n", 0, found.start()), found[1], found[2])


def run(command: str, url: str, folder: Path) -> Answer:
    """Runs a command of the document against *url* instead."""
    shows_head = bool(re.match(r"curl -\w*i", command))
    words = shlex.split(command.replace(ADDRESS, url))
    assert words[0] == "curl"
    if not shows_head:
        words += ["--include"]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == (TIMED_OUT if "--max-time" in words else 0), done.stderr
    if "-o" in words:
        output = (folder / words[words.index("-o") + 1]).read_bytes()
        head, _, content = output.partition(b"\r\n\r\n")
        (folder / words[words.index("-o") + 1]).write_bytes(content)
        body = ""
    else:
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        body = content.decode().replace(url, ADDRESS)
    first, *headers = head.decode().split("\r\n")
    return Answer(int(first.split()[1]), headers, body)


def steady(value: object) -> object:
    """Returns a JSON *value* with what changes from run to run replaced by its type."""
    if isinstance(value, dict):
        return {key: type(member).__name__ if key in CHANGING else steady(member) for key, member in value.items()}
    if isinstance(value, list):
        return [steady(member) for member in value]
    return value


def is_as_shown(shown: str, body: str) -> bool:
    """Returns whether *body* is what a document shows: the same JSON in the same order, or the same text but for `…`."""
    try:
        return json.dumps(steady(json.loads(shown))) == json.dumps(steady(json.loads(body)))
    except ValueError:
        pattern = ".*".join(re.escape(piece) for piece in shown.strip().split("…"))
        return re.fullmatch(pattern, body.strip(), re.DOTALL) is not None


def differences(example: Example, answer: Answer) -> Iterator[str]:
    """Yields what is not as the document shows it."""
    shown = example.answer
    status = 200
    if shown.startswith("HTTP/"):
        head, _, shown = shown.partition("\n\n")
        first, *headers = head.splitlines()
        status = int(first.split()[1])
        have = {header.lower() for header in answer.head}
        yield from (f"has no header {header}" for header in headers if header.lower() not in have)
    if answer.status != status:
        yield f"answers {answer.status}, not {status}"
    if not is_as_shown(shown, answer.body):
        yield f"answers {answer.body!r}"


def over_stand_ins(config: str) -> str:
    """Returns *config* with stand-ins for its model servers."""
    lines = []
    model = ""
    for line in config.splitlines():
        model = line.strip(" :") if re.fullmatch(r"  [\w-]+:", line) else model
        lines.append(line)
        if line.startswith("    cmd:"):
            port = free_port()
            lines[-1] = f"    cmd: {shlex.join(argv(port, '--model', model))}\n    proxy: http://127.0.0.1:{port}"
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(120)
def test_examples_of_the_api_answer_as_shown(tmp_path: Path) -> None:
    told = chapters(API.read_text())
    assert len(told[0].examples) > 30
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    wrong = []
    for config, examples in told:
        with hostler(tmp_path, over_stand_ins(config)) as program:
            for example in examples:
                answer = run(example.command, program.url, tmp_path)
                wrong += [f"{API.name}:{example.line}: {example.command} {why}" for why in differences(example, answer)]

    assert not wrong, "\n".join(wrong)


def test_every_endpoint_is_in_the_document_of_the_api_and_no_other(tmp_path: Path) -> None:
    documented = {(method, _fixed(path)) for method, path in re.findall(r"`([A-Z]+) (/[^`\s]*)`", API.read_text())}
    served = {(method, _fixed(path)) for method, path in _served(tmp_path)}

    assert documented == {
        (method, path) for method, path in served if (method, ("GET", path) in served) != ("HEAD", True)
    }


def _fixed(path: str) -> str:
    """Returns what comes before the first parameter of *path*, a brace in its place."""
    before, brace, _ = path.partition("{")
    return before + brace


def _served(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields method and path of every route of the application."""
    file = folder / "config.yaml"
    file.write_text("models: {}\n")
    layers: list[object] = [create_app(ActiveConfig(lambda _ports: load(str(file), environ={})))]
    for layer in layers:
        if isinstance(layer, Dispatch):
            yield from layer.plain
            for route in layer._patterned:
                assert isinstance(route, Route | WebSocketRoute)
                methods = {"WS"} if isinstance(route, WebSocketRoute) else route.methods or {"ANY"}
                yield from ((method, route.path) for method in methods)
            return
        layers += [part for part in vars(layer).values() if callable(part)]
    raise AssertionError("the application has no dispatch")


def test_every_setting_without_effect_is_in_the_document_for_those_who_change_over() -> None:
    text = (ROOT / "docs" / "compatibility.md").read_text()
    without_effect = {
        str(field.alias)
        for settings in (ConfigFile, ModelFile)
        for field in settings.model_fields.values()
        if any(isinstance(mark, NotActedOn) for mark in field.metadata)
    }

    assert without_effect
    assert {name for name in without_effect if f"`{name}`" not in text} == set()
