from __future__ import annotations

import json

import pytest
from starlette.routing import Router

from app import __version__
from app.endpoints.version import Build, routes
from tests.asgi import call

pytestmark = pytest.mark.anyio


async def test_version_is_that_of_the_package() -> None:
    reply = await call(Router(routes()), path="/api/version")

    assert reply.status == 200
    assert json.loads(reply.body) == {"build_date": "unknown", "commit": "unknown", "version": __version__}


async def test_build_is_told_in_the_known_order() -> None:
    reply = await call(Router(routes(Build("2026-11-22T10:00:00Z", "abcd123", "1.2.3"))), path="/api/version")

    assert reply.body == b'{"build_date":"2026-11-22T10:00:00Z","commit":"abcd123","version":"1.2.3"}\n'
