from __future__ import annotations

import json

import pytest
from starlette.routing import Router

from app.config.catalog import Catalog, Profile
from app.endpoints.profiles import routes
from app.middleware.errors import ErrorBoundary
from app.routing.resolve import Routing
from tests.asgi import Reply, call
from tests.endpoints.catalogs import catalog, model, routing

pytestmark = pytest.mark.anyio

PROF = Profile("prof", "d", {"pinx": "a", "dis": ""})
OTHER = Profile("other <&> ö", "", {"x": "a"})
CATALOG = catalog(model("a"), profiles=[PROF, OTHER])


async def get(meaning: Routing) -> bytes:
    return (await call(ErrorBoundary(Router(routes(meaning))), path="/api/profiles")).body


async def put(meaning: Routing, body: bytes | list[bytes]) -> Reply:
    return await call(ErrorBoundary(Router(routes(meaning))), "PUT", "/api/profiles/active", body=body)


async def test_list_is_the_golden_sample() -> None:
    """A1 of the specification."""
    meaning = routing(lambda: catalog(model("a"), profiles=[PROF]))

    assert await get(meaning) == (
        b'{"active":null,"profiles":[{"id":"prof","description":"d","pins":{"dis":"","pinx":"a"}}]}\n'
    )


async def test_list_is_sorted_and_tells_which_is_active() -> None:
    assert json.loads(await get(routing(lambda: CATALOG, PROF))) == {
        "active": "prof",
        "profiles": [
            {"id": "other <&> ö", "description": "", "pins": {"x": "a"}},
            {"id": "prof", "description": "d", "pins": {"dis": "", "pinx": "a"}},
        ],
    }


async def test_list_of_none_is_a_list() -> None:
    assert await get(routing(catalog)) == b'{"active":null,"profiles":[]}\n'


async def test_profile_is_put_in_force() -> None:
    """A7 of the specification tells the length."""
    meaning = routing(lambda: CATALOG)

    reply = await put(meaning, [b'{"na', b'me":"prof"}'])

    assert (reply.status, reply.body, reply.header("content-length")) == (200, b'{"active":"prof"}\n', "18")
    assert reply.header("content-type") == "application/json"
    assert meaning.profile.current is PROF


@pytest.mark.parametrize("body", [b'{"name": null}', b'{"name": ""}'])
async def test_no_profile_is_put_in_force(body: bytes) -> None:
    meaning = routing(lambda: CATALOG, PROF)

    assert (await put(meaning, body)).body == b'{"active":null}\n'
    assert meaning.profile.current is None


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "invalid profile request"),
        (b"{", 400, "invalid profile request"),
        (b"[]", 400, "invalid profile request"),
        (b'"prof"', 400, "invalid profile request"),
        (b'{"name":"\xff"}', 400, "invalid profile request"),
        (b"[" * 50_000, 400, "invalid profile request"),
        (b"null", 400, "profile name is required"),
        (b"{}", 400, "profile name is required"),
        (b'{"id":"prof"}', 400, "profile name is required"),
        (b'{"name":5}', 400, "profile name must be a string or null"),
        (b'{"name":["prof"]}', 400, "profile name must be a string or null"),
        (b'{"name":"x"}', 404, 'profile "x" not found'),
        (b'{"name":"a\\"b"}', 404, 'profile "a\\"b" not found'),
        ('{"name":"ö"}'.encode(), 404, 'profile "ö" not found'),
        (b'{"name":"\\ud800"}', 404, 'profile "?" not found'),
    ],
)
async def test_request_that_cannot_be_followed_changes_nothing(body: bytes, status: int, message: str) -> None:
    meaning = routing(lambda: CATALOG, PROF)

    reply = await put(meaning, body)

    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (status, message)
    assert meaning.profile.current is PROF


async def test_long_body_is_refused() -> None:
    assert (await put(routing(lambda: CATALOG), b" " * (64 << 10) + b"{}")).status == 413


async def test_profile_is_one_of_the_configuration_that_is_in_force_when_the_body_is_there() -> None:
    """A reload while the request arrives must not leave a profile of the old configuration behind."""
    catalogs: list[Catalog] = [CATALOG]
    meaning = routing(lambda: catalogs[-1])
    parts = [b'{"name"', b':"prof"}']

    async def receive() -> dict[str, object]:
        part = parts.pop(0)
        if not parts:
            catalogs.append(catalog())
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    reply = Reply()

    async def send(message: dict[str, object]) -> None:
        reply.messages.append(message)

    scope = {"type": "http", "method": "PUT", "path": "/api/profiles/active", "headers": [], "root_path": ""}
    await ErrorBoundary(Router(routes(meaning)))(scope, receive, send)  # type: ignore[arg-type]

    assert reply.messages[0]["status"] == 404
    assert meaning.profile.current is None
