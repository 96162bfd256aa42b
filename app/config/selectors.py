"""Names that stand for one of several models. PURE. Rules: compatibility specification 2.12."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.config.catalog import PeerModel, Selector, Strategy
from app.config.tree import nearest

if TYPE_CHECKING:
    from app.config.models import ConfigFile
    from app.config.routing import Names
    from app.config.tree import Document, Path
    from planners.protocol import ModelId, SwapPlanner


def selectors(document: Document, file: ConfigFile) -> dict[str, Selector]:
    """Returns the selectors by their ids, their targets unchecked. Raises ConfigError for one that is incomplete."""
    found = {}
    for selector, written in file.selectors.items():
        path: Path = ("selectors", selector)
        if not selector.strip():
            raise document.error(path, "a selector needs an id", 'write a name instead of ""')
        known = {strategy.value: strategy for strategy in Strategy}
        if written.strategy not in known:
            got = f'got "{written.strategy}"' if written.strategy else "it has none"
            where = (*path, "strategy") if written.strategy else path
            words = f"a selector needs a strategy: warm, pin or spillover; {got}"
            raise document.error(where, words, "write e.g. strategy: warm")
        if not written.targets:
            raise document.error(path, "a selector needs targets", "name at least one model, e.g. targets: [llama]")
        strategy = known[written.strategy]
        if strategy is Strategy.SPILLOVER and written.settings.spillover < 1:
            raise document.error(
                (*path, "settings", "spillover"),
                f"expected 1 or more, got {written.settings.spillover}",
                "write spillover: 1",
            )
        found[selector] = Selector(
            id=selector,
            strategy=strategy,
            targets=tuple(written.targets),
            spillover=written.settings.spillover,
            name=written.name.strip(),
            description=written.description.strip(),
            unlisted=written.unlisted,
            metadata=MappingProxyType(dict(written.metadata)),
        )
    return found


def check(
    document: Document,
    found: Mapping[str, Selector],
    names: Names,
    peer_models: Mapping[str, PeerModel],
    planner: SwapPlanner,
) -> None:
    """Raises ConfigError if a selector takes another's name, or has a target that it cannot choose."""
    for selector in found.values():
        path: Path = ("selectors", selector.id)
        local = names.resolve(selector.id)
        if local is not None:
            told = "a model" if selector.id == local else f'an alias of model "{local}"'
            raise document.error(path, f'"{selector.id}" is {told} already', "give the selector another name")
        peer_model = peer_models.get(selector.id)
        if peer_model is not None and peer_model.id == selector.id:
            words = f'"{selector.id}" is how the model of peer "{peer_model.peer.id}" is asked for'
            raise document.error(path, words, "give the selector another name")
        _check_targets(document, selector, found, names, peer_models)
        if selector.strategy is Strategy.SPILLOVER:
            _check_spillover(document, selector, names, peer_models, planner)


def _check_targets(
    document: Document,
    selector: Selector,
    found: Mapping[str, Selector],
    names: Names,
    peer_models: Mapping[str, PeerModel],
) -> None:
    for position, target in enumerate(selector.targets):
        path: Path = ("selectors", selector.id, "targets", position)
        if target in found:
            words = f'"{target}" is a selector; the targets of one are models'
            raise document.error(path, words, "name that one's targets here")
        if names.resolve(target) is not None:
            continue
        if target not in peer_models:
            near = nearest(target, (*names.models, *names.aliases, *peer_models))
            remedy = f"did you mean {near}?" if near else "name a key of models, an alias, or peer/model"
            raise document.error(path, f'"{target}" is neither a model nor one of a peer', remedy)
        if selector.strategy is Strategy.WARM:
            words = f'"{target}" is a peer\'s model, and it is not known whether that is loaded'
            raise document.error(path, words, "take it out, or write strategy: spillover")


def _check_spillover(
    document: Document,
    selector: Selector,
    names: Names,
    peer_models: Mapping[str, PeerModel],
    planner: SwapPlanner,
) -> None:
    seen: dict[str, str] = {}
    locals_: list[ModelId] = []
    for position, target in enumerate(selector.targets):
        model = names.resolve(target)
        # A peer's qualified name is no local model's, so one set of texts will do.
        meant = peer_models[target].id if model is None else str(model)
        if meant in seen:
            path: Path = ("selectors", selector.id, "targets", position)
            raise document.error(path, f'"{target}" and "{seen[meant]}" are the same model', "keep one of them")
        seen[meant] = target
        if model is not None:
            locals_.append(model)
    # The planner is asked instead of the groups, so that this holds for every planner.
    together = frozenset(locals_)
    for model in locals_:
        evicted = planner.evictions(model, together - {model}).evict
        if evicted:
            words = f'its local targets cannot run together: starting "{model}" unloads "{min(evicted)}"'
            remedy = "put them into one group with swap: false, or into one set of the matrix"
            raise document.error(("selectors", selector.id, "targets"), words, remedy)
