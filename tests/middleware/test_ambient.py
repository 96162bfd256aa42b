"""Pages of others control nothing by the hand of a visitor."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.asgi import send_bytes
from app.config.catalog import Catalog
from app.middleware.ambient import shield
from app.middleware.auth import guard
from app.middleware.paths import Dispatch
from tests.asgi import Reply, call
from tests.fakes import catalog

pytestmark = pytest.mark.anyio

BASIC = (b"authorization", b"Basic " + b64encode(b"user:key"))
BEARER = (b"authorization", b"Bearer key")
CROSS = (b"sec-fetch-site", b"cross-site")
HOST = (b"host", b"box:8080")


class Done:
    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_bytes(send, 200, b"done")


CONTROL = [
    ("POST", "/api/models/unload"),
    ("PUT", "/api/profiles/active"),
    ("POST", "/api/config/reload"),
    ("GET", "/unload"),
]
OTHERS = [("GET", "/api/events"), ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/ui/")]


async def ask(method: str, path: str, *headers: tuple[bytes, bytes], keys: tuple[str, ...] = ()) -> Reply:
    routes = [Route(at, Done(), methods=[how]) for how, at in (*CONTROL, *OTHERS)]
    config: Catalog = replace(catalog(), api_keys=keys)
    app = Dispatch(guard(shield(routes, lambda: config), lambda: config), Done())
    return await call(app, method, path, headers)


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
@pytest.mark.parametrize("keys", [(), ("key",)])
async def test_page_of_another_origin_changes_nothing(
    method: str, path: str, site: bytes, keys: tuple[str, ...]
) -> None:
    reply = await ask(method, path, BASIC, (b"sec-fetch-site", site), keys=keys)

    assert reply.status == 403
    assert b"another origin" in reply.body


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize("site", [b"same-origin", b"none"])
async def test_our_page_and_what_is_typed_change_what_they_like(method: str, path: str, site: bytes) -> None:
    assert (await ask(method, path, BASIC, (b"sec-fetch-site", site), keys=("key",))).status == 200


@pytest.mark.parametrize(("method", "path"), CONTROL)
async def test_program_that_knows_nothing_of_pages_is_served(method: str, path: str) -> None:
    assert (await ask(method, path, BASIC, keys=("key",))).status == 200


@pytest.mark.parametrize("origin", [b"null", b"http://evil.example", b"http://box:8081", b"http://box"])
async def test_where_only_the_origin_is_told_it_has_to_be_ours(origin: bytes) -> None:
    """Over plain HTTP to another machine browsers say no more. `null` is what the confined page of an upstream says."""
    assert (await ask("POST", "/api/models/unload", HOST, (b"origin", origin))).status == 403


async def test_our_own_origin_is_known_by_the_host_that_was_asked() -> None:
    assert (await ask("POST", "/api/models/unload", HOST, (b"origin", b"http://box:8080"))).status == 200


@pytest.mark.parametrize("shown", [BEARER, (b"x-api-key", b"key")])
async def test_page_that_knows_a_key_itself_is_let_through(shown: tuple[bytes, bytes]) -> None:
    assert (await ask("POST", "/api/models/unload", CROSS, shown, keys=("key",))).status == 200


async def test_key_that_is_none_opens_nothing() -> None:
    """Without keys in the configuration any page could make one up."""
    assert (await ask("POST", "/api/models/unload", CROSS, BEARER)).status == 403


async def test_key_beside_the_remembered_one_does_not_count() -> None:
    reply = await ask("POST", "/api/models/unload", CROSS, BASIC, (b"x-api-key", b"made up"), keys=("key",))

    assert reply.status == 403


@pytest.mark.parametrize(("method", "path"), OTHERS)
async def test_what_changes_nothing_is_served_to_every_page(method: str, path: str) -> None:
    assert (await ask(method, path, CROSS)).status == 200
