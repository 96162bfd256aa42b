"""Reloads of the configuration: by signal, by a changed file, by the API; one after the other, and none lost.

Theory of operation
-------------------
`run` is the only one who replaces the configuration. Whoever wants a reload joins the *round* that has not begun, so it sees
the files as they are after it asked; whoever comes during a round joins the next. A hundred that come at once are one round.

A round reads everything first, in a worker thread. What cannot be read changes nothing and is told to the log and to
everybody in the round. What can be read is taken over, by `take_over`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from app.config.active import ActiveConfig
from app.config.catalog import Catalog
from app.config.plan import ReloadPlan, plan
from app.errors import ConfigError, HostlerError

logger = logging.getLogger(__name__)


class _Round:
    """One reload, and everybody who waits for it."""

    __slots__ = ("done", "result", "wanted")

    def __init__(self) -> None:
        self.wanted = anyio.Event()
        self.done = anyio.Event()
        self.result: ReloadPlan | HostlerError | None = None
        """None until it is done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reload ended."""

    at: datetime
    result: ReloadPlan | HostlerError
    """What has changed, or why nothing has."""


class Reloads:
    """The owner of all reloads; see the top of this file."""

    def __init__(
        self,
        config: ActiveConfig,
        take_over: Callable[[Catalog], Awaitable[None]],
        on_done: Callable[[ReloadPlan | HostlerError], None] | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Does nothing until it runs.

        take_over: puts a catalog in force, everywhere, and raises nothing.
        on_done: told how each reload ended; must not raise.
        """
        self._config = config
        self._take_over = take_over
        self._on_done = on_done
        self._wall = wall
        self._next = _Round()
        self.last: Outcome | None = None
        """None until there has been one."""
        self.loaded_at = wall()
        """When the configuration in force was read."""

    def want(self) -> None:
        """Asks for a reload and does not wait for it."""
        self._next.wanted.set()

    async def reload(self) -> ReloadPlan:
        """Returns what a reload that began after this call has changed.

        Raises ConfigError if the files are wrong, and nothing has changed. A caller that gives up does not take the reload back.
        """
        its_round = self._next
        its_round.wanted.set()
        await its_round.done.wait()
        match its_round.result:
            case ReloadPlan() as done:
                return done
            case ConfigError(problem=problem):
                # Another one for each who waits: an exception collects the tracebacks of all who raise it.
                raise ConfigError(problem)
            case other:
                raise HostlerError(f"the reload failed, the old configuration stays: {other}")

    async def planned(self) -> ReloadPlan:
        """Returns what a reload would change now, and changes nothing. Raises ConfigError."""
        new = await anyio.to_thread.run_sync(self._config.read)
        return plan(self._config.current(), new)

    async def run(self) -> None:
        """Reloads whenever somebody wants it, until cancelled."""
        while True:
            await self._next.wanted.wait()
            # Replaced before the files are read: who comes from here on gets another round.
            current, self._next = self._next, _Round()
            current.result = await self._result()
            self.last = Outcome(self._wall(), current.result)
            if isinstance(current.result, ReloadPlan):
                self.loaded_at = self.last.at
            current.done.set()
            if self._on_done is not None:
                self._on_done(current.result)

    async def _result(self) -> ReloadPlan | HostlerError:
        try:
            new = await anyio.to_thread.run_sync(self._config.read)
        except ConfigError as exc:
            logger.error("the configuration was not reloaded, the old one stays: %s", exc)  # noqa: TRY400 - no trace
            return exc
        except Exception as exc:
            # Ours, not the operator's. It is no reason to end what runs.
            logger.exception("the configuration was not reloaded, the old one stays")
            return HostlerError(repr(exc))
        changes = plan(self._config.current(), new)
        await self._take_over(new)
        logger.info("the configuration was reloaded: %s", changes)
        for warning in new.warnings:
            logger.warning("%s", warning)
        return changes
