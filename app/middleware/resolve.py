"""Finds out which model a request is for, and makes the exchange that everything further in works on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.asgi import IN_MEMORY, JSON_LIMIT, Body, header, read_body
from app.config.catalog import Catalog, Model
from app.errors import NotFound
from app.exchange import KEY, Exchange
from app.routing import forms, json_body
from app.routing.asked import Asked

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

NO_MODEL = "no model id could be identified"
UNKNOWN_MODEL = "no router for requested model"


class Resolve:
    """ASGI layer of the endpoints that name a model in their body or query."""

    def __init__(
        self,
        app: ASGIApp,
        current: Callable[[], Catalog],
        *,
        path: str,
        in_query: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares for one endpoint.

        current: returns the configuration in force.
        path: what the upstream is asked for.
        in_query: whether the model is named in the query string instead of the body.
        """
        self._app = app
        self._current = current
        self._path = path
        self._in_query = in_query
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises NotFound, TooLarge or RequestError when no model can be told."""
        arrived_at = self._clock()
        catalog = self._current()
        content_type = b"" if self._in_query else header(scope, b"content-type")
        if self._in_query or _is_multipart(content_type):
            # Mostly a file that nobody here looks into.
            body = await read_body(receive, in_memory=IN_MEMORY)
        else:
            body = await read_body(receive, limit=JSON_LIMIT)
        try:
            asked, rewrite = await _look_into(scope, body, content_type, in_query=self._in_query)
            model = _find(catalog, asked.model)
            if model.use_model_name and rewrite is not None:
                body = rewrite(model.use_model_name)
            scope[KEY] = Exchange(catalog, asked.model, model, asked.streaming, body, self._path, arrived_at)
            await self._app(scope, receive, send)
        finally:
            body.close()


Rewrite = Callable[[str], Body]
"""Returns the body with another model's name in it."""


async def _look_into(scope: Scope, body: Body, content_type: bytes, *, in_query: bool) -> tuple[Asked, Rewrite | None]:
    query = scope["query_string"]
    if in_query:
        return forms.asked_by_query(query), None
    if _is_multipart(content_type):
        scan = forms.Multipart(forms.boundary_of(content_type.decode("latin-1")))
        async for chunk in body.chunks():
            scan.feed(chunk)
        scan.finish()

        def rewrite(name: str) -> Body:
            return body.spliced([(f.start, f.end, name.encode()) for f in scan.fields if f.name == "model"])

        return scan.asked(query), rewrite
    # Many a script sends JSON under curl's default content type.
    if b"json" in content_type.lower() or body.data.lstrip()[:1] == b"{":
        return json_body.asked(body.data), lambda name: Body(json_body.replace_model(body.data, name))
    return forms.asked_by_form(body.data, query), None


def _is_multipart(content_type: bytes) -> bool:
    return b"multipart/form-data" in content_type.lower()


def _find(catalog: Catalog, name: str) -> Model:
    if not name:
        raise NotFound(NO_MODEL)
    model = catalog.resolve(name)
    if model is None:
        raise NotFound(UNKNOWN_MODEL)
    return catalog.models[model]
