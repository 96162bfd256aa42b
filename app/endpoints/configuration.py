"""`GET /api/config`: the configuration as it runs, without its secrets, and how its last reload ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio
from starlette.routing import Route

from app.asgi import send_bytes
from app.config.plan import ReloadPlan
from app.errors import ConfigError
from app.telemetry.redact import REDACTED
from app.telemetry.redact_command import is_secret_name, redacted_command

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, JsonValue
    from app.errors import HostlerError


class Outcome(Protocol):
    """How a reload ended; `app.reload.Outcome`."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def result(self) -> ReloadPlan | HostlerError:
        """What has changed, or why nothing has."""


class Loads(Protocol):
    """What is known of the readings of the configuration; `app.reload.Reloads`."""

    @property
    def last(self) -> Outcome | None:
        """None until there has been a reload."""

    @property
    def loaded_at(self) -> datetime:
        """When the configuration in force was read."""


def routes(current: Callable[[], Catalog], loads: Loads) -> list[Route]:
    """Returns the routes of this module. current: gives the configuration in force."""
    return [Route("/api/config", ShowConfiguration(current, loads), methods=["GET"])]


class ShowConfiguration:
    """ASGI endpoint: see the top of this file."""

    def __init__(self, current: Callable[[], Catalog], loads: Loads) -> None:
        self._current = current
        self._loads = loads

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers. Taking out the secrets of many models takes its time, so a thread does it."""
        document = partial(_document, self._current(), self._loads.last, self._loads.loaded_at)
        await send_bytes(send, 200, await anyio.to_thread.run_sync(document), b"application/json")


def _document(catalog: Catalog, last: Outcome | None, loaded_at: datetime) -> bytes:
    effective = catalog.effective
    document = {
        "config": None if effective is None else without_secrets(dict(effective.settings)),
        "differing": [] if effective is None else effective.differing,
        "files": catalog.sources,
        "loaded_at": _stamp(loaded_at),
        "warnings": catalog.warnings,
        "reload": None if last is None else _told(last),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="backslashreplace")


def _told(outcome: Outcome) -> dict[str, object]:
    result = outcome.result
    told: dict[str, object] = {"at": _stamp(outcome.at), "message": str(result)}
    if isinstance(result, ReloadPlan):
        return {"ok": True, **told, "plan": asdict(result)}
    return {"ok": False, **told, "problem": asdict(result.problem) if isinstance(result, ConfigError) else None}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_secrets(settings: dict[str, JsonValue]) -> JsonValue:
    """Returns *settings* with keys, passwords and the like replaced: where a name tells of one, and wherever else it stands."""
    known = set(_secrets(settings, ""))
    return _shown(settings, "", known)


def _secrets(value: JsonValue, name: str) -> Iterator[str]:
    """Yields the values whose names say that they are secrets. name: of the setting that *value* belongs to."""
    match value:
        case dict():
            for key, entry in value.items():
                yield from _secrets(entry, key)
        case list():
            for entry in value:
                yield from _secrets(entry, name)
        case str() if name == "env":
            variable, _, content = value.partition("=")
            if is_secret_name(variable):
                yield content
        case str() if is_secret_name(name):
            yield value
        case _:
            pass


def _shown(value: JsonValue, name: str, known: set[str]) -> JsonValue:
    match value:
        case dict():
            return {key: _shown(entry, key, known) for key, entry in value.items()}
        case list():
            return [_shown(entry, name, known) for entry in value]
        case str() if name == "env":
            variable, _, content = value.partition("=")
            if is_secret_name(variable) and content:
                return f"{variable}={REDACTED}"
            return f"{variable}={redacted_command(content, known)}"
        case str() | int() | float() if value and not isinstance(value, bool) and is_secret_name(name):
            return REDACTED
        case str() if len(value) > _SHORT:
            return redacted_command(value, known)
        case _:
            return value


_SHORT = 3
"""Texts up to this length are left as they are: no secret is so short, and most settings are."""
