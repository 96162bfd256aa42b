"""`GET /api/residency`: which models came and went in the last hour, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.routing import Route

from app.asgi import send_bytes
from app.errors import RequestError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from app.telemetry.residency import Residency

_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


def routes(residency: Residency) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/residency", ShowResidency(residency), methods=["GET"])]


class ShowResidency:
    """ASGI endpoint: changes, oldest first; with `?after=` those that came after the one with this id."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers. Raises RequestError."""
        text = parse_qs(scope["query_string"].decode("latin-1")).get("after", ["0"])[0]
        if _ID.fullmatch(text) is None:
            raise RequestError("'after' is the id of a change, as GET /api/residency lists them")
        await send_bytes(send, 200, self._residency.document(int(text)), b"application/json")
