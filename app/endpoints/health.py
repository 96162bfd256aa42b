"""Whether Hostler itself answers; says nothing of any model. Source: compatibility specification 3.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from app.asgi import send_bytes

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


def routes() -> list[Route]:
    """Returns the routes of this module."""
    endpoint = Health()
    return [Route(path, endpoint, methods=["GET"]) for path in ("/health", "/wol-health")]


class Health:
    """ASGI endpoint: `OK`, always."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_bytes(send, 200, b"OK")
