"""`GET /api/models/{model}`: all that the page of one model shows, secrets left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import send_bytes, send_error, send_json
from app.endpoints.models import abilities, plain
from app.errors import NotFound
from app.middleware.paths import NO_SNIFF
from app.scheduler.instances import ModelView, Phase
from app.telemetry.redact_command import is_secret_name, redacted_command
from app.telemetry.residency import told
from planners.protocol import Explains

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, Model
    from app.scheduler.history import History
    from app.scheduler.instances import SchedulerView
    from app.telemetry.residency import Residency


class Stands(Protocol):
    """Knows how models stand; the supervisor."""

    @property
    def history(self) -> History:
        """What has been learned of their times."""

    def view(self) -> SchedulerView:
        """Returns how they stand."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what is told comes from."""

    current: Callable[[], Catalog]
    """Gives the configuration in force."""
    stands: Stands
    residency: Residency
    roots: Callable[[], Mapping[str, int]]
    """Returns the main process of each model that runs here."""
    memory: Callable[[str, int], dict[str, object] | None]
    """Returns what the processes of a model, by name and main process, use; None: nobody has looked since they started."""
    clock: Callable[[], float] = time.monotonic
    """The one that *stands* lives by."""
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)


def routes(sources: Sources) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/models/{model:path}", ShowModel(sources), methods=["GET"])]


class ShowModel:
    """ASGI endpoint: one model, by id or alias."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        catalog = self._sources.current()
        asked: str = scope["path_params"]["model"]
        name = catalog.resolve(asked)
        if name is None:
            if asked == "unload" or asked.startswith(("load/", "unload/")):
                # A path of its own, with another method.
                await send_bytes(send, 405, b"Method Not Allowed\n", headers=[(b"allow", b"POST"), *NO_SNIFF])
            else:
                await send_error(scope, send, NotFound("model not found"))
            return
        await send_json(send, self._document(catalog, catalog.models[name]))

    def _document(self, catalog: Catalog, model: Model) -> dict[str, object]:
        launch = model.spec.launch
        secrets = _secrets(catalog, model)
        learned = self._sources.stands.history.of(model.id)
        planner = catalog.planner
        return {
            "id": model.id,
            "name": model.name,
            "description": model.description,
            "aliases": list(model.aliases),
            "unlisted": model.unlisted,
            **self._standing(model, self._sources.stands.view().models.get(model.id) or ModelView(Phase.STOPPED)),
            "process": self._process(model),
            "learned": {
                "load_ms": _ms(learned.load_s),
                "stop_ms": _ms(learned.stop_s),
                "request_ms": _ms(learned.request_s),
            },
            "cmd": redacted_command(model.cmd, secrets),
            "cmd_stop": redacted_command(" ".join(launch.stop_argv), secrets),
            "env": list(dict.fromkeys(pair.partition("=")[0] for pair in launch.env)),
            "proxy": redacted_command(model.spec.base_url, secrets),
            "check_endpoint": model.spec.check_endpoint,
            "health_check_timeout_s": model.spec.health_check_timeout_s,
            "unload_timeout_s": launch.grace_s,
            "ttl_s": model.ttl_s,
            "priority": model.priority,
            "concurrency_limit": model.concurrency_limit,
            "use_model_name": model.use_model_name,
            "send_loading_state": model.send_loading_state,
            "capabilities": abilities(model.capabilities),
            "inputs": list(model.capabilities.inputs),
            "outputs": list(model.capabilities.outputs),
            "context_length": model.capabilities.context,
            "metadata": plain(model.metadata),
            "preload": model.id in catalog.preload,
            "rules": list(planner.rules(model.id)) if isinstance(planner, Explains) else [],
        }

    def _standing(self, model: Model, seen: ModelView) -> dict[str, object]:
        now = self._sources.clock()
        wall = self._sources.wall()

        def told_then(moment: float) -> str:
            return told(wall + timedelta(seconds=moment - now))

        is_idle = seen.phase is Phase.READY and not seen.leases
        return {
            "state": seen.phase.value,
            "since": told_then(seen.since) if seen.generation else None,
            "started_at": self._sources.residency.started_at(model.id),
            "idle_since": told_then(seen.idle_since) if is_idle else None,
            "unloads_at": told_then(seen.idle_since + model.ttl_s) if is_idle and model.ttl_s > 0 else None,
            "in_flight": seen.leases,
            "waiting": seen.waiting,
            "failure": seen.failure,
            "retry_in_ms": round(max(seen.retry_at - now, 0.0) * 1000),
        }

    def _process(self, model: Model) -> dict[str, object] | None:
        pid = self._sources.roots().get(model.id)
        if pid is None:
            return None
        return {"pid": pid, "port": model.spec.launch.port, "memory": self._sources.memory(model.id, pid)}


def _secrets(catalog: Catalog, model: Model) -> set[str]:
    """Returns what is known to be secret: keys of clients and peers, and variables that are called so."""
    pairs = [pair.partition("=") for pair in model.spec.launch.env]
    return {
        *catalog.api_keys,
        *(peer.api_key for peer in catalog.peers.values()),
        *(value for name, _, value in pairs if is_secret_name(name)),
    }


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
