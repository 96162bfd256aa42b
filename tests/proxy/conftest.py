"""Every asynchronous test here runs on both event loops: uvloop is what serves, asyncio is what it is measured against."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Names the event loop."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})
