"""Models that are loaded before anybody asks for them: at the start, and again after each reload.

Theory of operation
-------------------
`run` is the only one who preloads. It works in *rounds*: one at the start, one after the last of any number of reloads. A round
looks at the list of the configuration in force and picks, in its order, the models that may run beside those picked already and
beside all that runs: a preload never makes anybody go. What is picked and does not run is waited for by a ticket of its own, all
side by side and like any other request's: the scheduler knows no preloads, so nobody waits longer for one than for a request.

A ticket that the next round still wants is kept, so however many rounds there are, a model has one. One that is not wanted any
more is taken back; what has begun to load by then is the scheduler's business, as when a client leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from app.config.active import ActiveConfig
from app.errors import HostlerError, ShuttingDown
from app.scheduler.instances import Phase
from app.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from app.config.catalog import Catalog
    from planners.protocol import ModelId

logger = logging.getLogger(__name__)


class Preload:
    """The owner of all preloads; see the top of this file."""

    def __init__(self, config: ActiveConfig, supervisor: Supervisor, wait_bound: Callable[[], Awaitable[None]]) -> None:
        """Does nothing until it runs. wait_bound: returns when models may be started."""
        self._config = config
        self._supervisor = supervisor
        self._wait_bound = wait_bound
        self._wanted = anyio.Event()
        self._loading: dict[ModelId, anyio.CancelScope] = {}
        """Those that are waited for; cancelled to take the ticket back."""

    def want(self) -> None:
        """Asks for another round, for the configuration is another one now; of several that ask before it begins, one is enough."""
        self._wanted.set()

    async def run(self) -> None:
        """Preloads now, and whenever somebody wants it, until cancelled."""
        await self._wait_bound()
        async with anyio.create_task_group() as group:
            while True:
                # Replaced before the list is read: who asks from here on gets another round.
                self._wanted = anyio.Event()
                self._begin_round(group)
                await self._wanted.wait()

    def _begin_round(self, group: TaskGroup) -> None:
        catalog = self._config.current()
        settled = self._settled(catalog)
        picked = self._picked(catalog, settled)
        for model in self._loading.keys() - set(picked):
            self._loading.pop(model).cancel()
        for model in picked:
            if model not in settled and model not in self._loading:
                scope = self._loading[model] = anyio.CancelScope()
                group.start_soon(self._load, model, scope, name=f"preload {model}")

    def _settled(self, catalog: Catalog) -> frozenset[ModelId]:
        """Returns the models that run, or will, whatever this round picks: not those that load because an earlier one did.

        Nor those that a reload has told to go as soon as they are idle: they are ready, and yet serve no newcomer at once.
        """
        views = self._supervisor.view().models
        return frozenset(
            model
            for model in catalog.models.keys() - self._loading.keys()
            if views[model].phase is Phase.STARTING
            or (views[model].phase is Phase.READY and self._supervisor.wait_s(model) == 0.0)
        )

    def _picked(self, catalog: Catalog, settled: frozenset[ModelId]) -> list[ModelId]:
        """Returns the models of the list that may run beside each other and beside what runs."""
        picked: list[ModelId] = []
        for model in catalog.preload:
            if model in settled:
                picked.append(model)
                continue
            plan = catalog.planner.evictions(model, settled | set(picked))
            if not plan.evict:
                picked.append(model)
                continue
            # A list that contradicts itself is the operator's mistake; that others run by now is not.
            level = logging.WARNING if plan.evict & set(picked) else logging.INFO
            whom = ", ".join(sorted(plan.evict))
            logger.log(level, "not preloaded: would evict %s: %s", whom, plan.reason, extra={"model": model})
        return picked

    async def _load(self, model: ModelId, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                async with self._supervisor.lease(model):
                    logger.info("preloaded", extra={"model": model})
            except ShuttingDown:
                pass  # nobody's failure, and told of elsewhere
            except HostlerError as exc:
                # Not if the reload whose round is about to begin has taken it off the list.
                if model in self._config.current().preload:
                    logger.error("not preloaded: %s", exc, extra={"model": model})  # noqa: TRY400 - no trace
        if self._loading.get(model) is scope:
            del self._loading[model]
