"""Small configurations and a supervisor's picture, for tests of endpoints."""

from __future__ import annotations

from collections.abc import Collection

from app.config.catalog import Catalog, Model, ModelSpec
from app.launchers.protocol import LaunchSpec
from app.scheduler.instances import ModelView, Phase, SchedulerView
from planners.groups import GroupPlanner
from planners.protocol import ModelId


def model(identity: str, /, **fields: object) -> Model:
    """Returns a model at port 5800; *fields* are those of `Model`."""
    spec = ModelSpec(LaunchSpec(identity, ("server",)), "http://127.0.0.1:5800")
    return Model(ModelId(identity), spec, **fields)  # type: ignore[arg-type]  # the tests know the fields


def catalog(*models: Model, include_aliases_in_list: bool = False) -> Catalog:
    """Returns a configuration of *models*."""
    return Catalog(
        models={each.id: each for each in models},
        aliases={alias: each.id for each in models for alias in each.aliases},
        planner=GroupPlanner((), [each.id for each in models]),
        include_aliases_in_list=include_aliases_in_list,
    )


def view(**phases: Phase) -> SchedulerView:
    """Returns a picture in which the named models are in these phases."""
    return SchedulerView({ModelId(name): ModelView(phase) for name, phase in phases.items()}, (), shutting_down=False)


class Supervised:
    """Stands where the supervisor does: shows a picture, and notes what is unloaded."""

    def __init__(self, **phases: Phase) -> None:
        self.phases = phases
        self.unloaded: list[Collection[ModelId] | None] = []

    def view(self) -> SchedulerView:
        return view(**self.phases)

    async def unload(self, models: Collection[ModelId] | None) -> None:
        self.unloaded.append(models)
