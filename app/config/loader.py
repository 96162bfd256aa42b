"""Reads a configuration: file -> text -> `Document` -> macros -> `ConfigFile` -> `Catalog`.

Nothing here is remembered between calls and nothing outside is changed, so a reload is the same call again. Whatever is
wrong is one `ConfigError` that names file, line, YAML path, value and remedy.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from app.config import macros, yaml_reader
from app.config.build import catalog_of
from app.config.effective import effective
from app.config.field_types import WRONG_TYPE, describe
from app.config.merge import merge
from app.config.models import ConfigFile
from app.config.sources import source_files
from app.config.tree import Document, ListNode, Node, Scalar
from app.config.unknown import oddities
from app.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from app.config.catalog import Catalog

_SECRETS = {"apiKeys", "apiKey"}


def load(
    path: str | Path,
    *,
    environ: Mapping[str, str],
    strict: bool = False,
    ports: Mapping[str, int] = macros.NO_PORTS,
) -> Catalog:
    """Reads the configuration at *path*.

    environ: where `${env.NAME}` is looked up.
    strict: unknown keys are errors instead of warnings.
    ports: those that models have already, and keep where they are asked for as `${PORT}`.
    """
    return load_sources(str(path), None, environ=environ, strict=strict, ports=ports)


def load_sources(
    config: str | None,
    config_dir: str | None,
    *,
    environ: Mapping[str, str],
    strict: bool = False,
    ports: Mapping[str, int] = macros.NO_PORTS,
) -> Catalog:
    """Reads the configuration in the file *config* and in the YAML files in *config_dir*, merged; either may be None."""
    files = source_files(config, config_dir)
    texts = {file: _read(Path(file)) for file in files}
    documents = [yaml_reader.read(text, file, environ) for file, text in texts.items()]
    catalog = load_document(merge(documents), strict=strict, ports=ports)
    return replace(catalog, blank_sources=tuple(file for file, text in texts.items() if not text.strip()))


def load_text(
    text: str,
    source: str,
    environ: Mapping[str, str],
    *,
    strict: bool = False,
    ports: Mapping[str, int] = macros.NO_PORTS,
) -> Catalog:
    """Reads the configuration in *text*; *source* is what errors call it."""
    return load_document(yaml_reader.read(text, source, environ), strict=strict, ports=ports)


def load_document(
    document: Document,
    *,
    strict: bool = False,
    windows: bool = sys.platform == "win32",
    ports: Mapping[str, int] = macros.NO_PORTS,
) -> Catalog:
    """Returns what *document* means, the environment's values being in it already."""
    known = {str(field.alias) for field in ConfigFile.model_fields.values()}
    document = macros.expand(document, known, ports)
    file = _typed(document)
    odd = list(oddities(document, ConfigFile))
    unknown = next((oddity.problem for oddity in odd if oddity.is_unknown), None)
    if strict and unknown is not None:
        raise ConfigError(replace(unknown, message="unknown key"))
    catalog = catalog_of(document, file, windows=windows)
    warnings = (*(str(oddity.problem) for oddity in odd), *catalog.warnings)
    return replace(catalog, warnings=warnings, effective=effective(file, catalog))


def _read(path: Path) -> str:
    source = str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(Problem("there is no such file", source, remedy="give its path with --config")) from exc
    except IsADirectoryError as exc:
        raise ConfigError(
            Problem("is a directory", source, remedy="give the path of a YAML file with --config")
        ) from exc
    except PermissionError as exc:
        raise ConfigError(Problem("may not be read by this user", source, remedy="change its permissions")) from exc
    except (OSError, ValueError) as exc:
        raise ConfigError(Problem(f"cannot be read: {exc}", source)) from exc
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(Problem("is not UTF-8 text", source, line=line, remedy="save it as UTF-8")) from exc


def _typed(document: Document) -> ConfigFile:
    try:
        return ConfigFile.model_validate(_input(document.root))
    except ValidationError as exc:
        problems = [_problem(document, details) for details in exc.errors(include_url=False)]
        # The one that stands first in the files, not the one whose field stands first in the model.
        order = {source: position for position, source in enumerate(document.sources)}
        raise ConfigError(min(problems, key=lambda told: (order.get(told.source, 0), told.line or 0))) from exc


def _input(node: Node) -> object:
    """Returns *node* as pydantic takes it: dicts and lists, with our own scalars in them."""
    if isinstance(node, Scalar):
        return node
    if isinstance(node, ListNode):
        return [_input(member) for member in node.members]
    return {key: _input(entry) for key, entry in node.entries.items()}


def _problem(document: Document, details: ErrorDetails) -> Problem:
    path = details["loc"]
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    got = describe(details["input"])
    if _SECRETS.intersection(path):
        got = "something else"
    if details["type"] == WRONG_TYPE:
        context = details["ctx"]
        remedy = f"write e.g. {key}: {context['example']}" if isinstance(path[-1], str) else ""
        return document.problem(path, f"expected {context['what']}, got {got}", remedy)
    if details["type"] == "list_type":
        return document.problem(
            path, f"expected a list, got {got}", "write each entry on a line of its own, after a dash"
        )
    assert details["type"] in {"dict_type", "model_type", "model_attributes_type"}, details
    remedy = f'write "name: value" lines below {key}:'
    if path[0] == "profiles" and isinstance(details["input"], list):
        remedy = "lists were the older syntax: write pins: below it, and name: model lines below that"
    return document.problem(path, f"expected a mapping, got {got}", remedy)
