"""`GET /api/hardware`: what the machine is and has. Source: compatibility specification 7.6."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.routing import Route

from app.asgi import send_error, send_json
from app.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

logger = logging.getLogger(__name__)

PATIENCE_S = 12.0
"""Seconds that a client waits who asks before the machine has been looked at: that is limited to 10 itself."""


class Hardware:
    """ASGI endpoint, and the one look at the machine that it tells of."""

    def __init__(
        self,
        look: Callable[[], Mapping[str, object]],
        stop: Callable[[], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Prepares.

        look: returns the document; called once, in a worker thread, and may take its time. stop: has it end early.
        """
        self._look = look
        self._stop = stop
        self._patience_s = patience_s
        # of the run
        self._done = anyio.Event()
        self._document: Mapping[str, object] | None = None

    def routes(self) -> list[Route]:
        """Returns the routes of this module."""
        return [Route("/api/hardware", self, methods=["GET"])]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks at the machine meanwhile. Nothing that was started for it is left afterwards."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._run, name="hardware inventory")
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                self._stop()

    async def _run(self) -> None:
        try:
            self._document = await anyio.to_thread.run_sync(self._look, abandon_on_cancel=True)
        except Exception:
            logger.exception("the hardware cannot be told")
        finally:
            self._done.set()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers, as soon as there is something to tell."""
        with anyio.move_on_after(self._patience_s):
            await self._done.wait()
        if self._document is None:
            await send_error(scope, send, Unavailable("the hardware is not known; the log says why"))
        else:
            await send_json(send, self._document)
