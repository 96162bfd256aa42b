from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import send_bytes
from app.middleware.cors import Preflight
from tests.asgi import call

pytestmark = pytest.mark.anyio


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    await send_bytes(send, 200, b"inner")


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere", "/upstream/a/b", "//x"])
async def test_preflight_is_answered_on_any_path(path: str) -> None:
    reply = await call(Preflight(inner), "OPTIONS", path)

    assert (reply.status, reply.body, reply.complete) == (204, b"", True)
    assert reply.headers == [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (b"access-control-allow-headers", b"Content-Type, Authorization, Accept, X-Requested-With"),
        (b"access-control-max-age", b"86400"),
    ]


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (b"x-stainless-os,authorization", "x-stainless-os, authorization"),
        (b" X-A ,,\tx-b", "X-A, x-b"),
        (b"x y, x:y, ok, x\xe9", "ok"),
        (b"x y", ""),
        (b"", "Content-Type, Authorization, Accept, X-Requested-With"),
    ],
)
async def test_headers_that_can_be_headers_are_allowed(asked: bytes, allowed: str) -> None:
    reply = await call(Preflight(inner), "OPTIONS", headers=[(b"access-control-request-headers", asked)])

    assert reply.header("access-control-allow-headers") == allowed


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_other_methods_pass_with_nothing_added(method: str) -> None:
    reply = await call(Preflight(inner), method, headers=[(b"origin", b"http://evil")])

    assert reply.body == b"inner"
    assert [name for name, _ in reply.headers] == [b"content-type", b"content-length"]
