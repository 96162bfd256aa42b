"""Which Hostler this is. Source: compatibility specification 1.1, 3.5."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from starlette.routing import Route

from app import __build_date__, __commit__, __version__
from app.asgi import send_json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Build:
    """What is being run. The order of the fields is part of the format."""

    build_date: str = __build_date__
    commit: str = __commit__
    version: str = __version__


def routes(build: Build | None = None) -> list[Route]:
    """Returns the routes of this module."""
    return [Route("/api/version", Version(build or Build()), methods=["GET"])]


class Version:
    """ASGI endpoint: the version, its commit and the day it was built."""

    def __init__(self, build: Build) -> None:
        self._build = build

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_json(send, asdict(self._build))
