"""Profiles: which there are, and which one is in force. Source: compatibility specification 3.10."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.routing import Route

from app.asgi import read_body, send_json
from app.errors import NotFound, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, Profile
    from app.routing.resolve import Routing

BODY_LIMIT = 64 << 10
"""Longest body that can hold a profile's name, in bytes."""


def routes(routing: Routing, on_change: Callable[[], None] | None = None) -> list[Route]:
    """Returns the routes of this module. on_change: called when another profile is in force."""
    return [
        Route("/api/profiles", ProfileList(routing), methods=["GET"]),
        Route("/api/profiles/active", Activation(routing, on_change), methods=["PUT"]),
    ]


class ProfileList:
    """ASGI endpoint: every profile, by id, and the one in force."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        profiles = self._routing.catalog().profiles
        document = {
            **_active(self._routing.profile.current),
            "profiles": [
                {"id": name, "description": profile.description, "pins": dict(sorted(profile.pins.items()))}
                for name, profile in sorted(profiles.items())
            ],
        }
        await send_json(send, document)


class Activation:
    """ASGI endpoint: puts a profile in force, or none. It holds until the next one, or a reload, or the end."""

    def __init__(self, routing: Routing, on_change: Callable[[], None] | None = None) -> None:
        self._routing = routing
        self._on_change = on_change

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answers with what is in force then. Raises RequestError, NotFound; then everything stays as it was."""
        body = await read_body(receive, limit=BODY_LIMIT)
        # Nothing awaits from here to the assignment: it is a profile of the configuration in force.
        chosen = wanted(self._routing.catalog(), body.data)
        self._routing.profile.current = chosen
        if self._on_change is not None:
            self._on_change()
        await send_json(send, _active(chosen))


def wanted(catalog: Catalog, body: bytes) -> Profile | None:
    """Returns the profile that *body* names, None for none. Raises RequestError, NotFound."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("invalid profile request") from None
    # Go, which existing clients were written against, reads null as an object without members.
    if not isinstance(document, dict | None):
        raise RequestError("invalid profile request")
    if not document or "name" not in document:
        raise RequestError("profile name is required")
    name = document["name"]
    if not isinstance(name, str | None):
        raise RequestError("profile name must be a string or null")
    if not name:
        return None
    if name not in catalog.profiles:
        # Half a surrogate pair is a string in JSON, and nothing that could be sent back.
        quoted = json.dumps(name, ensure_ascii=False).encode("utf-8", "replace").decode()
        raise NotFound(f"profile {quoted} not found")
    return catalog.profiles[name]


def _active(profile: Profile | None) -> dict[str, object]:
    return {"active": None if profile is None else profile.id}
