"""`/comfyui/…`: the pages of ComfyUI, which know nothing of a prefix but their own root.

Only the root loads the model. A page that stays open asks for other paths for ever; they would load it again as soon as it
had been swapped away. Source: compatibility specification 3.13.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.routing import Route

from app.asgi import IN_MEMORY, read_body
from app.config.build import COMFYUI
from app.config.catalog import Catalog
from app.errors import Conflict, NotFound
from app.exchange import KEY, Exchange
from app.middleware.paths import send_redirect
from app.supervisor.supervisor import Supervisor
from planners.protocol import ModelId

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/comfyui"


class ComfyUI:
    """Serves the one model, whatever profile is active."""

    def __init__(
        self,
        app: ASGIApp,
        current: Callable[[], Catalog],
        supervisor: Supervisor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._current = current
        self._supervisor = supervisor
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises NotFound without such a model, Conflict when it is not ready and may not be loaded."""
        arrived_at = self._clock()
        root: str = scope.get("root_path", "")
        raw = scope["raw_path"].decode("latin-1").removeprefix(root)
        prefix, slash, rest = raw.removeprefix("/").partition("/")
        if unquote(prefix) != PREFIX[1:]:
            # A slash that is only an encoded one: no path of ours.
            raise NotFound("404 page not found")
        if not slash:
            # 308 keeps the method and the body of what is not a page visit.
            status = 301 if scope["method"] in {"GET", "HEAD"} else 308
            await send_redirect(scope, send, status, f"{root}{PREFIX}/".encode("latin-1"))
            return
        catalog = self._current()
        model = catalog.models.get(ModelId(COMFYUI))
        if model is None:
            raise NotFound(f"local model {COMFYUI} not found")

        def check_ready() -> None:
            if rest and self._supervisor.running(model.id) is None:
                raise Conflict(f"model {COMFYUI} is not loaded; only {PREFIX}/ can start it")

        check_ready()
        body = await read_body(receive, in_memory=IN_MEMORY)
        try:
            # Again: an upload takes its time.
            check_ready()
            query = scope["query_string"]
            scope[KEY] = Exchange(catalog, COMFYUI, COMFYUI, model, False, body, f"/{rest}", query, arrived_at)
            await self._app(scope, receive, send)
        finally:
            body.close()


def routes(serve: ASGIApp, current: Callable[[], Catalog], supervisor: Supervisor) -> list[Route]:
    """Returns the routes of this module."""
    endpoint = ComfyUI(serve, current, supervisor)
    return [Route(PREFIX, endpoint), Route(PREFIX + "/{rest:path}", endpoint)]
