"""`GET /api/performance`: the last hour of the machine. Source: compatibility specification 7.4; ours beyond it: docs/monitoring.md."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
from starlette.routing import Route

from app.asgi import send_bytes
from app.errors import RequestError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.telemetry.performance import Performance

JSON = b"application/json"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def routes(performance: Performance) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/performance", ShowPerformance(performance), methods=["GET"])]


class ShowPerformance:
    """ASGI endpoint: samples, oldest first; with `?after=` those that are later."""

    def __init__(self, performance: Performance) -> None:
        self._performance = performance

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers. Raises RequestError."""
        if not self._performance.is_on:
            await send_bytes(send, 503, b'{"enabled":false}', JSON)
            return
        after = _after(scope["query_string"])
        # An hour of a machine with many cards is megabytes.
        body = await anyio.to_thread.run_sync(self._performance.document, after)
        await send_bytes(send, 200, body, JSON)


def _after(query: bytes) -> datetime | None:
    text = parse_qs(query.decode("latin-1")).get("after", [""])[0]
    if not text:
        return None
    try:
        if _RFC3339.fullmatch(text) is None:
            raise ValueError(text)
        return datetime.fromisoformat(text)
    except ValueError:
        raise RequestError("invalid 'after' timestamp, use RFC3339 format") from None
