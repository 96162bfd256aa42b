"""Conversations with the scheduler, written down as they should go.

    book = Playbook("ab")
    book >> Arrived(1, "a") << Start("a", 1)
    book >> Ready("a", 1) << Grant(1, "a", 1)

`>>` tells the scheduler an event, `<<` says the command that must come of it: all commands of an event, in order, so saying
nothing means that nothing may come. What came of an event is compared when the next one is told, when something is asked, or by
`end()`; the `play` fixture calls that. A mismatch shows the conversation so far. `Announce` is left out unless asked for.

The book has a clock of its own, which only `wait()` moves; models and groups are given by plain names.
"""

from __future__ import annotations

import unittest.mock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from app.scheduler import commands, events
from app.scheduler.core import Scheduler
from app.scheduler.events import Terms, Tick
from planners.groups import Group, GroupPlanner
from planners.protocol import ModelId

if TYPE_CHECKING:
    from app.scheduler.commands import Command, Refusal, StopCause
    from app.scheduler.events import Event
    from app.scheduler.instances import ModelView, Phase, QueuedView, SchedulerView
    from planners.protocol import SwapPlanner

ANY: Any = unittest.mock.ANY
"""Equal to everything."""

# The vocabulary: events and commands made of plain numbers and names.


def Arrived(ticket: int, model: str, *, insists: bool = False) -> events.Arrived:  # noqa: N802 - reads as the event it makes, and so below
    return events.Arrived(events.Ticket(ticket), ModelId(model), insists)


def Left(ticket: int) -> events.Left:  # noqa: N802
    return events.Left(events.Ticket(ticket))


def Ready(model: str, generation: int) -> events.Ready:  # noqa: N802
    return events.Ready(ModelId(model), generation)


def Ending(model: str, generation: int, reason: str) -> events.Ending:  # noqa: N802
    return events.Ending(ModelId(model), generation, reason)


def Exited(model: str, generation: int, reason: str = "exited with code 0") -> events.Exited:  # noqa: N802
    return events.Exited(ModelId(model), generation, reason)


def Unload(*models: str) -> events.Unload:  # noqa: N802
    """Of all models, if none is named."""
    return events.Unload(frozenset(map(ModelId, models)) if models else None)


def Reconfigured(  # noqa: N802
    models: Iterable[str] | Mapping[str, Terms], *groups: Group, **fairness: float
) -> events.Reconfigured:
    terms = _terms(models)
    return events.Reconfigured(terms, GroupPlanner(groups, terms), events.Fairness(**fairness))


def Grant(ticket: int, model: str, generation: int, swap_s: float = ANY) -> commands.Grant:  # noqa: N802
    """swap_s: not compared unless it is given."""
    return commands.Grant(events.Ticket(ticket), ModelId(model), generation, swap_s)


def Refuse(ticket: int, refusal: Refusal, detail: str = "", retry_after_s: float = ANY) -> commands.Refuse:  # noqa: N802
    """retry_after_s: not compared unless it is given."""
    return commands.Refuse(events.Ticket(ticket), refusal, detail, retry_after_s)


def Start(model: str, generation: int) -> commands.Start:  # noqa: N802
    return commands.Start(ModelId(model), generation)


def Stop(model: str, generation: int, cause: StopCause) -> commands.Stop:  # noqa: N802
    return commands.Stop(ModelId(model), generation, cause)


def Announce(  # noqa: N802
    model: str,
    phase: Phase,
    reason: str,
    cause: StopCause | None = ANY,
    room_for: ModelId | None = ANY,
    victims: tuple[ModelId, ...] = ANY,
) -> commands.Announce:
    """cause, room_for, victims: not compared unless they are given."""
    return commands.Announce(ModelId(model), phase, reason, cause, room_for, victims)


def group(name: str, members: str, *, swap: bool = True, exclusive: bool = True, persistent: bool = False) -> Group:
    """A group of models with names of one letter."""
    return Group(name, tuple(map(ModelId, members)), swap, exclusive, persistent)


class Playbook:
    """One scheduler, and what was said to it and by it."""

    def __init__(
        self,
        models: Iterable[str] | Mapping[str, Terms],
        *groups: Group,
        planner: SwapPlanner | None = None,
        announce: bool = False,
        **fairness: float,
    ) -> None:
        """models: names, or names with their terms; "abc" are three models. fairness: fields of Fairness."""
        terms = _terms(models)
        self.now = 1000.0
        self.scheduler = Scheduler(terms, planner or GroupPlanner(groups, terms), events.Fairness(**fairness))
        self._announce = announce
        self._steps: list[_Step] = []
        self._failed = False

    def __rshift__(self, event: Event) -> Self:
        """Tells the scheduler what has happened, now."""
        self.end()
        self._steps.append(_Step(self.now, _spoken(event), self._handle(event)))
        return self

    def __lshift__(self, command: Command) -> Self:
        """Says what must come of the last event or wait, next."""
        self._steps[-1].expected.append(command)
        return self

    def wait(self, seconds: float) -> Self:
        """Moves the clock; posts a Tick at each deadline on the way, as the supervisor does."""
        self.end()
        step = _Step(self.now, f"wait {seconds:g} s", [])
        self._steps.append(step)
        until = self.now + seconds
        while (deadline := self.scheduler.deadline) <= until:
            assert deadline > self.now, f"the deadline {deadline} is not after {self.now}\n{self}"
            self.now = deadline
            step.actual += self._handle(Tick())
        self.now = until
        return self

    def next_deadline(self) -> float | None:
        """Returns how many seconds from now a Tick is due; None: never."""
        self.end()
        deadline = self.scheduler.deadline
        return None if deadline == float("inf") else deadline - self.now

    def view(self) -> SchedulerView:
        self.end()
        return self.scheduler.view()

    def queue(self) -> list[QueuedView]:
        """Returns who waits, and why, as things are after the last event."""
        self.end()
        return self.scheduler.queue(self.now)

    def model(self, name: str) -> ModelView:
        """Returns how one model stands."""
        return self.view().models[ModelId(name)]

    def end(self) -> None:
        """Fails if what came of the last event is not what was said to come."""
        __tracebackhide__ = True
        if not self._failed and self._steps and self._steps[-1].actual != self._steps[-1].expected:
            self._failed = True  # once is enough: the fixture asks again
            raise AssertionError(f"the conversation went another way (- expected, + came)\n{self}")

    def __str__(self) -> str:
        return "\n".join(line for step in self._steps for line in step.lines())

    def _handle(self, event: Event) -> list[Command]:
        said = self.scheduler.handle(event, self.now)
        return [command for command in said if self._announce or not isinstance(command, commands.Announce)]


@dataclass(slots=True)
class _Step:
    """One event and what came of it."""

    at: float
    said: str
    actual: list[Command]
    expected: list[Command] = field(default_factory=list)

    def lines(self) -> list[str]:
        same = 0
        for actual, expected in zip(self.actual, self.expected, strict=False):
            if actual != expected:
                break
            same += 1
        return [
            f"  {self.at - 1000:7.3f} >> {self.said}",
            *(f"          << {_spoken(command)}" for command in self.actual[:same]),
            *(f"-         << {_spoken(command)}" for command in self.expected[same:]),
            *(f"+         << {_spoken(command)}" for command in self.actual[same:]),
        ]


def _terms(models: Iterable[str] | Mapping[str, Terms]) -> dict[ModelId, Terms]:
    if isinstance(models, Mapping):
        return {ModelId(model): terms for model, terms in models.items()}
    return {ModelId(model): Terms() for model in models}


def _spoken(said: Event | Command) -> str:
    """Returns an event or a command as it is written in a playbook, without the fields that say nothing of note."""
    spoken = [(getattr(said, each.name), each.default) for each in fields(said)]
    values: Sequence[object] = [value for value, default in spoken if value is not ANY and value != default]
    shown = [value.name if isinstance(value, Enum) else repr(value) for value in values]
    return f"{type(said).__name__}({', '.join(shown)})"
