"""The root, and the page for want of one."""

from __future__ import annotations

import pytest

from app.endpoints.index import routes, unmade_page
from tests.asgi import call
from tests.fakes import catalog, model

pytestmark = pytest.mark.anyio


async def test_root_sends_to_the_page() -> None:
    reply = await call(routes()[0].app)

    assert (reply.status, reply.header("location")) == (302, "/ui")
    assert reply.body == b'<a href="/ui">Found</a>.\n\n'


def test_stand_in_names_the_models_harmlessly_and_leaves_out_the_unlisted() -> None:
    page = unmade_page(catalog(model("<b>'", description="a & b"), model("hidden", unlisted=True))).decode()

    assert "&lt;b&gt;&#x27;" in page
    assert "href='/upstream/%3Cb%3E%27/'" in page
    assert "a &amp; b" in page
    assert "<b>" not in page
    assert "hidden" not in page


def test_stand_in_says_how_the_page_is_made() -> None:
    page = unmade_page(catalog()).decode()

    assert "<code>make ui</code>" in page
    assert "none is configured" in page
