"""At most so many requests of one model at once, waiting ones included; the rest is told to come back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from app.config.catalog import PeerModel
from app.errors import TooManyRequests
from app.exchange import KEY, Exchange

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.supervisor.supervisor import Supervisor
    from planners.protocol import ModelId

LONGEST_S = 600
"""The most that `Retry-After` says, in seconds: an estimate for longer is none."""

RetryAfter = Callable[["ModelId", int], int]
"""Returns, for a model and the number of its requests inside, in how many seconds there is likely to be room for another."""


class Admitted:
    """How many requests of each model are inside. One for the whole application."""

    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside: dict[ModelId, int] = {}
        """Models without requests are not in it. Only `ConcurrencyLimit` changes it."""

    def counts(self) -> Mapping[ModelId, int]:
        """Returns the counts as they are now; models without requests are not in it."""
        return dict(self.inside)


class ConcurrencyLimit:
    """ASGI layer; stands before the queue, so the scheduler never sees a refused request."""

    def __init__(self, app: ASGIApp, admitted: Admitted, retry_after: RetryAfter) -> None:
        self._app = app
        self._admitted = admitted
        self._retry_after = retry_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises TooManyRequests."""
        exchange: Exchange = scope[KEY]
        model = exchange.model
        if isinstance(model, PeerModel):
            # Whoever serves it has limits of its own.
            await self._app(scope, receive, send)
            return
        name = model.id
        inside = self._admitted.inside
        count = inside.get(name, 0)
        if count >= model.concurrency_limit:
            raise TooManyRequests("Too many requests", self._retry_after(name, model.concurrency_limit))
        inside[name] = count + 1
        try:
            await self._app(scope, receive, send)
        finally:
            count = inside[name]
            if count > 1:
                inside[name] = count - 1
            else:
                del inside[name]


def room_in_s(supervisor: Supervisor, model: ModelId, inside: int) -> int:
    """Returns in how many seconds one of *inside* requests of *model* will have ended, by what has been learned of it.

    From 1, which is also the answer when nothing is known, to LONGEST_S. Cheap: who is refused comes again and again.
    """
    try:
        wait_s = supervisor.wait_s(model)
    except KeyError:
        # Resolved a moment ago, and then taken out of the configuration by a reload.
        return 1
    # Who need not wait is served beside all the others; otherwise perhaps nobody is being served yet.
    serving = max(inside, 1) if wait_s == 0 else 1
    learned_s = supervisor.history.of(model).request_s
    return min(max(math.ceil((wait_s or 0.0) + (learned_s or 0.0) / serving), 1), LONGEST_S)
