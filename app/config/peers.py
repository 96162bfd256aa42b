"""Other servers and what their models are called here. PURE. Rules: compatibility specification 2.13."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.config.addresses import address, timeouts
from app.config.catalog import Peer, PeerModel
from app.config.filters import filters

if TYPE_CHECKING:
    from app.config.models import ConfigFile
    from app.config.routing import Names
    from app.config.tree import Document, Path


def peers(document: Document, file: ConfigFile) -> dict[str, Peer]:
    """Returns the peers by their ids. Raises ConfigError for one that cannot be reached or has no models."""
    found = {}
    for peer, written in file.peers.items():
        path: Path = ("peers", peer)
        if not peer.strip():
            raise document.error(path, "a peer needs an id", 'write a name instead of ""')
        if not written.proxy.strip():
            raise document.error(path, "a peer needs a proxy", "write e.g. proxy: https://gpu-box:8080")
        where = address(document, (*path, "proxy"), written.proxy, "write e.g. proxy: https://gpu-box:8080")
        if not written.models:
            raise document.error(path, "a peer needs models", "name at least one of its models, e.g. models: [llama]")
        for position, name in enumerate(written.models):
            if not name.strip():
                raise document.error((*path, "models", position), "a model needs a name", 'write one instead of ""')
        if not (written.api_key.isascii() and (written.api_key.isprintable())):
            words = "a key has characters that cannot be sent in a header"
            raise document.error((*path, "apiKey"), words, "use letters, digits and punctuation of ASCII")
        found[peer] = Peer(
            id=peer,
            base_url=where.base_url,
            models=tuple(dict.fromkeys(written.models)),
            api_key=written.api_key,
            filters=filters(document, (*path, "filters"), written.filters),
            timeouts=timeouts(document, (*path, "timeouts"), written.timeouts),
        )
    return found


def peer_models(document: Document, found: Mapping[str, Peer], names: Names) -> dict[str, PeerModel]:
    """Returns every name that a request may ask for a peer's model by.

    Raises ConfigError when two mean the same, or when a local model is called like one of them.
    """
    models = [PeerModel(peer, name) for peer in found.values() for name in peer.models]
    qualified: dict[str, PeerModel] = {}
    for model in models:
        if (other := qualified.get(model.id)) is not None:
            raise document.error(
                ("peers", model.peer.id, "models", model.peer.models.index(model.name)),
                f'"{model.id}" would mean this model and one of peer "{other.peer.id}"',
                "rename one of the peers",
            )
        qualified[model.id] = model
    for name in (*names.models, *names.aliases):
        if (taken := qualified.get(name)) is not None:
            told = "the model" if name in names.models else f'an alias of model "{names.aliases[name]}"'
            raise document.error(
                ("models", names.resolve(name) or name),
                f'{told} is called "{name}", which is how the model of peer "{taken.peer.id}" is asked for',
                "rename one of them",
            )
    count = Counter(model.name for model in models)
    bare = {model.name: model for model in models if count[model.name] == 1}
    return {**bare, **qualified}
