"""Finds out which model a request is for, and makes the exchange that everything further in works on.

The body goes through as it came, but for two things: the model's name where it means something else to who will serve it, and
the filters of that model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.asgi import IN_MEMORY, JSON_LIMIT, Body, header, read_body
from app.config.catalog import Model, PeerModel
from app.errors import HostlerError
from app.exchange import ASKED, KEY, Exchange
from app.routing import filters, forms, json_body
from app.routing.asked import Asked
from app.routing.resolve import Routing, resolve
from planners.protocol import ModelId

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from app.config.catalog import Selector


class Resolve:
    """ASGI layer of the endpoints that name a model in their body or query."""

    def __init__(
        self,
        app: ASGIApp,
        routing: Routing,
        *,
        path: str,
        in_query: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares for one endpoint.

        path: what the upstream is asked for.
        in_query: whether the model is named in the query string instead of the body.
        """
        self._app = app
        self._routing = routing
        self._path = path
        self._in_query = in_query
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request. Raises NotFound, TooLarge or RequestError when no model can be told, Unavailable."""
        arrived_at = self._clock()
        routing = self._routing
        catalog = routing.catalog()
        profile = routing.profile.current
        query: bytes = scope["query_string"]
        in_query = self._in_query
        kind = b"" if in_query else header(scope, b"content-type").lower()
        # `in` would take ten times as long: it tries to take what it looks for as a number first.
        is_multipart = kind.find(b"multipart/form-data") >= 0
        if in_query or is_multipart:
            # Mostly a file that nobody here looks into.
            body = await read_body(receive, in_memory=IN_MEMORY)
        else:
            body = await read_body(receive, limit=JSON_LIMIT)
        selector: Selector | None = None
        try:
            rename: Rename
            if in_query:
                its, rename = forms.asked_by_query(query), _rename_in_query
            elif is_multipart:
                its, rename = await _look_into_parts(header(scope, b"content-type"), body, query)
            elif kind.find(b"json") >= 0 or body.data.lstrip()[:1] == b"{":
                # Many a script sends JSON under curl's default content type.
                its, rename = json_body.asked(body.data), _rename_in_json
            else:
                its, rename = forms.asked_by_form(body.data, query), _rename_in_form
            is_json = rename is _rename_in_json
            asked = requested = its.model
            model: Model | PeerModel | None = None if profile is not None else catalog.models.get(ModelId(asked))
            # Nearly every request names a model of ours, and no profile is in force.
            if model is None:
                try:
                    model, requested, selector = resolve(catalog, profile, asked, routing.reservations.choose)
                except HostlerError:
                    scope[ASKED] = asked
                    raise
            if isinstance(model, PeerModel):
                changes = model.peer.filters
                if model.name != asked:
                    body, query = rename(model.name, body, query)
                query = forms.without_malformed(query)
            else:
                changes = model.filters
                name_there = requested
                if model.use_model_name and (is_json or is_multipart):
                    name_there = model.use_model_name
                if name_there != asked:
                    body, query = rename(name_there, body, query)
            if is_json and changes:
                body = Body(filters.apply(body.data, changes, requested))
            scope[KEY] = Exchange(
                catalog, asked, requested, model, its.streaming, body, self._path, query, arrived_at,
                "" if selector is None else selector.id,
            )  # fmt: skip
            await self._app(scope, receive, send)
        finally:
            if selector is not None:
                routing.reservations.release(selector, requested)
            body.close()


Rename = Callable[[str, Body, bytes], tuple[Body, bytes]]
"""Returns body and query with another model's name where they name one."""


def _rename_in_query(name: str, body: Body, query: bytes) -> tuple[Body, bytes]:
    return body, forms.replace_model(query, name)


def _rename_in_json(name: str, body: Body, query: bytes) -> tuple[Body, bytes]:
    return Body(json_body.replace_model(body.data, name)), query


def _rename_in_form(name: str, body: Body, query: bytes) -> tuple[Body, bytes]:
    renamed = forms.replace_model(body.data, name)
    return (Body(renamed), query) if renamed != body.data else (body, forms.replace_model(query, name))


async def _look_into_parts(content_type: bytes, body: Body, query: bytes) -> tuple[Asked, Rename]:
    """Returns what a multipart body asks for, and what renames the model there."""
    scan = forms.Multipart(forms.boundary_of(content_type.decode("latin-1")))
    async for chunk in body.chunks():
        scan.feed(chunk)
    scan.finish()

    def rename(name: str, body: Body, query: bytes) -> tuple[Body, bytes]:
        places = [(field.start, field.end, name.encode()) for field in scan.fields if field.name == "model"]
        return (body.spliced(places), query) if places else _rename_in_query(name, body, query)

    return scan.asked(query), rename
