"""Who waits, for which model, and since when. Only the scheduler changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.scheduler.events import Terms, Ticket
    from planners.protocol import ModelId

_NEVER = float("inf")


class Queue:
    """Tickets, by model and in the order of their arrival. Every question costs nothing or a step for each model, not for each ticket."""

    def __init__(self) -> None:
        self.waiting: dict[ModelId, dict[Ticket, float]] = {}
        """Tickets and their arrival times, oldest first; a model without any has no entry. Others only look whether it is empty."""
        self._models: dict[Ticket, ModelId] = {}

        # the last order, good until another ticket is the first of its model, or until `overdue_at`
        self._order: list[ModelId] | None = None
        self.overdue = 0
        """How many of its models have a ticket that has waited for the patience; they stand in front."""
        self.overdue_at = _NEVER
        """When the next model's first ticket will have waited for the patience; true after `order`."""

    def __len__(self) -> int:
        """Returns the number of tickets."""
        return len(self._models)

    def __contains__(self, model: ModelId) -> bool:
        """Whether anybody waits for *model*."""
        return model in self.waiting

    def __iter__(self) -> Iterator[ModelId]:
        """Yields the models that are waited for, in no order that means anything."""
        return iter(self.waiting)

    @property
    def models(self) -> int:
        """How many models are waited for."""
        return len(self.waiting)

    def add(self, ticket: Ticket, model: ModelId, now: float) -> bool:
        """Lets a ticket wait; returns whether it is the first of its model."""
        self._models[ticket] = model
        tickets = self.waiting.get(model)
        if tickets is not None:
            tickets[ticket] = now
            return False
        self.waiting[model] = {ticket: now}
        self._order = None
        return True

    def model_of(self, ticket: Ticket) -> ModelId | None:
        """Returns what *ticket* waits for; None: it does not wait."""
        return self._models.get(ticket)

    def tickets(self, model: ModelId) -> Mapping[Ticket, float]:
        """Returns the tickets of *model* and when they arrived, oldest first."""
        return self.waiting.get(model, {})

    def head(self, model: ModelId) -> tuple[Ticket, float]:
        """Returns the oldest ticket of *model* and when it arrived."""
        return next(iter(self.waiting[model].items()))

    def remove(self, ticket: Ticket) -> bool:
        """Takes one ticket out; returns whether it was the first of its model."""
        model = self._models.pop(ticket)
        tickets = self.waiting[model]
        was_first = next(iter(tickets)) == ticket
        del tickets[ticket]
        if was_first:
            self._order = None
            if not tickets:
                del self.waiting[model]
        return was_first

    def order(self, terms: Mapping[ModelId, Terms], patience_s: float, now: float) -> list[ModelId]:
        """Returns the models that are waited for, the one to be served first in front.

        Those whose oldest ticket has waited for *patience_s* come first, by its age; then the others, by priority and age.
        """
        if self._order is not None and now < self.overdue_at:
            return self._order
        overdue: list[tuple[Ticket, ModelId]] = []
        patient: list[tuple[int, Ticket, ModelId]] = []
        self.overdue_at = _NEVER
        for model, tickets in self.waiting.items():
            ticket, since = next(iter(tickets.items()))
            end = since + patience_s
            if now >= end:
                overdue.append((ticket, model))
            else:
                patient.append((-terms[model].priority, ticket, model))
                self.overdue_at = min(self.overdue_at, end)
        overdue.sort()
        patient.sort()
        self.overdue = len(overdue)
        self._order = [model for _, model in overdue] + [model for _, _, model in patient]
        return self._order

    def forget_order(self) -> None:
        """Says that terms or patience are others now."""
        self._order = None
