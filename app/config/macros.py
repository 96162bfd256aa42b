"""Macros: `${name}` in values, `${MODEL_ID}`, `${PORT}`; and what is left over. PURE.

The rules, from the compatibility specification 2.4:

- A model's macros are `MODEL_ID`, then the global ones in their order, then its own; one of its own that is called like a global
  one takes that one's place. They are put in backwards, the last declared first, so a macro may use those declared before
  it, and `MODEL_ID`; each is put in once, so expansion ends.
- A value that is nothing but `${name}` becomes the macro's value with its type; inside a longer text it is written as Go would.
- Models are visited in the order of their ids; each whose `cmd` then still has `${PORT}` gets the next port from `startPort` on.
  On a reload those that have one keep it: a model that is added in front of them must not be a reason to restart them all.
- `${PID}` stays in `cmdStop` and is put in when the model is stopped. Any other `${name}` that is left is an error. `$NAME`
  and `${a.b}` are none of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import NoReturn

from app.config.commands import without_comments
from app.config.tree import Document, MapNode, Node, Path, Place, Scalar, is_null, map_scalars, nearest, walk

DEFAULT_PROXY = "http://localhost:${PORT}"
DEFAULT_START_PORT = 5800
NO_PORTS: Mapping[str, int] = MappingProxyType({})
RESERVED = ("PORT", "MODEL_ID", "PID")
MAX_NAME = 63
MAX_TEXT = 1 << 20
"""Characters of one value after expansion: macros that use macros several times grow fast."""

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_USE = re.compile(r"\$\{([a-zA-Z0-9_-]+)\}")


@dataclass(frozen=True, slots=True)
class Macro:
    """A name and what stands for it."""

    name: str
    value: Scalar

    @property
    def use(self) -> str:
        """How it is called for."""
        return f"${{{self.name}}}"

    @property
    def inline(self) -> str:
        """The value as it reads inside a longer text."""
        value = self.value.value
        if isinstance(value, bool):
            return "true" if value else "false"
        return go_float(value) if isinstance(value, float) else str(value)


def expand(document: Document, known: Collection[str], ports: Mapping[str, int] = NO_PORTS) -> Document:
    """Puts all macros and ports into *document*.

    known: the top-level keys that mean something; what is under another key may keep its `${…}`.
    ports: those that models have and keep, if they are not below `startPort`.
    Raises ConfigError for a bad macro, one that nobody declared, and for `${PORT}` where there is no port.
    """
    shared = _declared(document, ("macros",))
    models = document.root.entries.get("models")
    own: dict[str, list[Macro]] = {}
    if isinstance(models, MapNode):
        own = {model: _declared(document, ("models", model, "macros")) for model in models.entries}

    entries: dict[str, Node] = {}
    for key, node in document.root.entries.items():
        if key in {"macros", "models"}:
            entries[key] = node
        else:
            entries[key] = _expanded(document, (key,), node, shared)
    if isinstance(written := entries.get("peers"), MapNode):
        renamed = {
            peer: _with_names(document, ("peers", peer), node, shared) if isinstance(node, MapNode) else node
            for peer, node in written.entries.items()
        }
        entries["peers"] = replace(written, entries=renamed)
    if isinstance(models, MapNode):
        expanded = dict(models.entries)
        places = _Ports(
            document, entries.get("startPort"), {name: ports[name] for name in sorted(expanded) if name in ports}
        )
        for model in sorted(expanded):
            node = expanded[model]
            if isinstance(node, MapNode):
                macros = _effective(Macro("MODEL_ID", Scalar(model, "str", node.place)), shared, own[model])
                expanded[model] = _model(document, model, node, macros, places)
        entries["models"] = replace(models, entries=expanded)
    result = replace(document, root=replace(document.root, entries=entries))
    _refuse_leftovers(result, known, shared, own)
    return result


def put_in(scalar: Scalar, macros: Sequence[Macro]) -> Scalar:
    """Returns *scalar* with *macros* put in, the last one first.

    Raises OverflowError when the text grows beyond `MAX_TEXT`.
    """
    for macro in reversed(macros):
        if macro.use not in scalar.text or scalar.kind != "str":
            continue
        if scalar.text == macro.use:
            scalar = replace(macro.value, place=scalar.place)
            continue
        inline = macro.inline
        if len(scalar.text) + scalar.text.count(macro.use) * (len(inline) - len(macro.use)) > MAX_TEXT:
            raise OverflowError(macro.use)
        scalar = replace(scalar, text=scalar.text.replace(macro.use, inline))
    return scalar


def go_float(value: float) -> str:
    """Formats *value* as Go's `%v`: the shortest digits that give it back, an exponent below -4 and from 6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    exact = Decimal(repr(value)).normalize()
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    magnitude = len(digits) + exponent - 1
    if -4 <= magnitude < 6:
        return format(exact, "f")
    text = "".join(map(str, digits))
    mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if magnitude < 0 else '+'}{abs(magnitude):02d}"


def _declared(document: Document, path: Path) -> list[Macro]:
    node: Node | None = document.root
    for step in path:
        node = node.entries.get(str(step)) if isinstance(node, MapNode) else None
    if is_null(node):
        return []
    if not isinstance(node, MapNode):
        raise document.error(path, "macros must be a mapping of names to values", "write e.g. macros: {ctx: 8192}")
    macros = []
    for name, value in node.entries.items():
        here = (*path, name)
        if not _NAME.fullmatch(name):
            raise document.error(here, f"{name!r} cannot name a macro", "use letters, digits, _ and - only")
        if len(name) > MAX_NAME:
            raise document.error(here, f"the name is longer than {MAX_NAME} characters", "choose a shorter one")
        if name in RESERVED:
            raise document.error(here, f"{name} is the name of a built-in macro", "choose another name")
        if not isinstance(value, Scalar) or value.kind in {"null", "timestamp"}:
            what = "nothing" if is_null(value) else "a date" if isinstance(value, Scalar) else "a list or mapping"
            raise document.error(
                here,
                f"a macro must be text, a number, true or false, this is {what}",
                "put quotes around it, or take it out",
            )
        macro = Macro(name, value)
        if macro.use in value.text:
            raise document.error(here, f"the macro uses itself ({macro.use})", "use another macro's name in it")
        macros.append(macro)
    return macros


def _effective(model_id: Macro, shared: Sequence[Macro], own: Sequence[Macro]) -> list[Macro]:
    by_name = {
        macro.name: macro for macro in (*shared, *own)
    }  # a dict keeps the first one's place, and the last one's value
    return [model_id, *by_name.values()]


def _expanded(document: Document, path: Path, node: Node, macros: Sequence[Macro]) -> Node:
    def change(scalar: Scalar) -> Scalar:
        return put_in(scalar, macros) if "${" in scalar.text else scalar

    try:
        return map_scalars(node, change)
    except OverflowError as exc:
        message = f"a value grows beyond {MAX_TEXT} characters by the macro {exc}"
        raise document.error(path, message, "let macros use each other less") from exc


class _Ports:
    """Hands out ports from `startPort` on."""

    def __init__(self, document: Document, start: Node | None, kept: dict[str, int]) -> None:
        value = start.value if isinstance(start, Scalar) else None
        # A startPort that is no number is told of where fields get their types; any number will do until then.
        self._next = int(value) if isinstance(value, int | float) and math.isfinite(value) else DEFAULT_START_PORT
        self._document = document
        owners = {port: model for model, port in reversed(kept.items()) if port >= self._next}
        self._kept = {model: port for port, model in owners.items()}
        """No port is in it twice: of two models that shared one, as written ports may be, the first keeps it."""
        self._taken = owners.keys()

    def take(self, model: str, place: Place) -> Macro:
        """Returns the macro `PORT` for *model*."""
        if model in self._kept:
            return Macro("PORT", Scalar(str(self._kept[model]), "int", place))
        while self._next in self._taken:
            self._next += 1
        port = self._next
        self._next += 1
        if port > 65535:
            path = ("startPort",) if "startPort" in self._document.root.entries else ("models", model)
            raise self._document.error(
                path, f"no port is left for model {model!r}: {port} is beyond 65535", "lower startPort"
            )
        return Macro("PORT", Scalar(str(port), "int", place))


def _model(document: Document, model: str, node: MapNode, macros: Sequence[Macro], ports: _Ports) -> MapNode:
    path = ("models", model)
    for key in ("cmd", "cmdStop"):
        command = node.entries.get(key)
        if isinstance(command, Scalar) and command.kind == "str":
            node = node.with_entry(key, replace(command, text=without_comments(command.text)))
    proxy = node.entries.get("proxy")
    defaulted = is_null(proxy) or (isinstance(proxy, Scalar) and not proxy.text.strip())
    if defaulted:
        node = node.with_entry("proxy", Scalar(DEFAULT_PROXY, "str", node.place))
    node = _fields(document, path, node, macros)
    if "${PORT}" in _text(node.entries.get("cmd")):
        return _fields(document, path, node, [ports.take(model, node.place)])
    if "${PORT}" in _text(node.entries.get("proxy")):
        if defaulted:
            raise document.error(
                path,
                f"cmd does not use ${{PORT}}, so it is not known where the model serves (proxy is {DEFAULT_PROXY} by default)",
                "put ${PORT} into cmd, e.g. --port ${PORT}, or set proxy to the address the command serves at",
            )
        raise document.error(
            (*path, "proxy"),
            "proxy uses ${PORT}, but cmd does not",
            "put ${PORT} into cmd, or write the port into proxy",
        )
    return node


def _fields(document: Document, path: Path, node: MapNode, macros: Sequence[Macro]) -> MapNode:
    """Expands all of one model but its macros."""
    entries: dict[str, Node] = {}
    for key, entry in node.entries.items():
        entries[key] = entry if key == "macros" else _expanded(document, (*path, key), entry, macros)
    return _with_names(document, path, replace(node, entries=entries), macros)


def _with_names(document: Document, path: Path, node: MapNode, macros: Sequence[Macro]) -> MapNode:
    """Expands the keys of `filters.setParamsByID` in a model or a peer."""
    filters = node.entries.get("filters")
    by_id = filters.entries.get("setParamsByID") if isinstance(filters, MapNode) else None
    if not isinstance(filters, MapNode) or not isinstance(by_id, MapNode):
        return node
    renamed = MapNode({}, {}, by_id.place)
    for key, entry in by_id.entries.items():
        here = (*path, "filters", "setParamsByID", key)
        name = _text(_expanded(document, here, Scalar(key, "str", by_id.key_places[key]), macros))
        if name in renamed.entries:
            raise document.error(here, f"two keys mean {name!r} after macros are put in", "keep one of them")
        if (left := _USE.search(name)) is not None and left[1] != "PORT":
            raise document.error(here, f"unknown macro {left[0]}", "declare it under macros")
        renamed.entries[name] = entry
        renamed.key_places[name] = by_id.key_places[key]
    return node.with_entry("filters", filters.with_entry("setParamsByID", renamed))


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _refuse_leftovers(
    document: Document, known: Collection[str], shared: Sequence[Macro], own: dict[str, list[Macro]]
) -> None:
    for key, node in document.root.entries.items():
        if key == "macros" or key not in known:
            continue
        for path, scalar in walk(node, (key,)):
            in_model = key == "models" and len(path) > 2
            if in_model and path[2] == "macros":
                continue
            for name in _USE.findall(scalar.text):
                if name == "PID" and in_model and path[2:] == ("cmdStop",):
                    continue
                declared = [*shared, *own[str(path[1])]] if in_model else shared
                _refuse(document, path, name, [macro.name for macro in declared], in_model=in_model)


def _refuse(document: Document, path: Path, name: str, declared: Collection[str], *, in_model: bool) -> NoReturn:
    if name == "PID":
        raise document.error(path, "${PID} is known only when a model is stopped", "use it in cmdStop alone")
    if name == "PORT" and in_model:
        raise document.error(
            path, "${PORT} is used, but cmd does not use it", "put ${PORT} into cmd, e.g. --port ${PORT}"
        )
    if name in {"PORT", "MODEL_ID"}:
        raise document.error(path, f"${{{name}}} has a value inside models only", "take it out")
    if name in declared:
        message = f"${{{name}}} is used by a macro that is declared before it"
        raise document.error(path, message, f"declare {name} further up")
    near = nearest(name, declared)
    remedy = (
        f"did you mean ${{{near}}}?"
        if near
        else f"declare it under macros, or use ${{env.{name}}} for the environment's"
    )
    raise document.error(path, f"unknown macro ${{{name}}}", remedy)
