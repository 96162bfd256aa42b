"""At most so many requests of one model at once, waiting ones included; the rest is told to come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.config.catalog import PeerModel
from app.errors import TooManyRequests
from app.exchange import exchange_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from planners.protocol import ModelId


class Admitted:
    """How many requests of each model are inside. One for the whole application."""

    def __init__(self) -> None:
        self._counts: dict[ModelId, int] = {}

    def enter(self, model: ModelId, limit: int) -> None:
        """Lets one more in. Raises TooManyRequests when *limit* are inside."""
        count = self._counts.get(model, 0)
        if count >= limit:
            raise TooManyRequests("Too many requests")
        self._counts[model] = count + 1

    def leave(self, model: ModelId) -> None:
        """Lets one out."""
        count = self._counts[model] - 1
        if count:
            self._counts[model] = count
        else:
            del self._counts[model]

    def counts(self) -> Mapping[ModelId, int]:
        """Returns the counts as they are now; models without requests are not in it."""
        return dict(self._counts)


class ConcurrencyLimit:
    """ASGI layer; stands before the queue, so the scheduler never sees a refused request."""

    def __init__(self, app: ASGIApp, admitted: Admitted) -> None:
        self._app = app
        self._admitted = admitted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises TooManyRequests."""
        model = exchange_of(scope).model
        if isinstance(model, PeerModel):
            # Whoever serves it has limits of its own.
            await self._app(scope, receive, send)
            return
        self._admitted.enter(model.id, model.concurrency_limit)
        try:
            await self._app(scope, receive, send)
        finally:
            self._admitted.leave(model.id)
