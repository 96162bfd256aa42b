"""Never run, only type-checked: plug-ins as somebody else would write them satisfy the protocols without inheriting anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set as AbstractSet
from contextlib import asynccontextmanager

from app.launchers.protocol import ExitStatus, Launcher, LaunchSpec, LogSink, Upstream
from app.scheduler.core import Scheduler
from app.scheduler.events import Fairness, Reconfigured
from planners.protocol import ModelId, Plan, SwapPlanner


class Alone:
    """A planner that lets nobody run beside anybody."""

    def evictions(self, target: ModelId, live: AbstractSet[ModelId]) -> Plan:
        return Plan(frozenset(live), "one at a time")


class Mainframe:
    """An upstream that is no process of this host."""

    @property
    def pid(self) -> None:
        return None

    async def wait(self) -> ExitStatus:
        return ExitStatus(0)

    async def impostor(self) -> None:
        return None


class Datacentre:
    """A launcher that starts upstreams somewhere else."""

    @asynccontextmanager
    async def launch(self, spec: LaunchSpec, log: LogSink) -> AsyncIterator[Mainframe]:
        log(f"{spec.model} starts\n".encode())
        yield Mainframe()

    def kill_all(self) -> None:
        pass


planner: SwapPlanner = Alone()
launcher: Launcher = Datacentre()
upstream: Upstream = Mainframe()
scheduler = Scheduler({}, Alone())
reload = Reconfigured({}, Alone(), Fairness())


class Forgetful:
    """What is no planner, is seen to be none."""

    def evictions(self, target: str) -> list[str]:
        return [target]


no_planner: SwapPlanner = Forgetful()  # type: ignore[assignment]  # mypy warns if this were right
