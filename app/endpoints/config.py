"""The configuration, reloaded on demand."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

from starlette.routing import Route

from app.asgi import send_json
from app.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.config.plan import ReloadPlan
    from app.errors import Problem


class Reloader(Protocol):
    """Reloads the configuration; `app.reload.Reloads`."""

    async def reload(self) -> ReloadPlan:
        """Reloads and returns what has changed. Raises ConfigError."""

    async def planned(self) -> ReloadPlan:
        """Returns what a reload would change. Raises ConfigError."""


def routes(reloader: Reloader) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/config/reload", Reload(reloader), methods=["POST"])]


class Reload:
    """ASGI endpoint: takes over what the configuration files say now; with `?dry_run=1` only tells what that would change.

    It does not watch for the client leaving: what was asked for is done all the same.
    """

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Reloads and answers: 422 for a configuration that cannot be used, which has changed nothing."""
        only_planned = _is_dry_run(scope["query_string"])
        try:
            changes = await (self._reloader.planned() if only_planned else self._reloader.reload())
        except ConfigError as exc:
            await send_json(send, _told(exc.problem), status=422)
            return
        await send_json(send, {"reloaded": not only_planned, "plan": asdict(changes)})


def _is_dry_run(query: bytes) -> bool:
    """Whether *query* has `dry_run`, unless it says no: in doubt nothing is changed."""
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("dry_run")
    return values is not None and values[0].lower() not in {"0", "false", "no", "off"}


def _told(problem: Problem) -> dict[str, object]:
    error = {
        "message": str(problem),
        "type": "invalid_request_error",
        "param": problem.path or None,
        "code": "config_error",
    }
    return {"src": "llama-swap", "error": error, "problem": asdict(problem)}
