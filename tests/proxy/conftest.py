"""Every asynchronous test here runs on both event loops: uvloop is what serves, asyncio is what it is measured against."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Names the event loop."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port on which connecting neither succeeds nor fails."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()
