"""What a requested name means. PURE.

    asked ── the active profile's pin ──▶ requested ── a selector's choice ──▶ requested ──▶ local model, by id or alias
                                                                                       └───▶ peer's model

Each step is taken once: what a pin or a selector names is not looked up among pins again. Source: compatibility
specification 2.11-2.13, 5.8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from app.config.catalog import Catalog, Model, PeerModel, Profile, Selector
from app.errors import NotFound
from app.routing.selectors import Reservations
from planners.protocol import ModelId

NO_MODEL = "no model id could be identified"
UNKNOWN_MODEL = "no router for requested model"

Choose = Callable[[Selector, Catalog], str]
"""Returns the target of a selector for this request."""


class ActiveProfile:
    """Which profile is in force; none at the start and after a reload. One for the whole application."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: Profile | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """All that decides what a name means at this moment. One for the whole application."""

    catalog: Callable[[], Catalog]
    """Returns the configuration in force."""
    profile: ActiveProfile
    reservations: Reservations


class Resolution(NamedTuple):
    """What a name means for one request."""

    model: Model | PeerModel
    requested: str
    """The name after the profile and the selector had their say."""
    selector: Selector | None
    """The one that has chosen, and is to be told of the end of the request."""


def resolve(catalog: Catalog, profile: Profile | None, asked: str, choose: Choose) -> Resolution:
    """Returns what *asked* means. Raises NotFound, and what *choose* raises.

    profile: the active one.
    """
    name = asked if profile is None else profile.pins.get(asked, asked)
    if not name:
        raise NotFound(NO_MODEL)
    # First what nearly every request names. No selector is called like a model.
    model = catalog.models.get(ModelId(name))
    if model is not None:
        return Resolution(model, name, None)
    selector = catalog.selectors.get(name)
    if selector is not None:
        name = choose(selector, catalog)
    target = find(catalog, name)
    if target is None:
        raise NotFound(UNKNOWN_MODEL)
    return Resolution(target, name, selector)


def find(catalog: Catalog, name: str) -> Model | PeerModel | None:
    """Returns the local model called *name*, else the peer's, else None."""
    model = catalog.resolve(name)
    return catalog.resolve_peer(name) if model is None else catalog.models[model]
