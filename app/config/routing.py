"""Who is unloaded and who is served first: groups, priorities and preload, checked and with aliases made into ids. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.config import matrix
from app.config.tree import nearest
from planners.groups import DEFAULT_GROUP, Group, GroupPlanner
from planners.protocol import ModelId, SwapPlanner

if TYPE_CHECKING:
    from app.config.models import ConfigFile, GroupFile
    from app.config.tree import Document, Path
    from app.errors import ConfigError

ROUTER: tuple[str, ...] = ("routing", "router")
FIFO: tuple[str, ...] = ("routing", "scheduler", "settings", "fifo")


@dataclass(frozen=True, slots=True)
class Names:
    """What the local models are called."""

    models: tuple[ModelId, ...]
    aliases: Mapping[str, ModelId]
    """Every other name; none of them is a model's id."""

    def resolve(self, name: str) -> ModelId | None:
        """Returns the model that *name* means, or None."""
        return ModelId(name) if ModelId(name) in self.models else self.aliases.get(name)

    def unknown(self, document: Document, path: Path, name: str) -> ConfigError:
        """Returns the error that *name*, at *path*, is no model."""
        near = nearest(name, (*self.models, *self.aliases))
        remedy = f"did you mean {near}?" if near else "name a key of models, or an alias of one"
        return document.error(path, f'"{name}" is neither a model nor an alias of one', remedy)


def planner(document: Document, file: ConfigFile, names: Names) -> SwapPlanner:
    """Returns the planner that the file asks for, in the older place (`groups`, `matrix`) or in the newer one (`routing.router`)."""
    router = file.routing.router
    settings = router.settings
    newer = bool(router.use or settings.groups or settings.matrix)
    older = "groups" if file.groups else "matrix"
    if newer and (file.groups or file.matrix):
        raise document.error(
            (older,),
            f"{older} and routing.router are both there, and only one can hold",
            f"move {older} to routing.router.settings",
        )
    if router.use not in {"", "group", "matrix"}:
        raise document.error((*ROUTER, "use"), f'expected group or matrix, got "{router.use}"', "write use: group")
    if file.matrix and file.groups:
        raise document.error(("matrix",), "matrix and groups are both there, and only one can hold", "keep groups")
    if router.use == "matrix" and settings.matrix is None:
        raise document.error(
            (*ROUTER, "use"),
            "matrix is in use, and routing.router.settings.matrix is not there",
            "write the matrix there, or use: group",
        )
    written = file.matrix if router.use != "matrix" else settings.matrix
    if written is not None:
        place: Path = ("matrix",) if file.matrix else (*ROUTER, "settings", "matrix")
        return matrix.planner(document, place, written, names)
    path: Path = ("groups",) if file.groups else (*ROUTER, "settings", "groups")
    found = _groups(document, path, file.groups or settings.groups, names)
    return GroupPlanner(found, names.models)


def _groups(document: Document, path: Path, written: Mapping[str, GroupFile], names: Names) -> list[Group]:
    group_of: dict[ModelId, str] = {}
    groups = []
    for name, group in written.items():
        if name == DEFAULT_GROUP:
            raise document.error(
                (*path, name),
                f"{DEFAULT_GROUP} is the name of the group of all models that are in no other",
                "choose another name",
            )
        members = []
        for position, member in enumerate(group.members):
            here = (*path, name, "members", position)
            model = names.resolve(member)
            if model is None:
                raise names.unknown(document, here, member)
            if model in group_of:
                where = "this group" if group_of[model] == name else f'group "{group_of[model]}"'
                told = f'"{member}"' if member == model else f'"{member}", an alias of "{model}",'
                raise document.error(here, f"{told} is in {where} already", "a model may be in one group, once")
            group_of[model] = name
            members.append(model)
        groups.append(Group(name, tuple(members), group.swap, group.exclusive, group.persistent))
    return groups


def priorities(document: Document, file: ConfigFile, names: Names) -> dict[ModelId, int]:
    """Returns the priority of each model that has one, by its id."""
    scheduler = file.routing.scheduler
    if scheduler.use not in {"", "fifo"}:
        raise document.error(
            ("routing", "scheduler", "use"), f'expected fifo, got "{scheduler.use}"', "write use: fifo"
        )
    found: dict[ModelId, int] = {}
    for name, priority in scheduler.settings.fifo.priority.items():
        model = names.resolve(name)
        if model is None:
            raise names.unknown(document, (*FIFO, "priority", name), name)
        # The id's own entry wins over an alias's; the reference never looks at an alias's.
        if model not in found or name == model:
            found[model] = priority
    return found


def patience_s(document: Document, file: ConfigFile) -> float:
    """Returns how long an older request may be overtaken."""
    patience = file.routing.scheduler.settings.fifo.patience
    if patience < 0:
        raise document.error(
            (*FIFO, "patience"), f"expected 0 or more seconds, got {patience:g}", "0 is strict order, .inf no limit"
        )
    return patience


def min_residency_s(document: Document, file: ConfigFile) -> float:
    """Returns how long a model stays before it may be evicted."""
    seconds = file.routing.scheduler.settings.fifo.min_residency
    if seconds < 0:
        raise document.error(
            (*FIFO, "minResidency"),
            f"expected 0 or more seconds, got {seconds:g}",
            "a number of seconds; to keep a model for good, put it into a persistent group",
        )
    return seconds


def max_queued(document: Document, file: ConfigFile) -> int:
    """Returns how many requests may wait at once."""
    if file.max_queued < 1:
        raise document.error(("maxQueued",), f"expected 1 or more, got {file.max_queued}", "1000 is the default")
    return file.max_queued


def preload(document: Document, file: ConfigFile, names: Names) -> tuple[tuple[ModelId, ...], list[str]]:
    """Returns the models to load at start, each once, and warnings about names that mean none."""
    models: list[ModelId] = []
    warnings = []
    for position, written in enumerate(file.hooks.on_startup.preload):
        name = written.strip()
        model = names.resolve(name)
        if model is not None:
            models.append(model)
        elif name:
            error = names.unknown(document, ("hooks", "on_startup", "preload", position), name)
            warnings.append(f"{error}")
    return tuple(dict.fromkeys(models)), warnings
