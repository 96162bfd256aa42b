"""`GET /`: what a person sees who opens the URL in a browser."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from starlette.routing import Route

from app import __version__
from app.asgi import send_bytes
from app.config.catalog import Catalog

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PAGES = (
    ("/v1/models", "the models"),
    ("/running", "those that are loaded"),
    ("/logs", "the log"),
    ("/logs/stream", "the log as it grows"),
    ("/health", "whether Hostler answers"),
    ("/api/version", "its version"),
)


def routes(current: Callable[[], Catalog]) -> list[Route]:
    """Returns the route of this module. current: gives the configuration in force."""
    return [Route("/", Index(current), methods=["GET"])]


class Index:
    """ASGI endpoint: a page that says what is here and where."""

    def __init__(self, current: Callable[[], Catalog]) -> None:
        self._current = current

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers."""
        models = "".join(
            f"<li><a href='/upstream/{escape(model.id, quote=True)}/'>{escape(model.id)}</a> {escape(model.description)}"
            for model in self._current().models.values()
            if not model.unlisted
        )
        pages = "".join(f"<li><a href='{path}'>{path}</a> {what}" for path, what in _PAGES)
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>Hostler</title><h1>Hostler {__version__}</h1>"
            "<p>Point OpenAI and Anthropic clients at this address; a model is loaded when it is asked for.</p>"
            f"<h2>Models</h2><ul>{models}</ul><h2>Pages</h2><ul>{pages}</ul></html>\n"
        )
        headers = [(b"content-security-policy", b"default-src 'none'"), (b"x-content-type-options", b"nosniff")]
        await send_bytes(send, 200, page.encode(), b"text/html; charset=utf-8", headers)
