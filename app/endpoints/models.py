"""The list of models, as OpenAI clients and existing dashboards know it. Source: compatibility specification 3.8."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import header, send_json
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, Model
    from app.scheduler.instances import SchedulerView


class Residents(Protocol):
    """Knows which models are up; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how things stand."""


def routes(current: Callable[[], Catalog], residents: Residents) -> list[Route]:
    """Returns the routes of this module. current: gives the configuration in force."""
    endpoint = ModelList(current, residents)
    return [Route(path, endpoint, methods=["GET"]) for path in ("/v1/models", "/models")]


class ModelList:
    """ASGI endpoint: every listed model, by id."""

    def __init__(self, current: Callable[[], Catalog], residents: Residents) -> None:
        self._current = current
        self._residents = residents

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers; a page of any origin may read the answer, as the reference allows for this list alone."""
        created = int(datetime.now(UTC).timestamp())
        document = {"data": records(self._current(), self._residents.view(), created), "object": "list"}
        origin = header(scope, b"origin")
        await send_json(send, document, headers=[(b"access-control-allow-origin", origin)] if origin else ())


def records(catalog: Catalog, view: SchedulerView, created: int) -> list[dict[str, object]]:
    """Returns the list's records, sorted by id. created: seconds since 1970."""
    found: dict[str, dict[str, object]] = {}
    for model in catalog.models.values():
        if model.unlisted:
            continue
        known = view.models.get(model.id)
        loaded = known is not None and known.phase is not Phase.STOPPED
        what_it_is: dict[str, object] = {"type": "model"}
        if model.aliases:
            what_it_is["aliases"] = list(model.aliases)
        found[model.id] = _record(model, model.id, what_it_is, created, loaded=loaded)
        if catalog.include_aliases_in_list:
            for alias in model.aliases:
                found[alias] = _record(model, alias, {"type": "alias", "modelID": model.id}, created, loaded=loaded)
    return [found[name] for name in sorted(found)]


def _record(model: Model, name: str, what_it_is: dict[str, object], created: int, *, loaded: bool) -> dict[str, object]:
    """Returns one record. The order of its fields is part of the format; empty ones are left out."""
    record: dict[str, object] = {"id": name, "object": "model", "created": created, "owned_by": "llama-swap"}
    if model.name:
        record["name"] = model.name
    if model.description:
        record["description"] = model.description
    record["meta"] = {"llamaswap": plain({**model.metadata, **what_it_is})}
    record["status"] = {"value": "loaded" if loaded else "unloaded"}
    return record


def plain(value: object) -> object:
    """Returns *value*, anything a YAML file can hold, as JSON can hold it, and as Go would write it: keys in order."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() and abs(value) < 1e21 else value
        case Mapping():
            return {key: plain(member) for key, member in sorted(_named(value), key=itemgetter(0))}
        case list() | tuple() | set() | frozenset():
            return [plain(member) for member in value]
        case _:
            return str(value)


def _named(mapping: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    return ((str(key), member) for key, member in mapping.items())
