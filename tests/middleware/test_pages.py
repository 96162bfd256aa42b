"""What there is on the port of models' own pages."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from app.asgi import send_bytes
from app.middleware.pages import PagesPort
from app.proxy.sandbox import UNCONFINED
from tests.asgi import Reply, call

pytestmark = pytest.mark.anyio


class Inner:
    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send_bytes(send, 200, b"free" if UNCONFINED in scope else b"confined")


async def ask(path: str, server: tuple[str, int | None] | None) -> Reply:
    return await call(PagesPort(Inner(), 8081), path=path, extra={"server": server}, headers=[(b"host", b"box:8081")])


@pytest.mark.parametrize("path", ["/upstream/a/", "/upstream/a/v1/models", "/comfyui", "/comfyui/", "/comfyui/ws"])
async def test_pages_of_models_are_free_there(path: str) -> None:
    assert (await ask(path, ("10.0.0.1", 8081))).body == b"free"


@pytest.mark.parametrize(
    "path", ["/", "/ui/", "/api/events", "/v1/models", "/unload", "/upstream", "/comfyuix", "/health"]
)
async def test_nothing_else_is_there(path: str) -> None:
    assert (await ask(path, ("10.0.0.1", 8081))).status == 404


@pytest.mark.parametrize("server", [("10.0.0.1", 8080), ("/run/socket", None), None])
@pytest.mark.parametrize("path", ["/upstream/a/", "/api/events"])
async def test_elsewhere_all_is_as_ever_whatever_host_the_client_names(
    path: str, server: tuple[str, int | None] | None
) -> None:
    assert (await ask(path, server)).body == b"confined"


async def test_websocket_of_ours_is_refused_there() -> None:
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/api/x", "server": ("10.0.0.1", 8081), "headers": []}
    await PagesPort(Inner(), 8081)(scope, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]
