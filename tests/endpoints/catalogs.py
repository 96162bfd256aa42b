"""Small configurations and a supervisor's picture, for tests of endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from app.config.catalog import Catalog, Model, ModelSpec, Peer, PeerModel, Profile, Selector
from app.launchers.protocol import LaunchSpec
from app.routing.resolve import ActiveProfile, Routing
from app.routing.selectors import Reservations
from app.scheduler.instances import ModelView, Phase, SchedulerView
from planners.groups import GroupPlanner
from planners.protocol import ModelId


def model(identity: str, /, **fields: object) -> Model:
    """Returns a model at port 5800; *fields* are those of `Model`."""
    spec = ModelSpec(LaunchSpec(identity, ("server",)), "http://127.0.0.1:5800")
    return Model(ModelId(identity), spec, **fields)  # type: ignore[arg-type]  # the tests know the fields


def peer(identity: str, *models: str, **fields: object) -> Peer:
    """Returns a peer that has *models*; *fields* are those of `Peer`."""
    return Peer(identity, models=models, **{"base_url": "http://127.0.0.1:9", **fields})  # type: ignore[arg-type]


def catalog(
    *models: Model,
    peers: Collection[Peer] = (),
    selectors: Collection[Selector] = (),
    profiles: Collection[Profile] = (),
    **fields: object,
) -> Catalog:
    """Returns a configuration of *models*, *peers*, *selectors* and *profiles*; *fields* are those of `Catalog`."""
    remote = [PeerModel(each, name) for each in peers for name in each.models]
    bare = [entry.name for entry in remote]
    return Catalog(
        models={each.id: each for each in models},
        aliases={alias: each.id for each in models for alias in each.aliases},
        planner=GroupPlanner((), [each.id for each in models]),
        peers={each.id: each for each in peers},
        peer_models={each.name: each for each in remote if bare.count(each.name) == 1}
        | {each.id: each for each in remote},
        selectors={each.id: each for each in selectors},
        profiles={each.id: each for each in profiles},
        **fields,  # type: ignore[arg-type]  # the tests know the fields
    )


def view(**phases: Phase) -> SchedulerView:
    """Returns a picture in which the named models are in these phases."""
    return SchedulerView({ModelId(name): ModelView(phase) for name, phase in phases.items()}, 0, shutting_down=False)


def routing(current: Callable[[], Catalog], profile: Profile | None = None, **phases: Phase) -> Routing:
    """Returns what decides the meaning of names, with *profile* in force and models in these phases."""
    active = ActiveProfile()
    active.current = profile
    return Routing(current, active, Reservations(lambda: view(**phases)))


class Supervised:
    """Stands where the supervisor does: shows a picture, and notes what is unloaded."""

    def __init__(self, **phases: Phase) -> None:
        self.phases = phases
        self.unloaded: list[Collection[ModelId] | None] = []
        self.insisted: list[ModelId] = []
        """Models that were leased by somebody who insists."""

    def view(self) -> SchedulerView:
        return view(**self.phases)

    async def unload(self, models: Collection[ModelId] | None) -> None:
        self.unloaded.append(models)

    @asynccontextmanager
    async def lease(self, model: ModelId, *, insists: bool = False) -> AsyncIterator[None]:
        if insists:
            self.insisted.append(model)
        yield
