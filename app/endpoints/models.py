"""The list of models, as OpenAI clients and existing dashboards know it. Source: compatibility specification 3.8."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route

from app.asgi import header, send_json
from app.config.catalog import Capabilities, Model, PeerModel, Strategy
from app.routing.resolve import find
from app.routing.selectors import is_up, phase_of
from app.scheduler.instances import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from app.config.catalog import Catalog, Profile, Selector
    from app.routing.resolve import Routing
    from app.scheduler.instances import SchedulerView


class Residents(Protocol):
    """Knows which models are up; the supervisor."""

    def view(self) -> SchedulerView:
        """Returns how things stand."""


NOTHING_DECLARED = Capabilities()

DECLARED = ("architecture", "capabilities", "supported_parameters", "context_length")
"""Fields of a record that capabilities decide, and metadata does not."""


def routes(routing: Routing, residents: Residents) -> list[Route]:
    """Returns the routes of this module."""
    endpoint = ModelList(routing, residents)
    return [Route(path, endpoint, methods=["GET"]) for path in ("/v1/models", "/models")]


class ModelList:
    """ASGI endpoint: every name that a client may ask for and that is listed, by name."""

    def __init__(self, routing: Routing, residents: Residents) -> None:
        self._routing = routing
        self._residents = residents

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answers; a page of any origin may read the answer, as the reference allows for this list alone."""
        created = int(datetime.now(UTC).timestamp())
        found = records(self._routing.catalog(), self._residents.view(), created, profile=self._routing.profile.current)
        origin = header(scope, b"origin")
        headers = [(b"access-control-allow-origin", origin)] if origin else ()
        await send_json(send, {"data": found, "object": "list"}, headers=headers)


def records(
    catalog: Catalog, view: SchedulerView, created: int, profile: Profile | None = None
) -> list[dict[str, object]]:
    """Returns the list's records, sorted by id.

    created: seconds since 1970.
    profile: the active one.
    """
    return [_record(entry, created) for entry in sorted(_entries(catalog, view, profile), key=attrgetter("id"))]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is told of one name."""

    id: str
    is_loaded: bool
    what_it_is: Mapping[str, object]
    name: str = ""
    description: str = ""
    capabilities: Capabilities = NOTHING_DECLARED
    metadata: Mapping[str, object] = field(default_factory=dict)


def _entries(catalog: Catalog, view: SchedulerView, profile: Profile | None) -> Iterator[_Entry]:
    for model in catalog.models.values():
        if not model.unlisted:
            yield _of_model(
                catalog, view, model, {"type": "model", **({"aliases": list(model.aliases)} if model.aliases else {})}
            )
            if catalog.include_aliases_in_list:
                for alias in model.aliases:
                    yield replace(_of_model(catalog, view, model, {"type": "alias", "modelID": model.id}), id=alias)
    for peer in catalog.peers.values():
        for name in peer.models:
            yield _of_peer(PeerModel(peer, name), {"type": "peer", "peerID": peer.id})
    for selector in catalog.selectors.values():
        if not selector.unlisted:
            what_it_is = {
                "type": "selector",
                "strategy": selector.strategy.value,
                "targets": list(selector.targets),
                **({"spillover": selector.spillover} if selector.strategy is Strategy.SPILLOVER else {}),
            }
            yield _of_selector(catalog, view, selector, what_it_is)
    for pin, target in () if profile is None else profile.pins.items():
        known = catalog.resolve(pin) is not None or pin in catalog.selectors or _is_full_name(catalog, pin)
        if target and not known:
            yield replace(_of_target(catalog, view, target, {"type": "profile"}), id=pin)


def _of_model(catalog: Catalog, view: SchedulerView, model: Model, what_it_is: Mapping[str, object]) -> _Entry:
    is_loaded = phase_of(catalog, view.models, model.id) is not Phase.STOPPED
    return _Entry(model.id, is_loaded, what_it_is, model.name, model.description, model.capabilities, model.metadata)


def _of_peer(model: PeerModel, what_it_is: Mapping[str, object]) -> _Entry:
    # Whether it is loaded there is not known here.
    return _Entry(model.id, False, what_it_is, f"{model.peer.id}: {model.name}")


def _of_selector(catalog: Catalog, view: SchedulerView, selector: Selector, what_it_is: Mapping[str, object]) -> _Entry:
    is_loaded = is_up(selector, catalog, view.models)
    return _Entry(selector.id, is_loaded, what_it_is, selector.name, selector.description, metadata=selector.metadata)


def _of_target(catalog: Catalog, view: SchedulerView, target: str, what_it_is: Mapping[str, object]) -> _Entry:
    """Returns what is told of a pin that means *target*: what is told of that."""
    selector = catalog.selectors.get(target)
    if selector is not None:
        return _of_selector(catalog, view, selector, what_it_is)
    model = find(catalog, target)
    assert model is not None, "targets of pins are checked when they are read"
    if isinstance(model, PeerModel):
        return _of_peer(model, what_it_is)
    return _of_model(catalog, view, model, what_it_is)


def _is_full_name(catalog: Catalog, name: str) -> bool:
    model = catalog.resolve_peer(name)
    return model is not None and model.id == name


def _record(entry: _Entry, created: int) -> dict[str, object]:
    """Returns one record. The order of its fields is part of the format; empty ones are left out."""
    declared = entry.capabilities
    metadata = dict(entry.metadata)
    if declared != NOTHING_DECLARED:
        for declared_field in DECLARED:
            metadata.pop(declared_field, None)
    record: dict[str, object] = {
        "id": entry.id,
        "object": "model",
        "created": created,
        "owned_by": "llama-swap",
        "name": entry.name,
        "description": entry.description,
        "architecture": _architecture(declared),
        "capabilities": abilities(declared),
        "supported_parameters": ["tools", "tool_choice"] if declared.tools else [],
        "context_length": declared.context,
        "meta": {
            "llamaswap": plain({**metadata, **entry.what_it_is}),
            **({"n_ctx": declared.context} if declared.context else {}),
        },
        "status": {"value": "loaded" if entry.is_loaded else "unloaded"},
    }
    return {key: value for key, value in record.items() if value}


def _architecture(declared: Capabilities) -> dict[str, object]:
    found: dict[str, object] = {}
    if declared.inputs:
        found["input_modalities"] = list(declared.inputs)
    if declared.inputs and declared.outputs:
        found["modality"] = f"{'+'.join(declared.inputs)}->{'+'.join(declared.outputs)}"
    if declared.outputs:
        found["output_modalities"] = list(declared.outputs)
    return found


def abilities(declared: Capabilities) -> dict[str, bool]:
    """Returns what a model can do by the names that clients look for; only what is true, in the order of the names."""
    takes, gives = declared.inputs, declared.outputs
    able = {
        "audio_speech": "text" in takes and "audio" in gives,
        "audio_transcriptions": "audio" in takes and "text" in gives,
        "function_calling": declared.tools,
        "image_generation": "text" in takes and "image" in gives,
        "image_to_image": "image" in takes and "image" in gives,
        "reranker": declared.reranker,
        "vision": "image" in takes,
    }
    return {name: True for name, can in able.items() if can}


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
