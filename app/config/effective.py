"""The configuration as it runs, by the names of the file: after environment, macros, merges and defaults. PURE.

Secrets are still in it; whoever shows it takes them out. Macros and settings that have no effect are not, and what stands in
an older place of the file stands in the newer one here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.config.settings import Settings
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.config.catalog import Catalog, JsonValue, Model
    from app.config.models import ConfigFile

Path = tuple[str, ...]

_ROUTER: Path = ("routing", "router", "settings")
_MOVED = {"groups": (*_ROUTER, "groups"), "matrix": (*_ROUTER, "matrix")}
_OLDER_SPELLINGS = {"strip_params": "stripParams"}
_WITHOUT_EFFECT = frozenset({"macros", "logRequests"})


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds, and what of it somebody has written."""

    settings: Mapping[str, JsonValue]
    """As the file would have to say it for the same to hold; values of JSON."""
    differing: tuple[Path, ...]
    """Where the file says something other than the default."""


def effective(file: ConfigFile, catalog: Catalog) -> Effective:
    """Returns what *file*, which means *catalog*, says of everything."""
    settings: dict[str, JsonValue] = file.model_dump(mode="json", by_alias=True)
    _without(settings, _WITHOUT_EFFECT)
    models = _mapping(settings, "models")
    settings["models"] = {name: _model(_mapping(models, name), model) for name, model in catalog.models.items()}
    for peer in _mapping(settings, "peers").values():
        _filters(peer)
    settings["healthCheckTimeout"] = next(
        (_whole(model.spec.health_check_timeout_s) for model in catalog.models.values()), settings["healthCheckTimeout"]
    )
    settings["logLevel"], settings["logTimeFormat"] = catalog.logs.level, catalog.logs.time_format
    settings["metricsMaxInMemory"] = catalog.records.in_memory
    settings["performance"] = {"disabled": not catalog.monitoring.is_on, "every": f"{catalog.monitoring.every_s:g}s"}
    if not file.upstream.ignore_paths:
        settings["upstream"] = {"ignorePaths": [pattern.pattern for pattern in catalog.ignore_paths]}
    _route(settings, file)
    said = [_moved(path) for path in _differing(file, ()) if not _is_void(path)]
    return Effective(settings, tuple(path for path in said if not _is_usual_proxy(path, catalog)))


def _model(told: dict[str, JsonValue], model: Model) -> JsonValue:
    _without(told, {"macros", "healthCheckTimeout"})
    _filters(told)
    _mapping(told, "compat")["ignoreWebsockets"] = model.ignore_websockets
    return told | {
        "cmd": model.cmd,
        "proxy": model.spec.base_url,
        "aliases": list(model.aliases),
        "env": list(model.spec.launch.env),
        "checkEndpoint": "none" if model.spec.check_endpoint is None else model.spec.check_endpoint,
        "ttl": _whole(model.ttl_s),
        "unloadTimeout": _whole(model.spec.launch.grace_s),
        "concurrencyLimit": model.concurrency_limit,
        "sendLoadingState": model.send_loading_state,
    }


def _route(settings: dict[str, JsonValue], file: ConfigFile) -> None:
    """Puts who goes before whom into the one place that it has today."""
    router = _mapping(_mapping(settings, "routing"), "router")
    written = _mapping(router, "settings")
    groups, matrix = settings.pop("groups"), settings.pop("matrix")
    uses_matrix = file.matrix is not None or file.routing.router.use == "matrix"
    router["use"] = "matrix" if uses_matrix else "group"
    router["settings"] = (
        {"matrix": matrix or written["matrix"]} if uses_matrix else {"groups": groups or written["groups"]}
    )
    _mapping(_mapping(settings, "routing"), "scheduler")["use"] = "fifo"


def _filters(owner: JsonValue) -> None:
    assert isinstance(owner, dict)
    filters = _mapping(owner, "filters")
    older = filters.pop("strip_params")
    filters["stripParams"] = filters["stripParams"] or older


def _differing(settings: Settings, path: Path) -> Iterator[Path]:
    """Yields the places where a value is not the default one."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        here = (*path, str(field.alias))
        if isinstance(value, Settings):
            yield from _differing(value, here)
        elif isinstance(value, dict) and any(isinstance(entry, Settings) for entry in value.values()):
            for key, entry in value.items():
                yield from _differing(entry, (*here, key))
        elif value != field.default:
            yield here


def _moved(path: Path) -> Path:
    *above, last = (*_MOVED.get(path[0], path[:1]), *path[1:])
    return (*above, _OLDER_SPELLINGS.get(last, last) if above[-1:] == ["filters"] else last)


def _is_void(path: Path) -> bool:
    in_model = path[2:] if path[0] == "models" else ()
    return path[0] in _WITHOUT_EFFECT or in_model[:1] in {("macros",), ("healthCheckTimeout",)}


def _is_usual_proxy(path: Path, catalog: Catalog) -> bool:
    """Whether it is the proxy that a model has without one being written."""
    if path[0] != "models" or path[2:] != ("proxy",):
        return False
    spec = catalog.models[ModelId(path[1])].spec
    return spec.base_url == f"http://localhost:{spec.launch.port}"


def _without(settings: dict[str, JsonValue], keys: frozenset[str] | set[str]) -> None:
    for key in keys:
        settings.pop(key, None)


def _mapping(settings: JsonValue, key: str) -> dict[str, JsonValue]:
    assert isinstance(settings, dict)
    found = settings[key]
    assert isinstance(found, dict)
    return found


def _whole(seconds: float) -> JsonValue:
    return int(seconds) if math.isfinite(seconds) and seconds == int(seconds) else seconds
