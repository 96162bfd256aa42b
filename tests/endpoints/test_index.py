"""The page at the root."""

from __future__ import annotations

import pytest

from app.endpoints.index import routes
from tests.asgi import call
from tests.fakes import catalog, model

pytestmark = pytest.mark.anyio


async def test_it_names_the_models_harmlessly_and_leaves_out_the_unlisted() -> None:
    config = catalog(model("<b>", description="a & b"), model("hidden", unlisted=True))
    reply = await call(routes(lambda: config)[0].app)
    page = reply.body.decode()

    assert reply.status == 200
    assert "&lt;b&gt;" in page
    assert "a &amp; b" in page
    assert "<b>" not in page
    assert "hidden" not in page
