"""Sets of names that mean something else while they are active. PURE. Rules: compatibility specification 2.11."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.config.catalog import PeerModel, Profile
from app.config.tree import nearest

if TYPE_CHECKING:
    from app.config.models import ConfigFile
    from app.config.routing import Names
    from app.config.tree import Document, Path


def profiles(document: Document, file: ConfigFile) -> dict[str, Profile]:
    """Returns the profiles by their ids, their targets unchecked. Raises ConfigError for one that is incomplete."""
    found = {}
    for profile, written in file.profiles.items():
        path: Path = ("profiles", profile)
        if not profile.strip():
            raise document.error(path, "a profile needs a name", 'write a name instead of ""')
        if not written.pins:
            raise document.error(path, "a profile needs pins", "write e.g. pins: {gpt-4o: llama}")
        for name in written.pins:
            if not name.strip():
                raise document.error((*path, "pins", name), "a pin needs a name", 'write a name instead of ""')
        found[profile] = Profile(profile, written.description.strip(), MappingProxyType(dict(written.pins)))
    return found


def check(
    document: Document,
    found: Mapping[str, Profile],
    names: Names,
    peer_models: Mapping[str, PeerModel],
    selectors: Collection[str],
) -> None:
    """Raises ConfigError if a pin takes the name of a peer's model, or means nothing that is there."""
    for profile in found.values():
        for name, target in profile.pins.items():
            path: Path = ("profiles", profile.id, "pins", name)
            model = peer_models.get(name)
            if model is not None and model.id == name:
                words = f'"{name}" is how the model of peer "{model.peer.id}" is asked for'
                raise document.error(path, words, "pin another name")
            if not target or names.resolve(target) is not None or target in peer_models or target in selectors:
                continue
            if target in profile.pins:
                words = f'"{target}" is a pin itself, and pins are followed once'
                raise document.error(path, words, f'write what "{target}" stands for')
            near = nearest(target, (*names.models, *names.aliases, *peer_models, *selectors))
            remedy = f"did you mean {near}?" if near else 'name a model or a selector, or write "" to disable the name'
            raise document.error(path, f'"{target}" is neither a model nor a selector', remedy)
