"""What a reload would do: one configuration compared with another. PURE.

Settings are called what they are called in the file, and are only named: a command, an environment and a key may be secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from app.config.catalog import Catalog, LogSettings, Model, Monitoring, Records
from planners.protocol import ModelId

_NAMES = {
    # of a model
    "argv": "cmd",
    "stop_argv": "cmdStop",
    "grace_s": "unloadTimeout",
    "host": "proxy",
    "port": "proxy",
    "base_url": "proxy",
    "health_check_timeout_s": "healthCheckTimeout",
    "ttl_s": "ttl",
    "ignore_websockets": "compat.ignoreWebsockets",
    # of all
    "patience_s": "routing.scheduler.settings.fifo.patience",
    "min_residency_s": "routing.scheduler.settings.fifo.minResidency",
    "preload": "hooks.on_startup.preload",
    "store": "store.path",
    "store_max_age_s": "store.maxAge",
    "store_max_bytes": "store.maxSize",
    "in_memory": "metricsMaxInMemory",
    "capture_bytes": "captureBuffer",
    "capture_folder": "captures.persist",
    "capture_folder_bytes": "captures.maxSize",
    "session_headers": "ui.activity.session_id",
    "session_names": "ui.activity.session_id",
    "level": "logLevel",
    "time_format": "logTimeFormat",
    "to_stdout": "logToStdout",
    "ignore_paths": "upstream.ignorePaths",
    "is_on": "performance.disabled",
    "every_s": "performance.every",
}
"""Field -> setting, where it is not just spelt the other way."""

_AT_START_ONLY = frozenset(
    {"store.path", "store.maxAge", "store.maxSize", "metricsMaxInMemory", "captures.persist", "captures.maxSize"}
)
"""Settings that are looked at when Hostler starts, and not again. Those given as flags cannot change under it at all."""

_MEANT = frozenset({"models", "aliases", "planner", "peer_models", "sources", "blank_sources", "warnings", "effective"})
"""Fields of a catalog that other fields or `models` tell of, or that are no settings."""


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One model that is in both configurations and not the same."""

    model: ModelId
    settings: tuple[str, ...]
    """Those that differ, by their names in the file."""
    restarts: bool
    """Whether a running process is drained and ended, and the next request starts it anew; if not, it serves on."""


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """What a reload changes. Models in the order of their ids."""

    unchanged: tuple[ModelId, ...] = ()
    """They keep their process and their requests."""
    changed: tuple[ModelChange, ...] = ()
    added: tuple[ModelId, ...] = ()
    removed: tuple[ModelId, ...] = ()
    """Who waits for them is refused; who is served is served to the end, and then they are ended."""
    swapping_changed: bool = False
    """Whether it is another question who must go before whom: groups and the like."""
    settings: tuple[str, ...] = ()
    """Settings of the whole that differ, by their names in the file; they hold at once."""
    needs_restart: tuple[str, ...] = ()
    """Settings of the whole that differ and that only a restart of Hostler takes in."""

    def __str__(self) -> str:
        parts = [
            f"changed {change.model} ({', '.join(change.settings)}{'; ends when idle' if change.restarts else ''})"
            for change in self.changed
        ]
        parts += [f"added {model}" for model in self.added]
        parts += [f"removed {model}" for model in self.removed]
        if self.swapping_changed:
            parts.append("other rules of swapping")
        if self.settings:
            parts.append(f"settings {', '.join(self.settings)}")
        if self.needs_restart:
            parts.append(f"needs a restart: {', '.join(self.needs_restart)}")
        parts.append(f"{len(self.unchanged)} models as they were" if parts else "nothing has changed")
        return ", ".join(parts)


def plan(old: Catalog, new: Catalog) -> ReloadPlan:
    """Returns what replacing *old* by *new* changes."""
    both = [model for model in new.models if model in old.models]
    changes = [_model_change(old.models[model], new.models[model]) for model in both]
    differing = tuple(_settings(old, new))
    return ReloadPlan(
        unchanged=tuple(model for model, change in zip(both, changes, strict=True) if change is None),
        changed=tuple(change for change in changes if change is not None),
        added=tuple(model for model in new.models if model not in old.models),
        removed=tuple(model for model in old.models if model not in new.models),
        swapping_changed=not _swap_alike(old, new, both),
        settings=tuple(name for name in differing if name not in _AT_START_ONLY),
        needs_restart=tuple(name for name in differing if name in _AT_START_ONLY),
    )


def _model_change(old: Model, new: Model) -> ModelChange | None:
    if old == new:
        return None
    started = {
        **_differing(old.spec.launch, new.spec.launch),
        **_differing(old.spec, new.spec, without={"launch"}),
    }
    return ModelChange(
        new.id,
        tuple({**started, **_differing(old, new, without={"spec"})}),
        restarts=old.spec != new.spec,
    )


def _settings(old: Catalog, new: Catalog) -> Iterator[str]:
    for field in fields(Catalog):
        if field.name in _MEANT:
            continue
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        if isinstance(before, LogSettings | Monitoring | Records):
            yield from _differing(before, after)
        elif isinstance(before, Mapping):
            for name in sorted({*before, *after}):
                if before.get(name) != after.get(name):
                    yield f"{_name(field.name)}.{name}"
        else:
            yield _name(field.name)


def _differing(old: object, new: object, without: frozenset[str] | set[str] = frozenset()) -> dict[str, None]:
    """Returns the names of the settings in which two values of the same class differ, as an ordered set."""
    names = [field.name for field in fields(old) if field.name not in without]  # type: ignore[arg-type]  # dataclasses
    return {_name(name): None for name in names if getattr(old, name) != getattr(new, name)}


def _name(field: str) -> str:
    first, *rest = field.split("_")
    return _NAMES.get(field, "".join([first, *(word.capitalize() for word in rest)]))


def _swap_alike(old: Catalog, new: Catalog, both: list[ModelId]) -> bool:
    if old.planner == new.planner:
        return True
    if type(old.planner) is not type(new.planner) or old.models.keys() == new.models.keys():
        return False
    # A model that was added or removed is in other groups than before, or in none: that alone is no other rule. So the
    # question is what it means for the rest.
    live = frozenset(both)
    return all(
        old.planner.evictions(model, live - {model}).evict == new.planner.evictions(model, live - {model}).evict
        for model in both
    )
