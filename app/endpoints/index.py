"""`GET /`, and the page that stands in for the one at `/ui/` where that is not made."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.routing import Route

from app import __version__
from app.config.catalog import Catalog
from app.middleware.paths import send_redirect

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PAGES = (
    ("/v1/models", "the models"),
    ("/running", "those that are loaded"),
    ("/logs/stream", "the log as it grows"),
    ("/metrics", "figures for Prometheus"),
    ("/health", "whether Hostler answers"),
    ("/api/version", "its version"),
)


def routes() -> list[Route]:
    """Returns the route of this module."""
    return [Route("/", Index(), methods=["GET"])]


class Index:
    """ASGI endpoint: sends to the page."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        await send_redirect(scope, send, 302, f"{scope.get('root_path', '')}/ui".encode("latin-1"))


def unmade_page(catalog: Catalog) -> bytes:
    """Returns a page that says how the real one is made, and what is here all the same, in the real one's styles if they are there."""
    models = "".join(
        f"<li><a href='/upstream/{escape(quote(model.id), quote=True)}/'>{escape(model.id)}</a> {escape(model.description)}"
        for model in catalog.models.values()
        if not model.unlisted
    )
    pages = "".join(f"<li><a href='{path}'>{path}</a> {what}" for path, what in _PAGES)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<meta name=color-scheme content='light dark'>"
        "<link rel=icon href=/ui/favicon.svg><link rel=stylesheet href=/ui/styles/tokens.css>"
        "<link rel=stylesheet href=/ui/styles/base.css><link rel=stylesheet href=/ui/styles/unmade.css>"
        f"<title>Hostler</title><main class=unmade><h1>Hostler {__version__}</h1>"
        "<p>The web page is not made yet: parts of it come from npm and are not in the source.</p>"
        "<p>Run <code>make ui</code> in the folder of the source (it brings Node.js itself, if the machine has none), and load this "
        "page again; there is no need to start Hostler anew. If Hostler was installed from there by <code>pip install</code>, install "
        "it once more after that. A wheel made by <code>make wheel</code> and the Docker image have all of it on board.</p>"
        "<p>All else works: point OpenAI and Anthropic clients at this address; a model is loaded when it is asked for.</p>"
        f"<h2>Models</h2><ul>{models or '<li>none is configured'}</ul><h2>Also here</h2><ul>{pages}</ul></main></html>\n"
    ).encode()
