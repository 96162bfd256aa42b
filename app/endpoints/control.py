"""What is running, and how to make it stop. Source: compatibility specification 3.5, 3.9, 5.10."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import send_bytes, send_error, send_json
from app.errors import NotFound
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog
    from app.scheduler.instances import SchedulerView
    from planners.protocol import ModelId


class Unloader(Protocol):
    """Knows which models are up and can end them; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how things stand."""

    async def unload(self, models: Collection[ModelId] | None) -> None:
        """Ends *models*, all of them if None; returns when they are gone."""


def routes(current: Callable[[], Catalog], unloader: Unloader) -> list[Route]:
    """Returns the routes of this module. current: gives the configuration in force."""
    return [
        Route("/running", Running(current, unloader), methods=["GET"]),
        Route("/unload", UnloadAll(unloader, as_json=False), methods=["GET"]),
        Route("/api/models/unload", UnloadAll(unloader, as_json=True), methods=["POST"]),
        Route("/api/models/unload/{model:path}", UnloadOne(current, unloader), methods=["POST"]),
    ]


class Running:
    """ASGI endpoint: every model that has a process, by id."""

    def __init__(self, current: Callable[[], Catalog], unloader: Unloader) -> None:
        self._current = current
        self._unloader = unloader

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers with how each model stands and what it was started with."""
        await send_json(send, {"running": running(self._current(), self._unloader.view())})


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


# The unload endpoints do not watch for the client leaving: what was asked for is done all the same.


class UnloadAll:
    """ASGI endpoint: ends every model, and answers when they are gone."""

    def __init__(self, unloader: Unloader, *, as_json: bool) -> None:
        self._unloader = unloader
        self._as_json = as_json

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Unloads and answers."""
        await self._unloader.unload(None)
        if self._as_json:
            await send_json(send, {"msg": "ok"})
        else:
            await send_bytes(send, 200, b"OK")


class UnloadOne:
    """ASGI endpoint: ends the model named in the path, by id or alias, and answers when it is gone."""

    def __init__(self, current: Callable[[], Catalog], unloader: Unloader) -> None:
        self._current = current
        self._unloader = unloader

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Unloads and answers."""
        model = self._current().resolve(scope["path_params"]["model"])
        if model is None:
            await send_error(scope, send, NotFound("model not found"))
            return
        await self._unloader.unload([model])
        await send_bytes(send, 200, b"OK")
