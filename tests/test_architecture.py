"""The picture of the architecture, under test: who may import whom (design.md 2.3).

The tables below are that picture. An import counts wherever it stands, in a function and for types only as well: what a file
cannot be read without, it depends on. To draw a new line, put it into `MAY_IMPORT`, and look first whether the flow still goes one way.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

EVERYWHERE = {"app", "app.errors", "app.exchange", "app.asgi"}
"""What everything in app may import; `app` itself holds the version."""

SERVICES = {
    "app.supervisor",
    "app.proxy",
    "app.routing",
    "app.metering",
    "app.telemetry",
    "app.config",
    "planners.protocol",
}

MAY_IMPORT = {
    # the ways in
    "app.cli": {"app.server", "app.application", "app.config", "app.demo", "app.engine", "app.simulate"}
    | {"app.monitor_cli"},
    "app.monitor_cli": {"app.telemetry.performance", "monitors"},
    "app.simulate": {"app.config.catalog", "app.scheduler", "planners.protocol"},
    "app.main": {"app.application", "app.config"},
    "app.server": {"app.application", "app.services", "app.http_limits", "app.websocket_protocol"},
    "app.application": {"app.endpoints", "app.middleware", "app.services", "app.launchers", "app.scheduler", *SERVICES}
    | {"monitors"},
    "app.services": {"app.middleware.limit", "app.launchers", "app.reload", "app.preload", *SERVICES},
    "app.reload": {"app.config"},
    "app.preload": {"app.config", "app.supervisor", "app.scheduler.instances", "planners.protocol"},
    "app.demo": {"app.config"},
    "app.http_limits": {"app.http_cycle", "app.http_protocol"},
    "app.http_protocol": {"app.http_cycle", "app.turn"},
    "app.http_cycle": set(),
    "app.websocket_protocol": set(),
    "app.turn": set(),
    "app.engine": set(),
    # the path of a request
    "app.endpoints": {"app.middleware", "app.scheduler.history", "app.scheduler.instances", "ui", *SERVICES},
    "app.middleware": SERVICES,
    "app.proxy": {"app.config.catalog", "app.turn"},
    # the life of the models
    "app.supervisor": {"app.scheduler", "app.launchers", "app.proxy", "app.config.catalog", "planners.protocol"},
    "app.scheduler": {"planners.protocol"},
    "app.launchers": set(),
    # what they all lean on
    "app.config": {"planners", "monitors", "app.launchers"},
    "app.telemetry": {
        "app.config.catalog",
        "app.launchers.protocol",
        "app.scheduler.commands",
        "app.scheduler.history",
        "app.scheduler.instances",
        "planners.protocol",
        "monitors",
    },
    "app.routing": {"app.config.catalog", "app.scheduler.instances", "planners.protocol"},
    "app.metering": set(),
    "app.exchange": {"app.config.catalog", "app.metering.usage", "planners.protocol"},
    "app.asgi": set(),
    "app.errors": set(),
    "app": set(),
    # nothing of app
    "planners": set(),
    "monitors": set(),
    "ui": set(),
}
"""Unit -> the units, or single modules of them, that it may import besides itself and `EVERYWHERE`."""

PURE = {"app.scheduler", "app.routing", "app.metering", "planners"}
"""No clock, no I/O, no chance, no log: they are given what they need to know."""

IMPURE = {"anyio", "asyncio", "httpx", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess"} | {
    "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip

THIRD_PARTY = {
    "app.scheduler": set[str](),
    "planners": {"pydantic"},
    "monitors": {"psutil", "pynvml", "pydantic", "anyio"},
}
"""All that these import from other projects."""

ONLY_IN = {
    "httpx": ("app.proxy", "ui.dev"),
    "xllamacpp": ("app.engine",),
    "pynvml": ("monitors.nvidia",),
    "rich": ("app.monitor_cli",),
    "opentelemetry": ("app.telemetry.tracing",),
    "brotli": ("app.metering", "ui.assets"),
}
"""What few places hide from all others."""


@dataclass(frozen=True)
class Import:
    """One import of one module by another, by its full name."""

    module: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    """Returns every module of ours; a package goes by its own name."""
    paths = [path for top in ("app", "planners", "monitors", "ui") for path in sorted((ROOT / top).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


MODULES = modules()


def imports_of(module: str, source: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(module, node.lineno, name if name in MODULES or node.module == "urllib" else node.module)


IMPORTS = [each for module, path in MODULES.items() for each in imports_of(module, path.read_text())]


def unit(module: str) -> str:
    """Returns the part of the picture that *module* is in: `app.config` of `app.config.loader`, `planners` of all planners."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "app" else parts[0]


def is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def test_every_unit_is_in_the_picture() -> None:
    assert {unit(module) for module in MODULES} <= MAY_IMPORT.keys()


@pytest.mark.parametrize("importer", MAY_IMPORT)
def test_imports_follow_the_picture(importer: str) -> None:
    common = EVERYWHERE if is_within(importer, "app") else set()
    allowed = {importer, *MAY_IMPORT[importer], *common} - {"app"}
    strays = [
        str(each)
        for each in IMPORTS
        if unit(each.module) == importer and each.target in MODULES
        if not any(is_within(each.target, place) for place in allowed) and not (common and each.target == "app")
    ]

    assert not strays, "\n" + "\n".join(strays)


def test_no_cycle_between_units() -> None:
    edges = {(unit(each.module), unit(each.target)) for each in IMPORTS if each.target in MODULES}
    left = {importer for importer, _ in edges} | {target for _, target in edges}
    while leaves := {name for name in left if not any((name, other) in edges for other in left - {name})}:
        left -= leaves

    assert not left, f"these import each other: {sorted(edge for edge in edges if set(edge) <= left)}"


@pytest.mark.parametrize("package", sorted(PURE))
def test_pure_packages_know_no_clock_no_chance_and_no_world(package: str) -> None:
    strays = [
        str(each)
        for each in IMPORTS
        if is_within(each.module, package) and any(is_within(each.target, impure) for impure in IMPURE)
    ]

    assert not strays, "\n" + "\n".join(strays)


@pytest.mark.parametrize("package", THIRD_PARTY)
def test_third_party_imports_of_the_frugal(package: str) -> None:
    allowed = sys.stdlib_module_names | THIRD_PARTY[package] | {"app", "planners", "monitors"}
    strays = [
        str(each) for each in IMPORTS if is_within(each.module, package) and each.target.split(".")[0] not in allowed
    ]

    assert not strays, "\n" + "\n".join(strays)


@pytest.mark.parametrize("library", ONLY_IN)
def test_library_is_hidden_in_one_place(library: str) -> None:
    strays = [
        str(each)
        for each in IMPORTS
        if is_within(each.target, library) and not any(is_within(each.module, place) for place in ONLY_IN[library])
    ]

    assert not strays, "\n" + "\n".join(strays)


def test_imports_are_seen_wherever_they_stand() -> None:
    source = """
import os.path
if TYPE_CHECKING:
    from app.scheduler.core import Scheduler
def late():
    from app import errors
"""

    assert [each.target for each in imports_of("here", source)] == ["os.path", "app.scheduler.core", "app.errors"]
