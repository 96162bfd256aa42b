"""What is running, and how to make it start and stop. Source: compatibility specification 3.5, 3.9, 5.10; the start is our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import IN_MEMORY, cancel_on_disconnect, read_body, send_bytes, send_error, send_json
from app.errors import NotFound
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog
    from app.scheduler.instances import SchedulerView
    from planners.protocol import ModelId


class Loader(Protocol):
    """Knows which models are up, can start and end them; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how things stand."""

    async def unload(self, models: Collection[ModelId] | None) -> None:
        """Ends *models*, all of them if None; returns when they are gone."""

    def lease(self, model: ModelId, *, insists: bool = False) -> AbstractAsyncContextManager[object]:
        """Returns what is entered when *model* is ready. insists: even if it has failed to start a moment ago."""


def routes(current: Callable[[], Catalog], loader: Loader) -> list[Route]:
    """Returns the routes of this module. current: gives the configuration in force."""
    return [
        Route("/running", Running(current, loader), methods=["GET"]),
        Route("/unload", UnloadAll(loader, as_json=False), methods=["GET"]),
        Route("/api/models/unload", UnloadAll(loader, as_json=True), methods=["POST"]),
        Route("/api/models/load/{model:path}", LoadOne(current, loader), methods=["POST"]),
        Route("/api/models/unload/{model:path}", UnloadOne(current, loader), methods=["POST"]),
    ]


class Running:
    """ASGI endpoint: every model that has a process, by id."""

    def __init__(self, current: Callable[[], Catalog], loader: Loader) -> None:
        self._current = current
        self._loader = loader

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers with how each model stands and what it was started with."""
        await send_json(send, {"running": running(self._current(), self._loader.view())})


def running(catalog: Catalog, view: SchedulerView) -> list[dict[str, object]]:
    """Returns the records of `/running`. The order of their fields is part of the format."""
    found: list[dict[str, object]] = []
    for name, seen in sorted(view.models.items()):
        if seen.phase is Phase.STOPPED:
            continue
        # None: a reload has taken it out of the configuration, and it is on its way out.
        model = catalog.models.get(name)
        found.append(
            {
                "model": name,
                "state": seen.phase.value,
                "cmd": model.cmd if model else "",
                "proxy": model.spec.base_url if model else "",
                "ttl": int(model.ttl_s) if model else 0,
                "name": model.name if model else "",
                "description": model.description if model else "",
            }
        )
    return found


class LoadOne:
    """ASGI endpoint: loads the model named in the path, by id or alias, and answers when it is ready.

    For an operator, so a failure a moment ago does not keep it from being tried. A client that leaves gives up its place in the queue.
    """

    def __init__(self, current: Callable[[], Catalog], loader: Loader) -> None:
        self._current = current
        self._loader = loader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Loads and answers. Raises StartFailed and what else keeps a model from being ready, ClientDisconnected."""
        model = self._current().resolve(scope["path_params"]["model"])
        if model is None:
            await send_error(scope, send, NotFound("model not found"))
            return
        # Nobody needs it, but only after it can be seen that the client has left.
        (await read_body(receive, limit=IN_MEMORY)).close()
        async with cancel_on_disconnect(receive, scope), self._loader.lease(model, insists=True):
            pass
        await send_json(send, {"msg": "ok"})


# The unload endpoints do not watch for the client leaving: what was asked for is done all the same.


class UnloadAll:
    """ASGI endpoint: ends every model, and answers when they are gone."""

    def __init__(self, loader: Loader, *, as_json: bool) -> None:
        self._loader = loader
        self._as_json = as_json

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Unloads and answers."""
        await self._loader.unload(None)
        if self._as_json:
            await send_json(send, {"msg": "ok"})
        else:
            await send_bytes(send, 200, b"OK")


class UnloadOne:
    """ASGI endpoint: ends the model named in the path, by id or alias, and answers when it is gone."""

    def __init__(self, current: Callable[[], Catalog], loader: Loader) -> None:
        self._current = current
        self._loader = loader

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Unloads and answers."""
        model = self._current().resolve(scope["path_params"]["model"])
        if model is None:
            await send_error(scope, send, NotFound("model not found"))
            return
        await self._loader.unload([model])
        await send_bytes(send, 200, b"OK")
