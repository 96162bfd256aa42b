from __future__ import annotations

import pytest
from starlette.routing import Router

from app.endpoints.health import routes
from tests.asgi import call

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/health", "/wol-health"])
async def test_health_is_ok(path: str) -> None:
    reply = await call(Router(routes()), path=path)

    assert (reply.status, reply.body, reply.complete) == (200, b"OK", True)
    assert reply.header("content-type") == "text/plain; charset=utf-8"
